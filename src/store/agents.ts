import type { AgentFilter, AgentListing, AgentStore } from '#admin/delegation-ports.ts'
import type { Page } from '#admin/ports.ts'
import type { TenantId } from '#model/ids.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { EntityUid, Json } from '#model/value.ts'
import type { Writer } from './audit.ts'
import { changeTenant } from './changes.ts'
import type { Sql, Transaction } from './connections.ts'
import { type EntityRow, retiredAmong, toEntity, writeEntity } from './entities.ts'
import { endTokensOfStopped } from './exchanged-tokens.ts'
import { endGrants } from './grants.ts'
import { enqueue } from './outbox.ts'
import { insertRevocation } from './revocations.ts'
import { instantText, limitOf } from './rows.ts'

const AGENT = 'Warder::Agent'

/** Changes one agent; see the port. */
export async function changeAgent(
  writer: Writer,
  tenant: TenantId,
  agent: string,
  change: Parameters<AgentStore['changeAgent']>[2],
  { reason, blueprints = [] }: Parameters<AgentStore['changeAgent']>[3],
): ReturnType<AgentStore['changeAgent']> {
  return await changeTenant(writer, tenant, async (transaction, version, keep) => {
    const uid = { type: AGENT, id: agent }
    const entity = await currentEntity(transaction, tenant, uid)
    const ids = [...blueprints, ...(entity?.parents ?? []).filter(isBlueprint).map(({ id }) => id)]
    const known = await Promise.all(
      ids.map((id) => currentEntity(transaction, tenant, { type: 'Warder::Blueprint', id })),
    )
    const wasRetired = (await retiredAmong(transaction, tenant, [uid])) !== undefined
    const judged = change({ entity, wasRetired, blueprints: known.filter((each) => each !== undefined) })
    if (!judged.ok) {
      keep()
      return judged
    }
    const { entity: after, isEnd } = judged.value
    await writeEntity(transaction, tenant, version, after)
    if (isEnd) {
      await endGrants(transaction, writer, { tenant, reason, version }, { agent })
      const revocation = { tenant, kind: 'agent', id: agent, mode: 'deny', source: 'admin', reason } as const
      await insertRevocation(transaction, writer, revocation, version)
    } else if (after.attrs['status'] === 'suspended' && entity?.attrs['status'] !== 'suspended') {
      // A suspension is no revocation, but receivers that keep answers or sessions must end them all the same.
      await enqueue(transaction, { tenant, kind: 'agent', id: agent, source: 'admin', version })
      await endTokensOfStopped(transaction, tenant, [after])
    }
    const [before, now] = [entity && { ...entity.attrs }, { ...after.attrs, reason }]
    await writer.record(transaction, { tenant, target: `agent ${agent}`, before: before ?? null, after: now })
    return { ok: true as const, value: listingOf(tenant, after, null) }
  })
}

async function currentEntity(
  transaction: Transaction,
  tenant: TenantId,
  { type, id }: EntityUid,
): Promise<StoredEntity | undefined> {
  const [row] = await transaction<EntityRow[]>`
    select type, id, attrs, tags, parents from entities
    where tenant = ${tenant} and type = ${type} and id = ${id} and version_to is null`
  return row && toEntity(row)
}

type ListingRow = EntityRow & { readonly last_decision_at: string | null }

/** Agents of `tenant` with their newest decision. */
export async function listAgents(
  sql: Sql,
  tenant: TenantId,
  { dormantDays, ownerless, issuerless }: AgentFilter,
  page: Page,
): Promise<readonly AgentListing[]> {
  const dormant =
    dormantDays === undefined
      ? sql``
      : sql`and (last.decided_at is null or last.decided_at < now() - ${dormantDays} * interval '1 day')`
  const unowned = ownerless === true ? sql`and e.attrs -> 'owner' is null` : sql``
  const unissued =
    issuerless === true
      ? sql`and e.attrs -> 'issuer' is null and e.attrs ->> 'status' is distinct from 'retired'`
      : sql``
  const after = page.after === undefined ? sql`` : sql`and e.id > ${page.after}`
  return await readListings(sql, tenant, sql`${after} ${dormant} ${unowned} ${unissued}`, limitOf(page))
}

/** One agent of `tenant`. */
export async function findAgent(
  sql: Sql,
  tenant: TenantId,
  agent: string,
): Promise<AgentListing | undefined> {
  const [found] = await readListings(sql, tenant, sql`and e.id = ${agent}`, 1)
  return found
}

async function readListings(
  sql: Sql,
  tenant: TenantId,
  where: ReturnType<Sql>,
  limit: number,
): Promise<readonly AgentListing[]> {
  const rows = await sql<ListingRow[]>`
    select e.type, e.id, e.attrs, e.tags, e.parents, ${instantText(sql, 'last.decided_at')} as last_decision_at
    from entities e left join lateral (
      -- Who only asks why makes no agent look alive.
      select d.decided_at from decisions d where d.tenant = e.tenant and d.agent = e.id
        and d.trace ->> 'explained' is distinct from 'operator'
      order by d.decided_at desc limit 1) as last on true
    where e.tenant = ${tenant} and e.type = ${AGENT} and e.version_to is null ${where}
    order by e.id limit ${limit}`
  return rows.map((row) => listingOf(tenant, toEntity(row), row.last_decision_at))
}

function listingOf(
  tenant: TenantId,
  { uid, attrs, parents }: StoredEntity,
  last: string | null,
): AgentListing {
  const of = (type: string) => parents.filter((each) => each.type === type).map(({ id }) => id)
  return {
    agent: uid.id,
    tenant,
    status: textOf(attrs['status']) ?? 'unknown',
    owner: textOf(attrs['owner'], '__entity', 'id'),
    blueprints: of('Warder::Blueprint'),
    groups: of('Warder::Group'),
    environment: textOf(attrs['environment']),
    issuer: textOf(attrs['issuer']),
    expires_at: textOf(attrs['expiresAt'], '__extn', 'arg'),
    spawned_by: textOf(attrs['spawnedBy'], '__entity', 'id'),
    last_decision_at: last,
  }
}

function textOf(value: Json | undefined, ...path: readonly string[]): string | null {
  let at: Json | undefined = value
  for (const name of path)
    at =
      typeof at === 'object' && at !== null && !Array.isArray(at)
        ? (at as { [key: string]: Json })[name]
        : undefined
  return typeof at === 'string' ? at : null
}

function isBlueprint({ type }: EntityUid): boolean {
  return type === 'Warder::Blueprint'
}
