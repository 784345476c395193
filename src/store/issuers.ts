import type { Page } from '#admin/ports.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import type { Json } from '#model/value.ts'
import type { Writer } from './audit.ts'
import { changeTenant } from './changes.ts'
import type { Sql, Transaction } from './connections.ts'
import { limitOf } from './rows.ts'

/** Stores or replaces an issuer of `tenant`; the key is its `issuer` value. */
export async function putIssuer(
  writer: Writer,
  tenant: TenantId,
  issuer: Issuer,
): Promise<'stored' | 'tenant_unknown'> {
  return await changeTenant(writer, tenant, async (transaction) => {
    const before = await recordOf(transaction, tenant, issuer.issuer)
    const after = JSON.stringify(issuer)
    await transaction`
      insert into issuers (tenant, issuer, record) values (${tenant}, ${issuer.issuer}, ${after}::text::json)
      on conflict (tenant, issuer) do update set record = excluded.record, updated_at = now()`
    const told = JSON.parse(JSON.stringify(withoutSecret(issuer)))
    await writer.record(transaction, { tenant, target: issuer.issuer, before, after: told })
    return 'stored' as const
  })
}

/** Ends the trust of `tenant` in an issuer: its tokens are not believed any more. */
export async function removeIssuer(
  writer: Writer,
  tenant: TenantId,
  issuer: string,
): Promise<'removed' | 'unknown'> {
  const outcome = await changeTenant(writer, tenant, async (transaction, _version, keep) => {
    const before = await recordOf(transaction, tenant, issuer)
    if (before === null) {
      keep()
      return 'unknown' as const
    }
    await transaction`delete from issuers where tenant = ${tenant} and issuer = ${issuer}`
    await writer.record(transaction, { tenant, target: issuer, before, after: null })
    return 'removed' as const
  })
  return outcome === 'tenant_unknown' ? 'unknown' : outcome
}

/** Raises the revision of the issuer's keys, which every server reads with its state. */
export async function reloadIssuer(
  writer: Writer,
  tenant: TenantId,
  issuer: string,
): Promise<'reloaded' | 'unknown'> {
  const outcome = await changeTenant(writer, tenant, async (transaction, version, keep) => {
    const [row] = await transaction<{ record: Issuer }[]>`
      select record from issuers where tenant = ${tenant} and issuer = ${issuer}`
    if (row === undefined) {
      keep()
      return 'unknown' as const
    }
    const after = JSON.stringify({ ...row.record, keysRevision: version })
    await transaction`
      update issuers set record = ${after}::text::json, updated_at = now()
      where tenant = ${tenant} and issuer = ${issuer}`
    const before = row.record.keysRevision ?? 0
    await writer.record(transaction, {
      tenant,
      target: issuer,
      before: { keys_revision: before },
      after: { keys_revision: version },
    })
    return 'reloaded' as const
  })
  return outcome === 'tenant_unknown' ? 'unknown' : outcome
}

async function recordOf(transaction: Transaction, tenant: TenantId, issuer: string): Promise<Json> {
  const [row] = await transaction<{ record: Issuer }[]>`
    select record from issuers where tenant = ${tenant} and issuer = ${issuer}`
  return row === undefined ? null : JSON.parse(JSON.stringify(withoutSecret(row.record)))
}

/** Issuers of `tenant` by their `issuer` value. */
export async function listIssuers(sql: Sql, tenant: TenantId, page: Page): Promise<readonly Issuer[]> {
  const rows = await sql<{ record: Issuer }[]>`
    select record from issuers where tenant = ${tenant} and issuer > ${page.after ?? ''}
    order by issuer limit ${limitOf(page)}`
  return rows.map((row) => withoutSecret(parseIssuer(row.record)))
}

/** INVARIANT: a sealed secret leaves the database for the servers that use it only. */
function withoutSecret(issuer: Issuer): Issuer {
  const { introspection, tokenExchange } = issuer
  return {
    ...issuer,
    ...(introspection && { introspection: { ...introspection, secret: 'sealed' } }),
    ...(tokenExchange && { tokenExchange: { ...tokenExchange, secret: 'sealed' } }),
  }
}

/** An issuer as stored: members that JSON left out are undefined again. */
export function parseIssuer(record: Issuer): Issuer {
  const { tenant, agent, ...claims } = record.claims
  return { ...record, claims: { ...claims, tenant, agent } }
}
