import { failed, type Result, success } from '#lib/result.ts'
import type { AuthorizationRequest, Malformed } from '#model/request.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { isJsonObject } from '#protocols/strict-json.ts'
import { EVALUATIONS_MAX, semanticSchema } from './authzen-schema.ts'
import type { ReadRequest } from './wire.ts'

const DEFAULTED = ['subject', 'action', 'resource', 'context'] as const

/**
 * Reads an `evaluations` body (AuthZEN 1.0 section 7.1). Without items it is a single evaluation and is answered as one.
 * Items are checked after the defaults went in, so that a default that no item uses may be incomplete.
 *
 * @param read reads one merged item
 */
export function readEvaluations(
  body: JsonObject,
  read: (item: JsonObject) => Result<AuthorizationRequest, Malformed>,
): Result<ReadRequest, Malformed> {
  const items = body['evaluations'] ?? []
  if (!Array.isArray(items)) return malformed('request.wrong_type', '`evaluations` must be a list')
  if (items.length > EVALUATIONS_MAX)
    return malformed('request.batch_too_large', `\`evaluations\` may have ${EVALUATIONS_MAX} items`)
  const semantic = semanticOf(body['options'])
  if (!semantic.ok) return semantic
  if (items.length === 0) {
    const request = read(body)
    if (!request.ok) return request
    return success({ requests: [request.value], semantic: 'single', itemErrors: new Map() })
  }
  const requests: AuthorizationRequest[] = []
  const itemErrors = new Map<number, Malformed>()
  items.forEach((item: Json, position) => {
    const request = isJsonObject(item)
      ? read(mergeDefaults(body, item))
      : malformed('request.wrong_type', `\`evaluations[${position}]\` must be an object`)
    if (request.ok) requests.push(request.value)
    else itemErrors.set(position, request.failure)
  })
  return success({ requests, semantic: semantic.value, itemErrors })
}

/**
 * One item with what it leaves out taken from the top level. An item's own member replaces the whole default; only a
 * missing `type` of a subject or resource is inherited, which the two readings of the specification in use both accept,
 * and Warder's own members of the context.
 */
export function mergeDefaults(defaults: JsonObject, item: JsonObject): JsonObject {
  const merged: { [key: string]: Json } = { ...item }
  for (const key of DEFAULTED) {
    const fallback = defaults[key]
    const own = item[key]
    if (fallback === undefined) continue
    if (own === undefined) merged[key] = fallback
    else if (isJsonObject(own) && isJsonObject(fallback)) merged[key] = withShared(own, fallback, key)
  }
  return merged
}

/** Members that an item inherits although its own object replaces the default. */
const SHARED: { readonly [key: string]: readonly string[] } = {
  subject: ['type'],
  resource: ['type'],
  // INVARIANT: what is said for the whole batch (token, tenant, obligations) can't be shed by an item's own context.
  context: ['warder', 'supported_obligations'],
}

function withShared(own: JsonObject, fallback: JsonObject, key: string): JsonObject {
  const inherited = (SHARED[key] ?? []).filter(
    (name) => own[name] === undefined && fallback[name] !== undefined,
  )
  if (inherited.length === 0) return own
  return { ...own, ...Object.fromEntries(inherited.map((name) => [name, fallback[name] ?? null])) }
}

function semanticOf(
  options: Json | undefined,
): Result<Exclude<ReadRequest['semantic'], 'single'>, Malformed> {
  if (options === undefined || options === null) return success('execute_all')
  if (!isJsonObject(options)) return malformed('request.wrong_type', '`options` must be an object')
  const parsed = semanticSchema.safeParse(options['evaluations_semantic'] ?? 'execute_all')
  if (parsed.success) return success(parsed.data)
  return malformed(
    'request.wrong_type',
    `\`options.evaluations_semantic\` must be one of ${semanticSchema.options.join(', ')}`,
  )
}

function malformed(code: Malformed['code'], message: string): Result<never, Malformed> {
  return failed({ code, message })
}
