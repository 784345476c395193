import type { EntityClaim, PartyClaim } from '#model/request.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { isJsonObject } from './json-body.ts'

const NO_PROPERTIES: JsonObject = {}
const AGENT_TYPES: ReadonlySet<string> = new Set(['agent', 'Warder::Agent'])
const USER_TYPES: ReadonlySet<string> = new Set(['user', 'identity', 'Warder::User'])

/**
 * Agent and user that an AuthZEN subject and context name; both undefined for a subject of another type.
 *
 * The three shapes in use: the agent is the subject (user in `properties.delegation.delegator_id` or `context.user`),
 * the user is the subject and the agent is in `context.agent` (COAZ), or in `subject.properties.act.sub` (RFC 8693).
 */
export function partiesOf(
  subject: EntityClaim,
  context: JsonObject,
): { readonly agent: PartyClaim | undefined; readonly user: PartyClaim | undefined } {
  const { type, id, properties } = subject
  if (AGENT_TYPES.has(type)) {
    const delegator = member(properties['delegation'], 'delegator_id')
    return { agent: { id, properties }, user: named(delegator) ?? named(context['user']) }
  }
  if (USER_TYPES.has(type)) {
    const actor = member(properties['act'], 'sub')
    return { agent: named(context['agent']) ?? named(actor), user: { id, properties } }
  }
  return { agent: undefined, user: undefined }
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
