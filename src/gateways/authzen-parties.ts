import { failed, type Result, success } from '#lib/result.ts'
import type { ActorClaim, EntityClaim, Malformed, PartyClaim } from '#model/request.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { isJsonObject } from '#protocols/strict-json.ts'
import { agentOfChain, readActors } from './claimed-chain.ts'

const NO_PROPERTIES: JsonObject = {}
const AGENT_TYPES: ReadonlySet<string> = new Set(['agent', 'Warder::Agent'])
const USER_TYPES: ReadonlySet<string> = new Set(['user', 'identity', 'Warder::User'])

/** Which party a subject of this type is; undefined for any other type, which names nobody. */
export function partyOf(type: string): 'agent' | 'user' | undefined {
  if (AGENT_TYPES.has(type)) return 'agent'
  return USER_TYPES.has(type) ? 'user' : undefined
}

/** Agent and user, and the actors when there are several; all undefined for a subject of another type. */
export interface NamedParties {
  readonly agent: PartyClaim | undefined
  readonly user: PartyClaim | undefined
  readonly chain?: readonly ActorClaim[]
}

/**
 * Agent and user that an AuthZEN subject and context name.
 *
 * The three shapes in use: the agent is the subject (user in `properties.delegation.delegator_id` or `context.user`),
 * the user is the subject and the agent is in `context.agent` (COAZ), or in `subject.properties.act` (RFC 8693, nested).
 * An agent that is the subject and has an `act` itself has delegated: whoever is in there acts now.
 * Two places that name different parties are refused: one of them would silently not be asked about.
 */
export function partiesOf(subject: EntityClaim, context: JsonObject): Result<NamedParties, Malformed> {
  const party = partyOf(subject.type)
  if (party === undefined) return success({ agent: undefined, user: undefined })
  const actors = readActors(subject.properties['act'], 'subject.properties.act')
  if (!actors.ok) return actors
  return party === 'agent' ? ofAgent(subject, context, actors.value) : ofUser(subject, context, actors.value)
}

function ofAgent(
  { id, properties }: EntityClaim,
  context: JsonObject,
  actors: readonly ActorClaim[],
): Result<NamedParties, Malformed> {
  const user = agreed(named(member(properties['delegation'], 'delegator_id')), named(context['user']))
  if (user === 'conflict')
    return contradiction(
      '`subject.properties.delegation.delegator_id` and `context.user` name different users',
    )
  const [current] = actors
  if (current === undefined) return success({ agent: { id, properties }, user })
  const agent = { id: current.id, properties: NO_PROPERTIES }
  return success({ agent, user, chain: [...actors, { id, issuer: undefined }] })
}

function ofUser(
  { id, properties }: EntityClaim,
  context: JsonObject,
  actors: readonly ActorClaim[],
): Result<NamedParties, Malformed> {
  const agent = agentOfChain(
    named(context['agent']),
    actors,
    '`subject.properties.act.sub` and `context.agent` name different agents',
  )
  if (!agent.ok) return agent
  const user = { id, properties }
  return success({ agent: agent.value, user, ...(actors.length > 0 && { chain: actors }) })
}

function agreed(
  first: PartyClaim | undefined,
  second: PartyClaim | undefined,
): PartyClaim | undefined | 'conflict' {
  return first !== undefined && second !== undefined && first.id !== second.id
    ? 'conflict'
    : (first ?? second)
}

function contradiction(message: string): Result<never, Malformed> {
  return failed({ code: 'request.wrong_type', message })
}

function member(value: Json | undefined, key: string): Json | undefined {
  return isJsonObject(value) ? value[key] : undefined
}

/** A party given as its id or as `{id, properties?}`. */
function named(value: Json | undefined): PartyClaim | undefined {
  if (typeof value === 'string') return value === '' ? undefined : { id: value, properties: NO_PROPERTIES }
  if (!isJsonObject(value) || typeof value['id'] !== 'string' || value['id'] === '') return undefined
  const properties = value['properties']
  return { id: value['id'], properties: isJsonObject(properties) ? properties : NO_PROPERTIES }
}
