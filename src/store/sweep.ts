import { systemClock } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import { createWriter } from './audit.ts'
import type { Database } from './database.ts'
import { removeEntities } from './entities.ts'
import { removeOverTokens } from './exchanged-tokens.ts'
import { ATTEMPTS_MAX } from './outbox.ts'
import { removeOverFamilies } from './token-families.ts'

/** How many rows of each kind a sweep removed. */
export interface Swept {
  readonly deliveries: number
  readonly events: number
  readonly revocations: number
  /** Agents that left the registry; their versions stay readable. */
  readonly agents: number
  /** Exchanged tokens that were over. */
  readonly tokens: number
  /** Token families in which no token can be good any more. */
  readonly families: number
}

const SYSTEM = { actor: 'system', role: 'owner', route: 'warder serve' }
/** Rows of one statement. */
const BATCH = 1_000
const DELIVERY_DAYS = 7
const EVENT_DAYS = 90
const REVOCATION_DAYS = 90
const AGENT_DAYS = 30

/**
 * Removes what only grows and decides nothing any more: events that receivers have, or that were given up, for 7 days; received
 * events after 90 (an older one lifts nothing, see signals/effects.ts); revocations that ended by themselves 90 days ago,
 * which the audit keeps; agents that were registered just in time and expired 30 days ago; exchanged tokens that are over; and families of such tokens.
 *
 * @param signal ends it after the batch that is under way
 */
export async function sweep(db: Database, signal?: AbortSignal): Promise<Swept> {
  const { owner } = db
  const inBatches = async (remove: () => Promise<number>): Promise<number> => {
    let total = 0
    for (let last = BATCH; last >= BATCH && signal?.aborted !== true; total += last) last = await remove()
    return total
  }
  const deliveries = await inBatches(async () => {
    const removed = await owner`
      delete from signal_outbox where id in (
        select id from signal_outbox
        where delivered_at < now() - make_interval(days => ${DELIVERY_DAYS}::int)
          or (delivered_at is null and attempts >= ${ATTEMPTS_MAX}
            and next_at < now() - make_interval(days => ${DELIVERY_DAYS}::int))
        limit ${BATCH})`
    return removed.count
  })
  const events = await inBatches(async () => {
    const removed = await owner`
      delete from signal_events where (tenant, stream, id) in (
        select tenant, stream, id from signal_events
        where received_at < now() - make_interval(days => ${EVENT_DAYS}::int) limit ${BATCH})`
    return removed.count
  })
  const revocations = await inBatches(async () => {
    const removed = await owner`
      delete from revocations where revocation in (
        select revocation from revocations
        where expires_at < now() - make_interval(days => ${REVOCATION_DAYS}::int) limit ${BATCH})`
    return removed.count
  })
  const agents = await inBatches(() => removeExpiredAgents(db))
  const tokens = await inBatches(() => removeOverTokens(db, BATCH))
  const families = await inBatches(() => removeOverFamilies(db, systemClock(), BATCH))
  return { deliveries, events, revocations, agents, tokens, families }
}

/**
 * INVARIANT: an agent from which a registered one was spawned stays, because a revocation of whatever is above them both is found
 * through it; and the row in `ephemeral_agents` stays, so that no id is admitted twice.
 */
async function removeExpiredAgents(db: Database): Promise<number> {
  const until = new Date(systemClock() - AGENT_DAYS * 86_400_000).toISOString()
  const rows = await db.owner<{ tenant: TenantId; agent: string }[]>`
    select a.tenant, a.agent from ephemeral_agents a
    join entities e on e.tenant = a.tenant and e.type = 'Warder::Agent' and e.id = a.agent and e.version_to is null
    where a.expires_at < ${until}::text::timestamptz
      and (e.attrs -> 'expiresAt' -> '__extn' ->> 'arg') collate "C" < ${until}
      and not exists (
        select from entities child
        where child.tenant = a.tenant and child.type = 'Warder::Agent' and child.version_to is null
          and child.attrs -> 'spawnedBy' -> '__entity' ->> 'id' = a.agent)
    limit ${BATCH}`
  const writer = createWriter(db.owner, SYSTEM)
  let removed = 0
  for (const [tenant, agents] of Map.groupBy(rows, (row) => row.tenant)) {
    const uids = agents.map(({ agent }) => ({ type: 'Warder::Agent', id: agent }))
    removed += await removeEntities(writer, tenant, uids)
  }
  return removed
}
