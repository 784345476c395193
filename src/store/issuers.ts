import type { Page } from '#admin/ports.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import { changeTenant } from './changes.ts'
import type { Sql } from './connections.ts'
import { limitOf } from './rows.ts'

/** Stores or replaces an issuer of `tenant`; the key is its `issuer` value. */
export async function putIssuer(
  owner: Sql,
  tenant: TenantId,
  issuer: Issuer,
): Promise<'stored' | 'tenant_unknown'> {
  return await changeTenant(owner, tenant, async (transaction) => {
    await transaction`
      insert into issuers (tenant, issuer, record)
      values (${tenant}, ${issuer.issuer}, ${JSON.stringify(issuer)}::text::json)
      on conflict (tenant, issuer) do update set record = excluded.record, updated_at = now()`
    return 'stored' as const
  })
}

/** Issuers of `tenant` by their `issuer` value. */
export async function listIssuers(sql: Sql, tenant: TenantId, page: Page): Promise<readonly Issuer[]> {
  const rows = await sql<{ record: Issuer }[]>`
    select record from issuers where tenant = ${tenant} and issuer > ${page.after ?? ''}
    order by issuer limit ${limitOf(page)}`
  return rows.map((row) => parseIssuer(row.record))
}

/** An issuer as stored: members that JSON left out are undefined again. */
export function parseIssuer(record: Issuer): Issuer {
  const { tenant, agent, user } = record.claims
  return { ...record, claims: { tenant, agent, user } }
}
