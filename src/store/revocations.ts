import type { Page } from '#admin/ports.ts'
import type {
  NewRevocation,
  RevocationFilter,
  RevocationListing,
  RevocationStore,
} from '#admin/revocation-ports.ts'
import type { TenantId } from '#model/ids.ts'
import type { Writer } from './audit.ts'
import { changeEverywhere, changeTenant } from './changes.ts'
import type { Sql, Transaction } from './connections.ts'
import { endExchangedTokens } from './exchanged-tokens.ts'
import { enqueue } from './outbox.ts'
import { instantText, limitOf } from './rows.ts'

/** Stores a revocation; running servers act on it within a second. */
export async function revoke(
  writer: Writer,
  revocation: NewRevocation,
): ReturnType<RevocationStore['revoke']> {
  const { tenant } = revocation
  const insert = (transaction: Transaction, version: number): Promise<RevocationListing> =>
    insertRevocation(transaction, writer, revocation, version)
  return tenant === null ? await changeEverywhere(writer, insert) : await changeTenant(writer, tenant, insert)
}

/** One row within a change, with its audit row. */
export async function insertRevocation(
  transaction: Transaction,
  writer: Writer,
  { tenant, kind, id, mode, source, reason, issuedBefore, expiresAt }: NewRevocation,
  version: number,
): Promise<RevocationListing> {
  const ends = expiresAt === undefined ? null : new Date(expiresAt).toISOString()
  const [added] = await transaction<RevocationListing[]>`
    insert into revocations (tenant, kind, target, mode, source, reason, issued_before, expires_at, actor, version_from)
    values (${tenant}, ${kind}, ${id}, ${mode}, ${source}, ${reason}, ${issuedBefore ?? null}, ${ends}::text::timestamptz,
      ${writer.actor}, ${version})
    returning ${columns(transaction)}`
  if (added === undefined) throw new Error('the database stored no revocation')
  const listing = toListing(added)
  await writer.record(transaction, { tenant, target: `${kind} ${id}`, before: null, after: { ...listing } })
  await endExchangedTokens(transaction, tenant, { kind, id, issuedBefore })
  await enqueue(transaction, listing)
  return listing
}

/** Takes back one revocation. */
export async function liftRevocation(
  writer: Writer,
  tenant: TenantId | null,
  revocation: string,
): ReturnType<RevocationStore['liftRevocation']> {
  if (tenant === null) {
    const outcome = await liftable(writer.owner, writer, null, revocation)
    if (typeof outcome === 'string') return outcome
    return await changeEverywhere(writer, (transaction, version) =>
      lift(transaction, writer, null, revocation, version),
    )
  }
  const outcome = await changeTenant(writer, tenant, async (transaction, version, keep) => {
    const lifted = await lift(transaction, writer, tenant, revocation, version)
    if (typeof lifted === 'string') keep()
    return lifted
  })
  return outcome === 'tenant_unknown' ? 'unknown' : outcome
}

async function lift(
  transaction: Transaction,
  writer: Writer,
  tenant: TenantId | null,
  revocation: string,
  version: number,
): Promise<RevocationListing | 'unknown' | 'same_person'> {
  const before = await liftable(transaction, writer, tenant, revocation)
  if (typeof before === 'string') return before
  const [row] = await transaction<RevocationListing[]>`
    update revocations set lifted_at = now(), lifted_by = ${writer.actor}, version_to = ${version}
    where revocation = ${revocation}::text::uuid and version_to is null returning ${columns(transaction)}`
  if (row === undefined) return 'unknown'
  const after = toListing(row)
  const target = `${after.kind} ${after.id}`
  await writer.record(transaction, { tenant, target, before: { ...before }, after: { ...after } })
  return after
}

/** INVARIANT: whoever set a kill switch is not who lifts it. */
async function liftable(
  sql: Sql | Transaction,
  writer: Writer,
  tenant: TenantId | null,
  revocation: string,
): Promise<RevocationListing | 'unknown' | 'same_person'> {
  const [row] = await sql<RevocationListing[]>`
    select ${columns(sql)} from revocations
    where revocation::text = ${revocation} and tenant is not distinct from ${tenant}::text and version_to is null`
  if (row === undefined) return 'unknown'
  return row.mode === 'kill' && row.actor === writer.actor ? 'same_person' : toListing(row)
}

/** Revocations, newest first. */
export async function listRevocations(
  sql: Sql,
  { tenant, mode, includeOver }: RevocationFilter,
  page: Page,
): Promise<readonly RevocationListing[]> {
  const [version = '', id = ''] = page.after?.split('/') ?? []
  const older =
    page.after === undefined
      ? sql``
      : sql`and (version_from, revocation::text) < (${version}::text::bigint, ${id})`
  const where = tenant === undefined ? sql`true` : sql`tenant is not distinct from ${tenant}::text`
  const inForce = includeOver
    ? sql``
    : sql`and version_to is null and (expires_at is null or expires_at > now())`
  const ofMode = mode === undefined ? sql`` : sql`and mode = ${mode}`
  const rows = await sql<RevocationListing[]>`
    select ${columns(sql)} from revocations where ${where} ${inForce} ${ofMode} ${older}
    order by version_from desc, revocation::text desc limit ${limitOf(page)}`
  return rows.map(toListing)
}

function columns(sql: Sql | Transaction) {
  return sql`revocation::text, tenant, kind, target as id, mode, source, reason, actor,
    ${instantText(sql, 'created_at')} as created_at, ${instantText(sql, 'expires_at')} as expires_at,
    ${instantText(sql, 'lifted_at')} as lifted_at, lifted_by, version_from::text as version,
    to_char(to_timestamp(issued_before) at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as issued_before`
}

function toListing(row: RevocationListing): RevocationListing {
  return { ...row, version: Number(row.version) }
}
