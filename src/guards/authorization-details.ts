import { createHash } from 'node:crypto'
import { type EpochMilliseconds, toSeconds } from '#lib/clock.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { Json, JsonObject } from '#model/value.ts'

/** The call that details must cover. */
export interface DetailedCall {
  readonly request: AuthorizationRequest
  readonly now: EpochMilliseconds
  /** Id of the tool; undefined where the call names none. */
  readonly tool: string | undefined
  /** Action groups of the tool. */
  readonly groups: readonly string[]
  /** URIs that stand for what is behind the gateway. */
  readonly locations: readonly string[]
}

/** Whether one member of a details object allows the call; a member that the object has and the type does not know denies. */
type Member = (value: Json, call: DetailedCall) => boolean
/** The members of a type, and those that an object must have. */
interface Comparator {
  readonly members: { readonly [name: string]: Member }
  readonly required: readonly string[]
}

const tools: Member = (value, { tool }) =>
  tool !== undefined && texts(value).some((name) => names(name, tool))

/** Members that RFC 9396 section 2.2 shares out to all types. An absent one bounds nothing. */
const COMMON: { readonly [name: string]: Member } = {
  type: () => true,
  locations: (value, call) => texts(value).some((location) => call.locations.includes(location)),
  actions: (value, { request, groups }) => {
    const done = [request.action?.name, ...groups]
    return texts(value).some((action) => done.includes(action))
  },
  datatypes: (value, { request }) =>
    request.resource !== undefined && texts(value).includes(request.resource.type),
  identifier: (value, { request }) => request.resource !== undefined && value === request.resource.id,
  expires: (value, { now }) => typeof value === 'number' && toSeconds(now) < value,
  tools,
}

/**
 * The types whose objects can cover a call. `agent_task`: a task with the tools that it may use; the task and goal that an agent
 * declares must be those. `tool_call`: tools with bounds for their arguments.
 */
const COMPARATORS: ReadonlyMap<Json | undefined, Comparator> = new Map([
  [
    'agent_task',
    {
      required: ['tools'],
      members: {
        ...COMMON,
        task_id: (value: Json, { request }: DetailedCall) =>
          typeof value === 'string' && [undefined, value].includes(text(request.declared['task'])),
        goal_hash: (value: Json, { request }: DetailedCall) => value === sha256(request.declared['goal']),
      },
    },
  ],
  [
    'tool_call',
    {
      required: ['tools'],
      members: {
        ...COMMON,
        arguments: (value: Json, { request }: DetailedCall) => boundsHold(value, request.arguments ?? {}),
      },
    },
  ],
])

/**
 * Whether one of the RFC 9396 objects covers the call: objects are alternatives, and within one all members must hold.
 *
 * INVARIANT: an unknown type covers nothing, and so does an object with a member that its type does not have: it was meant to
 * bound something (RFC 9396 section 5).
 */
export function fitsDetails(details: readonly JsonObject[], call: DetailedCall): boolean {
  return details.some((object) => {
    const comparator = COMPARATORS.get(object['type'])
    if (comparator === undefined) return false
    const { members, required } = comparator
    return (
      required.every((name) => Object.hasOwn(object, name)) &&
      Object.entries(object).every(
        ([name, value]) => Object.hasOwn(members, name) && members[name]?.(value, call),
      )
    )
  })
}

/** `server/*` names all tools of a server; there is no pattern for all tools. */
function names(pattern: string, tool: string): boolean {
  return (
    pattern === tool ||
    (pattern.length > 2 &&
      pattern.endsWith('/*') &&
      tool.startsWith(pattern.slice(0, -1)) &&
      tool.length >= pattern.length)
  )
}

/** Every bounded argument must be there and within its bound: a value that it equals, or `{max, min, in}`. */
function boundsHold(bounds: Json, given: JsonObject): boolean {
  if (!isObject(bounds)) return false
  return Object.entries(bounds).every(
    ([name, bound]) => Object.hasOwn(given, name) && isWithin(given[name], bound),
  )
}

function isWithin(value: Json | undefined, bound: Json): boolean {
  if (value === undefined) return false
  if (!isObject(bound)) return !Array.isArray(bound) && value === bound
  const checks: { readonly [name: string]: (limit: Json) => boolean } = {
    max: (limit) => typeof limit === 'number' && typeof value === 'number' && value <= limit,
    min: (limit) => typeof limit === 'number' && typeof value === 'number' && value >= limit,
    in: (limit) => Array.isArray(limit) && limit.some((item) => item === value),
  }
  const wanted = Object.entries(bound)
  return (
    wanted.length > 0 && wanted.every(([name, limit]) => Object.hasOwn(checks, name) && checks[name]?.(limit))
  )
}

function texts(value: Json): readonly string[] {
  const list: readonly Json[] = Array.isArray(value) ? value : [value]
  // One member that is no text makes the whole list unreadable.
  return list.every((item): item is string => typeof item === 'string') ? list : []
}

function text(value: Json | undefined): string | undefined {
  return typeof value === 'string' ? value : undefined
}

function sha256(goal: Json | undefined): string | undefined {
  return typeof goal === 'string' ? createHash('sha256').update(goal).digest('base64url') : undefined
}

function isObject(value: Json): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
