import type { GrantFilter, GrantListing, NewGrant } from '#admin/delegation-ports.ts'
import type { Page } from '#admin/ports.ts'
import type { RegisteredGrant } from '#delegation/delegations.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { JsonObject } from '#model/value.ts'
import type { Writer } from './audit.ts'
import { changeTenant } from './changes.ts'
import type { Sql, Transaction } from './connections.ts'
import { insertRevocation } from './revocations.ts'
import { instantText, limitOf } from './rows.ts'

/** Stores a grant. */
export async function addGrant(
  writer: Writer,
  tenant: TenantId,
  grant: NewGrant,
): Promise<GrantListing | 'tenant_unknown'> {
  return await changeTenant(writer, tenant, async (transaction) => {
    const ends = grant.expiresAt === undefined ? null : new Date(grant.expiresAt).toISOString()
    const [row] = await transaction<GrantListing[]>`
      insert into delegation_grants (tenant, from_kind, from_id, to_agent, scopes, tools, authorization_details,
        expires_at, created_by, reason)
      values (${tenant}, ${grant.from.kind}, ${grant.from.id}, ${grant.to}, ${list(grant.scopes)}::text::json,
        ${list(grant.tools)}::text::json, ${list(grant.authorizationDetails)}::text::json,
        ${ends}::text::timestamptz, ${writer.actor}, ${grant.reason})
      returning ${columns(transaction)}`
    if (row === undefined) throw new Error('the database stored no grant')
    await writer.record(transaction, {
      tenant,
      target: `grant ${row.grant}`,
      before: null,
      after: { ...row },
    })
    return row
  })
}

/** Ends a grant. It is put on the deny list as well, where who keeps answers is told of it. */
export async function revokeGrant(
  writer: Writer,
  tenant: TenantId,
  grant: string,
  reason: string,
): Promise<GrantListing | 'unknown'> {
  const outcome = await changeTenant(writer, tenant, async (transaction, version, keep) => {
    const [ended] = await endGrants(transaction, writer, { tenant, reason, version }, grant)
    if (ended === undefined) keep()
    return ended ?? ('unknown' as const)
  })
  return outcome === 'tenant_unknown' ? 'unknown' : outcome
}

/** Ends one grant, or all to and from an agent, within a change. Those that have ended before stay as they are. */
export async function endGrants(
  transaction: Transaction,
  writer: Writer,
  change: { readonly tenant: TenantId; readonly reason: string; readonly version: number },
  which: string | { readonly agent: string },
): Promise<readonly GrantListing[]> {
  const { tenant, reason, version } = change
  const chosen =
    typeof which === 'string'
      ? transaction`id::text = ${which}`
      : transaction`(to_agent = ${which.agent} or (from_kind = 'agent' and from_id = ${which.agent}))`
  const ended = await transaction<GrantListing[]>`
    update delegation_grants set revoked_at = now(), revoked_reason = ${reason}
    where tenant = ${tenant} and revoked_at is null and ${chosen} returning ${columns(transaction)}`
  for (const row of ended) {
    const target = `grant ${row.grant}`
    await writer.record(transaction, { tenant, target, before: { revoked_at: null }, after: { ...row } })
    const revocation = {
      tenant,
      kind: 'grant',
      id: row.grant,
      mode: 'deny',
      source: 'admin',
      reason,
    } as const
    await insertRevocation(transaction, writer, revocation, version)
  }
  return ended
}

/** Grants of `tenant`. */
export async function listGrants(
  sql: Sql,
  tenant: TenantId,
  { to, from, includeOver }: GrantFilter,
  page: Page,
): Promise<readonly GrantListing[]> {
  const after = page.after === undefined ? sql`` : sql`and id::text > ${page.after}`
  const of = to === undefined ? sql`` : sql`and to_agent = ${to}`
  const by = from === undefined ? sql`` : sql`and from_kind || ':' || from_id = ${from}`
  const inForce = includeOver
    ? sql``
    : sql`and revoked_at is null and (expires_at is null or expires_at > now())`
  return await sql<GrantListing[]>`
    select ${columns(sql)} from delegation_grants
    where tenant = ${tenant} ${after} ${of} ${by} ${inForce} order by id::text collate "C" limit ${limitOf(page)}`
}

interface GrantRow {
  readonly id: string
  readonly from_kind: 'user' | 'agent'
  readonly from_id: string
  readonly to_agent: string
  readonly scopes: readonly string[] | null
  readonly tools: readonly string[] | null
  readonly authorization_details: readonly JsonObject[] | null
  readonly expires_at: string | null
  readonly is_revoked: boolean
}

/** Every grant that was ever registered in `tenant`, for its state. */
export async function loadGrants(sql: Transaction, tenant: TenantId): Promise<readonly RegisteredGrant[]> {
  const rows = await sql<GrantRow[]>`
    select id, from_kind, from_id, to_agent, scopes, tools, authorization_details,
      (extract(epoch from expires_at) * 1000)::text as expires_at, revoked_at is not null as is_revoked
    from delegation_grants where tenant = ${tenant} order by created_at, id`
  return rows.map((row) => ({
    id: row.id,
    from: { kind: row.from_kind, id: row.from_id },
    to: row.to_agent,
    isRevoked: row.is_revoked,
    ...(row.scopes !== null && { scopes: row.scopes }),
    ...(row.tools !== null && { tools: row.tools }),
    ...(row.authorization_details !== null && { authorizationDetails: row.authorization_details }),
    ...(row.expires_at !== null && { expiresAt: Number(row.expires_at) as EpochMilliseconds }),
  }))
}

function columns(sql: Sql | Transaction) {
  return sql`id as "grant", tenant, from_kind || ':' || from_id as "from", to_agent as "to", scopes, tools,
    authorization_details, ${instantText(sql, 'expires_at')} as expires_at,
    ${instantText(sql, 'created_at')} as created_at, created_by, reason,
    ${instantText(sql, 'revoked_at')} as revoked_at, revoked_reason`
}

function list(values: readonly unknown[] | undefined): string | null {
  return values === undefined ? null : JSON.stringify(values)
}
