import { failed, type Result, success } from '#lib/result.ts'
import type { EntityClaim, Malformed, PartyClaim } from '#model/request.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { isJsonObject } from '#protocols/strict-json.ts'

const NO_PROPERTIES: JsonObject = {}
const AGENT_TYPES: ReadonlySet<string> = new Set(['agent', 'Warder::Agent'])
const USER_TYPES: ReadonlySet<string> = new Set(['user', 'identity', 'Warder::User'])

/** Agent and user; both undefined for a subject of another type. */
export interface NamedParties {
  readonly agent: PartyClaim | undefined
  readonly user: PartyClaim | undefined
}

/**
 * Agent and user that an AuthZEN subject and context name.
 *
 * The three shapes in use: the agent is the subject (user in `properties.delegation.delegator_id` or `context.user`),
 * the user is the subject and the agent is in `context.agent` (COAZ), or in `subject.properties.act.sub` (RFC 8693).
 * Two places that name different parties are refused: one of them would silently not be asked about.
 */
export function partiesOf(subject: EntityClaim, context: JsonObject): Result<NamedParties, Malformed> {
  const { type, id, properties } = subject
  if (AGENT_TYPES.has(type)) {
    const delegator = named(member(properties['delegation'], 'delegator_id'))
    const user = agreed(delegator, named(context['user']))
    if (user === 'conflict')
      return contradiction(
        '`subject.properties.delegation.delegator_id` and `context.user` name different users',
      )
    return success({ agent: { id, properties }, user })
  }
  if (USER_TYPES.has(type)) {
    const actor = named(member(properties['act'], 'sub'))
    const agent = agreed(named(context['agent']), actor)
    if (agent === 'conflict')
      return contradiction('`subject.properties.act.sub` and `context.agent` name different agents')
    return success({ agent, user: { id, properties } })
  }
  return success({ agent: undefined, user: undefined })
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
