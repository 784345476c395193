import type { ApiKeyListing, ApiKeyStore } from '#admin/api-key-ports.ts'
import type { Page } from '#admin/ports.ts'
import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'
import { API_KEY_ISSUER, type ApiKey } from '#model/api-key.ts'
import type { TenantId } from '#model/ids.ts'
import type { Writer } from './audit.ts'
import { changeTenant } from './changes.ts'
import type { Sql, Transaction } from './connections.ts'
import { insertRevocation } from './revocations.ts'
import { instantText, limitOf } from './rows.ts'

/** Stores the first secret of an agent's new key. */
export async function addApiKey(
  writer: Writer,
  tenant: TenantId,
  { name, agent, boundTo, scopes = [], gateways, ...secret }: Parameters<ApiKeyStore['addApiKey']>[1],
): ReturnType<ApiKeyStore['addApiKey']> {
  return await changeTenant(writer, tenant, async (transaction, _version, keep) => {
    const [known] = await transaction<{ status: string | null }[]>`
      select attrs ->> 'status' as status from entities
      where tenant = ${tenant} and type = 'Warder::Agent' and id = ${agent} and version_to is null`
    const [taken] =
      await transaction`select from api_keys where tenant = ${tenant} and name = ${name} limit 1`
    if (known === undefined || known.status === 'retired' || taken !== undefined) {
      keep()
      return taken === undefined ? ('agent_unknown' as const) : ('exists' as const)
    }
    if (!(await areRegistered(transaction, tenant, gateways ?? []))) {
      keep()
      return 'gateway_unknown' as const
    }
    const limits = { bound: boundTo ?? null, scopes, gateways: gateways ?? null }
    return await insert(transaction, writer, tenant, { name, agent, ...limits, ...secret })
  })
}

/** Adds a secret; those before end at `until`, or when they would have. */
export async function rotateApiKey(
  writer: Writer,
  tenant: TenantId,
  name: string,
  { until, ...secret }: Parameters<ApiKeyStore['rotateApiKey']>[2],
): ReturnType<ApiKeyStore['rotateApiKey']> {
  const outcome = await changeTenant(writer, tenant, async (transaction, _version, keep) => {
    const [newest] = await transaction<ApiKeyListing[]>`
      select ${columns(transaction)} from api_keys where tenant = ${tenant} and name = ${name}
      order by created_at desc, id limit 1`
    if (newest === undefined || newest.revoked_at !== null) {
      keep()
      return 'unknown' as const
    }
    await transaction`
      update api_keys set expires_at = least(expires_at, ${instant(until)}::text::timestamptz)
      where tenant = ${tenant} and name = ${name} and revoked_at is null`
    const { agent, bound_to: bound, scopes, gateways } = newest
    return await insert(transaction, writer, tenant, { name, agent, bound, scopes, gateways, ...secret })
  })
  return outcome === 'tenant_unknown' ? 'unknown' : outcome
}

/** INVARIANT: an ended key is on the deny list like everything else that is revoked, so that who keeps answers is told. */
export async function revokeApiKey(
  writer: Writer,
  tenant: TenantId,
  name: string,
  reason: string,
): Promise<readonly ApiKeyListing[]> {
  const outcome = await changeTenant(writer, tenant, async (transaction, version, keep) => {
    const ended = await transaction<ApiKeyListing[]>`
      update api_keys set revoked_at = now()
      where tenant = ${tenant} and name = ${name} and revoked_at is null returning ${columns(transaction)}`
    if (ended.length === 0) keep()
    for (const key of ended) {
      const { id, expires_at: expires } = key
      await writer.record(transaction, {
        tenant,
        target: `api key ${name}`,
        before: { id, revoked_at: null },
        after: { ...key },
      })
      const revocation = {
        kind: 'token',
        id: `${API_KEY_ISSUER}|${id}`,
        mode: 'deny',
        source: 'admin',
      } as const
      // Who lifts it does not bring the key back; after its own end there is nothing left to deny.
      const expiresAt = Date.parse(expires) as EpochMilliseconds
      await insertRevocation(transaction, writer, { tenant, ...revocation, reason, expiresAt }, version)
    }
    return ended
  })
  return outcome === 'tenant_unknown' ? [] : outcome
}

