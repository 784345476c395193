import type { EpochMilliseconds } from '#lib/clock.ts'
import type { FindAgent, FoundAgent } from '#model/delegation.ts'
import type { Stop, VerifiedIdentity } from '#model/identity.ts'
import { REASONS, type ReasonCode } from '#model/reasons.ts'
import type { RegistrySnapshot, StoredEntity } from '#model/registry.ts'
import type { TenantState } from '#model/state.ts'
import type { EntityUid, Json } from '#model/value.ts'

const AGENT = 'Warder::Agent'
/** Generations of agents that spawned agents; more count as suspended. */
const GENERATIONS_MAX = 8

/**
 * What stops a verified identity before policy: an agent or any actor of the chain that is not registered, not active, expired,
 * or spawned by one that is; a suspended client that obtained the token, and a suspended user. An unregistered user is active
 * and in no group. A tenant with its own vocabulary need not register agents as such; whoever it did register is checked as
 * well.
 *
 * INVARIANT: prior actors only deny (RFC 8693 section 4.1); nothing here grants anything.
 *
 * @param findAgent knows agents of other tenants too, where a federation names them
 */
export function guardAfter(
  identity: VerifiedIdentity,
  tenant: TenantState,
  findAgent: FindAgent,
  now: EpochMilliseconds,
): Stop | undefined {
  const mustBeRegistered = tenant.release?.vocabulary !== 'own'
  const { agent, user, delegation, token } = identity
  const actors = delegation.chain.map((actor) => actor.id)
  for (const id of agent === undefined ? actors : [agent.id, ...actors]) {
    const found = findAgent(id)
    if (found === undefined && mustBeRegistered) return stop('agent.unknown', id)
    const fault = found && objectionTo(found, now)
    if (fault !== undefined) return stop(fault, id)
  }
  // Unlike an actor it need not be registered as an agent; gateways obtain tokens too.
  const client = token?.client === undefined ? undefined : findAgent(token.client)
  const fault = client && objectionTo(client, now)
  if (fault !== undefined) return stop(fault, token?.client)
  const person = user && tenant.registry.find({ type: 'Warder::User', id: user.id })
  return person !== undefined && person.attrs['status'] !== 'active'
    ? stop('user.suspended', user?.id)
    : undefined
}

/** Why an agent may not act at `now`: its own state, its blueprint's, or that of whoever spawned it. */
function objectionTo({ entity, registry }: FoundAgent, now: EpochMilliseconds): ReasonCode | undefined {
  let at: StoredEntity | undefined = entity
  for (let generation = 0; generation < GENERATIONS_MAX; generation++) {
    const fault = objectionToOne(at, registry, now)
    if (fault !== undefined) return fault
    const parent = at.attrs['spawnedBy']
    if (parent === undefined) return undefined
    // INVARIANT: an agent outlives neither its parent's registration nor its suspension; an unreadable parent is none.
    at = agentIn(registry, parent)
    if (at === undefined) return 'agent.suspended'
  }
  return 'agent.suspended'
}

function objectionToOne(
  { attrs, parents }: StoredEntity,
  registry: RegistrySnapshot,
  now: EpochMilliseconds,
): ReasonCode | undefined {
  const { status, expiresAt } = attrs
  if (status === 'pending') return 'agent.pending'
  if (status === 'retired') return 'agent.retired'
  // Everything but the one word means suspended, so that a typing mistake never keeps somebody active.
  if (status !== 'active') return 'agent.suspended'
  if (expiresAt !== undefined && !(instantOf(expiresAt) > now)) return 'agent.expired'
  const isStopped = parents.some((uid) => {
    const blueprint = uid.type === 'Warder::Blueprint' ? registry.find(uid)?.attrs['status'] : undefined
    return blueprint !== undefined && blueprint !== 'active'
  })
  return isStopped ? 'agent.suspended' : undefined
}

/** Milliseconds of a stored `datetime`; NaN, which is after nothing, for anything else. */
function instantOf(value: Json): number {
  const call = memberOf(value, '__extn')
  const text = memberOf(call, 'arg')
  return memberOf(call, 'fn') === 'datetime' && typeof text === 'string' ? Date.parse(text) : Number.NaN
}

function agentIn(registry: RegistrySnapshot, reference: Json): StoredEntity | undefined {
  const uid = memberOf(reference, '__entity')
  const [type, id] = [memberOf(uid, 'type'), memberOf(uid, 'id')]
  return type === AGENT && typeof id === 'string'
    ? registry.find({ type, id } satisfies EntityUid)
    : undefined
}

function memberOf(value: Json | undefined, name: string): Json | undefined {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value)
  return isObject && Object.hasOwn(value, name)
    ? (value as { readonly [name: string]: Json })[name]
    : undefined
}

function stop(code: ReasonCode, detail: string | undefined): Stop {
  return { code, message: REASONS[code], ...(detail !== undefined && { detail: `\`${detail}\`` }) }
}
