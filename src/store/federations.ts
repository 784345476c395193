import type { FederationStore, StoredFederation } from '#admin/delegation-ports.ts'
import type { Page } from '#admin/ports.ts'
import { federationFor, isSigned, readRecord } from '#delegation/federation-record.ts'
import type { Federation } from '#model/delegation.ts'
import type { TenantId } from '#model/ids.ts'
import type { Json } from '#model/value.ts'
import type { Writer } from './audit.ts'
import { changeTenant, notifyChange } from './changes.ts'
import type { Sql, Transaction } from './connections.ts'
import { endExchangedTokens } from './exchanged-tokens.ts'
import { instantText, limitOf } from './rows.ts'

/** The public key of `tenant`; the first one that is asked with stays. */
export async function tenantKey(
  writer: Writer,
  tenant: TenantId,
  made: string,
): ReturnType<FederationStore['tenantKey']> {
  return await changeTenant(writer, tenant, async (transaction, _version, keep) => {
    const [known] = await transaction<{ public_key: string }[]>`
      select public_key from tenant_keys where tenant = ${tenant}`
    if (known !== undefined) {
      keep()
      return known.public_key
    }
    await transaction`insert into tenant_keys (tenant, public_key) values (${tenant}, ${made})`
    await writer.record(transaction, {
      tenant,
      target: 'federation key',
      before: null,
      after: { public: made },
    })
    return made
  })
}

/** Stores a federation that one side has signed; whether the other exists makes no difference to it. */
export async function proposeFederation(
  writer: Writer,
  by: TenantId,
  { id, home, foreign, record }: Pick<StoredFederation, 'id' | 'home' | 'foreign' | 'record'>,
  signature: string,
): ReturnType<FederationStore['proposeFederation']> {
  const other = by === home ? foreign : home
  return await changeTenant(writer, by, async (transaction, version) => {
    const [homeSignature, foreignSignature] = by === home ? [signature, null] : [null, signature]
    await transaction`
      insert into federations (id, home, foreign_tenant, record, home_signature, foreign_signature)
      values (${id}::text::uuid, ${home}, ${foreign}, ${record}, ${homeSignature}, ${foreignSignature})`
    const after = { record: JSON.parse(record) as Json, signed_by: by }
    await recordInBoth(transaction, writer, { by, other, version }, `federation ${id}`, after)
    return 'stored' as const
  })
}

/** Adds the signature of the other side. */
export async function acceptFederation(
  writer: Writer,
  by: TenantId,
  id: string,
  signature: string,
): ReturnType<FederationStore['acceptFederation']> {
  const outcome = await changeTenant(writer, by, async (transaction, version, keep) => {
    const [row] = await transaction<{ home: TenantId; foreign_tenant: TenantId }[]>`
      update federations set
        home_signature = case when home = ${by} then ${signature} else home_signature end,
        foreign_signature = case when foreign_tenant = ${by} then ${signature} else foreign_signature end
      where id::text = ${id} and ${by} in (home, foreign_tenant) and withdrawn_at is null
        and case when home = ${by} then home_signature else foreign_signature end is null
      returning home, foreign_tenant`
    if (row === undefined) {
      keep()
      return 'unknown' as const
    }
    const other = row.home === by ? row.foreign_tenant : row.home
    await recordInBoth(transaction, writer, { by, other, version }, `federation ${id}`, { signed_by: by })
    return 'accepted' as const
  })
  return outcome === 'tenant_unknown' ? 'unknown' : outcome
}

/** Ends a federation; either side may. */
export async function withdrawFederation(
  writer: Writer,
  by: TenantId,
  id: string,
  reason: string,
): ReturnType<FederationStore['withdrawFederation']> {
  const outcome = await changeTenant(writer, by, async (transaction, version, keep) => {
    const [row] = await transaction<{ home: TenantId; foreign_tenant: TenantId }[]>`
      update federations set withdrawn_at = now(), withdrawn_by = ${by}
      where id::text = ${id} and ${by} in (home, foreign_tenant) and withdrawn_at is null
      returning home, foreign_tenant`
    if (row === undefined) {
      keep()
      return 'unknown' as const
    }
    const other = row.home === by ? row.foreign_tenant : row.home
    // Agents of the one act at the other.
    await endExchangedTokens(transaction, row.home, { kind: 'tenant', id: row.foreign_tenant })
    const after = { withdrawn_by: by, reason }
    await recordInBoth(transaction, writer, { by, other, version }, `federation ${id}`, after)
    return 'withdrawn' as const
  })
  return outcome === 'tenant_unknown' ? 'unknown' : outcome
}

/** INVARIANT: a change of a federation is a change of both tenants: a new version, and a row in the audit of each. */
async function recordInBoth(
  transaction: Transaction,
  writer: Writer,
  { by, other, version }: { readonly by: TenantId; readonly other: TenantId; readonly version: number },
  target: string,
  after: Json,
): Promise<void> {
  await transaction`update tenants set state_version = ${version} where tenant = ${other}`
  await notifyChange(transaction, other, version)
  for (const tenant of [by, other]) await writer.record(transaction, { tenant, target, before: null, after })
}

/** One federation in which `tenant` takes part. */
export async function findFederation(
  sql: Sql,
  tenant: TenantId,
  id: string,
): Promise<StoredFederation | undefined> {
  const [row] = await sql<StoredFederation[]>`
    ${select(sql)} where ${tenant} in (f.home, f.foreign_tenant) and f.id::text = ${id}`
  return row
}

/** Federations in which `tenant` takes part. */
export async function listFederations(
  sql: Sql,
  tenant: TenantId,
  page: Page,
): Promise<readonly StoredFederation[]> {
  return await sql<StoredFederation[]>`
    ${select(sql)} where ${tenant} in (f.home, f.foreign_tenant) and f.id::text > ${page.after ?? ''}
    order by f.id::text collate "C" limit ${limitOf(page)}`
}

/**
 * Federations of `tenant` that both sides have signed and neither has withdrawn, for its state.
 *
 * INVARIANT: a row whose record is not what both tenants signed gives nobody access, whoever changed it.
 */
export async function loadFederations(
  transaction: Transaction,
  tenant: TenantId,
): Promise<readonly Federation[]> {
  const rows = await transaction<StoredFederation[]>`
    ${select(transaction)} where ${tenant} in (f.home, f.foreign_tenant) and f.withdrawn_at is null
      and f.home_signature is not null and f.foreign_signature is not null order by f.id`
  return rows.flatMap((row) => {
    const record = isSignedByBoth(row) ? readRecord(row.record) : undefined
    const isItself = record?.id === row.id && record.home === row.home && record.foreign === row.foreign
    return record !== undefined && isItself ? [federationFor(tenant, record)] : []
  })
}

function isSignedByBoth({ record, ...row }: StoredFederation): boolean {
  return (
    isSigned(record, row.homeSignature, row.homeKey) && isSigned(record, row.foreignSignature, row.foreignKey)
  )
}

function select(sql: Sql | Transaction) {
  return sql`
    select f.id::text as id, f.home, f.foreign_tenant as "foreign", f.record, f.home_signature as "homeSignature",
      f.foreign_signature as "foreignSignature", ${instantText(sql, 'f.proposed_at')} as "proposedAt",
      ${instantText(sql, 'f.withdrawn_at')} as "withdrawnAt", f.withdrawn_by as "withdrawnBy",
      h.public_key as "homeKey", g.public_key as "foreignKey"
    from federations f left join tenant_keys h on h.tenant = f.home
      left join tenant_keys g on g.tenant = f.foreign_tenant`
}