/** Keys of `tenant` by name. */
export async function listApiKeys(
  sql: Sql,
  tenant: TenantId,
  { includeOver, agent }: Parameters<ApiKeyStore['listApiKeys']>[1],
  page: Page,
): Promise<readonly ApiKeyListing[]> {
  const [name = '', id = ''] = page.after?.split('/') ?? []
  const of = agent === undefined ? sql`` : sql`and agent = ${agent}`
  const inForce = includeOver ? sql`` : sql`and revoked_at is null and expires_at > now()`
  return await sql<ApiKeyListing[]>`
    select ${columns(sql)} from api_keys
    where tenant = ${tenant} and (name, id::text collate "C") > (${name}, ${id}) ${of} ${inForce}
    order by name, id::text collate "C" limit ${limitOf(page)}`
}

async function areRegistered(
  transaction: Transaction,
  tenant: TenantId,
  gateways: readonly string[],
): Promise<boolean> {
  const known = await transaction<{ name: string }[]>`
    select name from gateways where tenant = ${tenant} and revoked_at is null`
  return gateways.every((name) => known.some((each) => each.name === name))
}

interface KeyRow {
  readonly id: string
  readonly agent: string
  readonly hash: string
  readonly bound_to: ApiKey['boundTo'] | null
  readonly scopes: readonly string[]
  readonly gateways: readonly string[] | null
  readonly created_at: string
  readonly expires_at: string
}

/** Keys that can still be good, by SHA-256, for the state of `tenant`. */
export async function loadApiKeys(sql: Transaction, tenant: TenantId): Promise<ReadonlyMap<string, ApiKey>> {
  const rows = await sql<KeyRow[]>`
    select id, agent, hash, bound_to, scopes, gateways, floor(extract(epoch from created_at))::text as created_at,
      floor(extract(epoch from expires_at))::text as expires_at
    from api_keys where tenant = ${tenant} and revoked_at is null and expires_at > now()`
  return new Map(
    rows.map(({ hash, id, agent, scopes, gateways, bound_to: boundTo, ...row }) => {
      const dates = {
        createdAt: Number(row.created_at) as EpochSeconds,
        expiresAt: Number(row.expires_at) as EpochSeconds,
      }
      const limits = { scopes, ...(gateways !== null && { gateways }) }
      return [hash, { id, agent, ...dates, ...limits, ...(boundTo !== null && { boundTo }) }]
    }),
  )
}

async function insert(
  transaction: Transaction,
  writer: Writer,
  tenant: TenantId,
  key: Pick<ApiKeyListing, 'name' | 'agent' | 'scopes' | 'gateways'> & {
    readonly hash: string
    readonly hint: string
    readonly bound: ApiKeyListing['bound_to']
    readonly expiresAt: EpochMilliseconds
  },
): Promise<ApiKeyListing> {
  const { name, agent, hash, hint, bound, scopes, gateways, expiresAt } = key
  const json = (value: object | null) => (value === null ? null : JSON.stringify(value))
  const [added] = await transaction<ApiKeyListing[]>`
    insert into api_keys (tenant, name, agent, hash, hint, bound_to, scopes, gateways, created_by, expires_at)
    values (${tenant}, ${name}, ${agent}, ${hash}, ${hint},
      ${json(bound)}::text::json, ${json(scopes)}::text::json, ${json(gateways)}::text::json,
      ${writer.actor}, ${instant(expiresAt)}::text::timestamptz)
    returning ${columns(transaction)}`
  if (added === undefined) throw new Error('the database stored no API key')
  await writer.record(transaction, { tenant, target: `api key ${name}`, before: null, after: { ...added } })
  return added
}

function columns(sql: Sql | Transaction) {
  return sql`id, tenant, name, agent, hint, bound_to, scopes, gateways, ${instantText(sql, 'created_at')} as created_at, created_by,
    ${instantText(sql, 'expires_at')} as expires_at, ${instantText(sql, 'revoked_at')} as revoked_at`
}

function instant(at: EpochMilliseconds): string {
  return new Date(at).toISOString()
}
