import type { Admission, Admit } from '#delegation/admission.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { State } from '#model/state.ts'
import { createWriter, type Writer } from './audit.ts'
import { changeTenant } from './changes.ts'
import type { Transaction } from './connections.ts'
import type { Database } from './database.ts'
import { retiredAmong, writeEntity } from './entities.ts'

const SYSTEM = { actor: 'system', role: 'owner', route: 'warder serve' }
/** How long a full blueprint is not asked about again. */
const FULL_MILLISECONDS = 1_000
const FULL_MAX = 1_000
/** Every change is in the state within this; a server that lags behind answers that it does not know the agent. */
const STATE_MILLISECONDS = 2_000
const LOOK_MILLISECONDS = 2
/** As many as a decision looks at. */
const GENERATIONS_MAX = 8

/** Registers agents just in time, and waits until `state` has them. */
export function createAdmit(db: Database, state: Pick<State, 'tenant'>): Admit {
  const writer = createWriter(db.owner, SYSTEM)
  const full = new Map<string, number>()
  return async (tenant, admission, now) => {
    const place = JSON.stringify([tenant, admission.blueprint, admission.parent])
    if ((full.get(place) ?? 0) > performance.now()) return 'full'
    const outcome = await registerEphemeral(writer, tenant, admission, now)
    if (outcome === 'full') {
      if (full.size >= FULL_MAX) full.clear()
      full.set(place, performance.now() + FULL_MILLISECONDS)
    }
    if (outcome === 'admitted') await seen(state, tenant, admission.agent)
    return outcome
  }
}

async function seen(state: Pick<State, 'tenant'>, tenant: TenantId, agent: string): Promise<void> {
  const deadline = performance.now() + STATE_MILLISECONDS
  while (performance.now() < deadline) {
    if (state.tenant(tenant)?.registry.find({ type: 'Warder::Agent', id: agent }) !== undefined) return
    await new Promise((resolve) => setTimeout(resolve, LOOK_MILLISECONDS))
  }
}

/**
 * Stores one agent of a blueprint. INVARIANT: the count and the insert are one transaction that holds the lock of the state, so
 * that no number of servers together admits more than the blueprint lets; an id is admitted once, ever; and whoever was suspended
 * before the lock was had has no children any more, whatever the state of the server that asks.
 */
export async function registerEphemeral(
  writer: Writer,
  tenant: TenantId,
  admission: Admission,
  now: EpochMilliseconds,
): Promise<'admitted' | 'full' | 'used' | 'stopped'> {
  const { agent, blueprint, parent = '', childrenMax, lifetimeSeconds } = admission
  const entity = entityOf(tenant, admission, now)
  const outcome = await changeTenant(writer, tenant, async (transaction, version, keep) => {
    const [alive] = await transaction<{ count: string }[]>`
      select count(*)::text as count from ephemeral_agents
      where tenant = ${tenant} and blueprint = ${blueprint} and parent = ${parent} and expires_at > now()`
    const isKnown = await transaction`
      select from entities where tenant = ${tenant} and type = 'Warder::Agent' and id = ${agent} limit 1`
    if (!(await mayAdmit(transaction, tenant, admission, now))) {
      keep()
      return 'stopped' as const
    }
    const isUsed = isKnown.count > 0 || (await retiredAmong(transaction, tenant, [entity.uid])) !== undefined
    if (isUsed || Number(alive?.count) >= childrenMax) {
      keep()
      return isUsed ? ('used' as const) : ('full' as const)
    }
    const added = await transaction`
      insert into ephemeral_agents (tenant, agent, blueprint, parent, version_from, lifetime_seconds, expires_at)
      values (${tenant}, ${agent}, ${blueprint}, ${parent}, ${version}, ${lifetimeSeconds},
        now() + ${lifetimeSeconds} * interval '1 second') on conflict do nothing`
    if (added.count === 0) {
      keep()
      return 'used' as const
    }
    await writeEntity(transaction, tenant, version, entity)
    const after = { ...entity.attrs, reason: `admitted under blueprint ${blueprint}` }
    await writer.record(transaction, { tenant, target: `agent ${agent}`, before: null, after })
    return 'admitted' as const
  })
  return outcome === 'tenant_unknown' ? 'used' : outcome
}

/** Whether the blueprint, the parent and all above it are active and not revoked; as guards/after.ts and revocation/ judge a call. */
async function mayAdmit(
  transaction: Transaction,
  tenant: TenantId,
  { blueprint, parent }: Admission,
  now: EpochMilliseconds,
): Promise<boolean> {
  const at = new Date(now).toISOString()
  const [found] = await transaction<{ blueprint: boolean; parents: boolean; revoked: boolean }[]>`
    with recursive above as (
      select id, attrs, 1 as generation from entities
      where tenant = ${tenant} and type = 'Warder::Agent' and id = ${parent ?? ''} and version_to is null
      union all
      select e.id, e.attrs, generation + 1 from above join entities e
        on e.id = above.attrs -> 'spawnedBy' -> '__entity' ->> 'id'
      where e.tenant = ${tenant} and e.type = 'Warder::Agent' and e.version_to is null and generation < ${GENERATIONS_MAX})
    select
      exists (select from entities where tenant = ${tenant} and type = 'Warder::Blueprint' and id = ${blueprint}
        and version_to is null and coalesce(attrs ->> 'status', 'active') = 'active') as blueprint,
      (select coalesce(bool_and(attrs ->> 'status' = 'active'
          and coalesce((attrs -> 'expiresAt' -> '__extn' ->> 'arg')::timestamptz > ${at}::text::timestamptz, true)), ${parent === undefined})
        from above) as parents,
      exists (select from revocations where version_to is null and issued_before is null
        and (tenant is null or tenant = ${tenant}) and (expires_at is null or expires_at > now())
        and (kind = 'blueprint' and target = ${blueprint}
          or kind = 'agent' and target in (select id from above))) as revoked`
  return found?.blueprint === true && found.parents && !found.revoked
}

function entityOf(
  tenant: TenantId,
  { agent, blueprint, parent, lifetimeSeconds, owner, issuer }: Admission,
  now: EpochMilliseconds,
): StoredEntity {
  const end = new Date(now + lifetimeSeconds * 1000).toISOString()
  return {
    uid: { type: 'Warder::Agent', id: agent },
    attrs: {
      tenant: { __entity: { type: 'Warder::Tenant', id: tenant } },
      status: 'active',
      environment: 'any',
      expiresAt: { __extn: { fn: 'datetime', arg: end } },
      ...(owner !== undefined && { owner }),
      ...(issuer !== undefined && { issuer }),
      ...(parent !== undefined && { spawnedBy: { __entity: { type: 'Warder::Agent', id: parent } } }),
    },
    tags: {},
    parents: [
      { type: 'Warder::Blueprint', id: blueprint },
      { type: 'Warder::Tenant', id: tenant },
    ],
  }
}
