import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Decision } from '#model/decision.ts'
import type { ActorClaim, AuthorizationRequest, Credential, Malformed, PartyClaim } from '#model/request.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { isJsonObject } from '#protocols/strict-json.ts'
import { toolOf as toolOfResource } from './authzen-tool.ts'
import { passedOnChallenge } from './challenge.ts'
import { agentOfChain } from './claimed-chain.ts'
import { declaredOf } from './declared.ts'
import { credential, requestIdOf, traceparentOf } from './headers.ts'
import { readJsonBody } from './json-body.ts'
import { BATCH_ITEMS_MAX, type NativeRequest, nativeFields, nativeRequestSchema } from './native-schema.ts'
import { proofsOfFields } from './proof-fields.ts'
import { fromSchemaError, pathText } from './schema-error.ts'
import type { GatewayDialect, ItemAnswer, ReadRequest, WireRequest, WireResponse } from './wire.ts'

const NO_PROPERTIES: JsonObject = {}
const NO_ERRORS: ReadonlyMap<number, Malformed> = new Map()
const JSON_HEADERS = [['content-type', 'application/json']] as const
const STATUS: { readonly [code: string]: number } = {
  'request.too_large': 413,
  'request.unsupported_media_type': 415,
  'request.unsupported_encoding': 415,
  'request.idempotency_key': 422,
  'internal.fault': 500,
  'log.unavailable': 503,
  'log.overflow': 503,
}

/**
 * Warder's own dialect: `POST /v1/decide` and `POST /v1/decide/batch`. 200 carries allow and deny; a 4xx says that the
 * question could not be read, in the body with `decision` "deny" for readers that look no further.
 */
export const native: GatewayDialect = {
  read(wire, _gateway, now) {
    const body = readJsonBody(wire)
    if (!body.ok) return body
    return isBatch(wire) ? readBatch(body.value, wire, now) : readSingle(body.value, wire, now)
  },
  write(answers, asked) {
    const items = answers.map(answerJson)
    return jsonAnswer(asked.semantic === 'single' ? (items[0] ?? {}) : { decisions: items })
  },
  refuse({ code, message }) {
    return jsonAnswer(refusal(code, message), STATUS[code] ?? 400)
  },
}

function isBatch(wire: WireRequest): boolean {
  return (wire.rawUrl.split('?', 1)[0] ?? '').endsWith('/batch')
}

function readSingle(
  body: JsonObject,
  wire: WireRequest,
  now: EpochMilliseconds,
): Result<ReadRequest, Malformed> {
  const request = readNativeItem(body, wire, now)
  return request.ok
    ? success({ requests: [request.value], semantic: 'single', itemErrors: NO_ERRORS })
    : request
}

function readBatch(
  body: JsonObject,
  wire: WireRequest,
  now: EpochMilliseconds,
): Result<ReadRequest, Malformed> {
  const { requests: items, ...rest } = body
  const unknown = Object.keys(rest)[0]
  if (unknown !== undefined)
    return malformed(
      'request.unknown_field',
      `\`${pathText([unknown.slice(0, 64)])}\` is not a field; a batch has only \`requests\``,
    )
  if (items === undefined) return malformed('request.missing_field', '`requests` is required')
  if (!Array.isArray(items) || items.length === 0)
    return malformed('request.wrong_type', '`requests` must be a list with at least one item')
  if (items.length > BATCH_ITEMS_MAX)
    return malformed('request.batch_too_large', `\`requests\` may have ${BATCH_ITEMS_MAX} items`)
  const requests: AuthorizationRequest[] = []
  const itemErrors = new Map<number, Malformed>()
  items.forEach((item: Json, position) => {
    const request = readNativeItem(item, wire, now)
    if (request.ok) requests.push(request.value)
    else itemErrors.set(position, request.failure)
  })
  return success({ requests, semantic: 'execute_all', itemErrors })
}

/** Reads one question of the native dialect, however it came. */
export function readNativeItem(
  item: Json,
  wire: WireRequest,
  now: EpochMilliseconds,
): Result<AuthorizationRequest, Malformed> {
  if (!isJsonObject(item)) return malformed('request.wrong_type', 'an item must be an object')
  const parsed = nativeRequestSchema.safeParse(item)
  if (!parsed.success) return failed(fromSchemaError(parsed.error, item, nativeFields))
  const body = parsed.data
  if (body.tool === undefined && body.action === undefined)
    return malformed('request.missing_field', '`tool` is required (or `action` for one that is no tool)')
  const tool = toolOf(body)
  if (!tool.ok) return tool
  const proofs = proofsOfFields(body.proofs)
  if (!proofs.ok) return proofs
  const chain = actorsOf(body)
  const agent = agentOfChain(partyOf(body.agent), chain, '`agent` and `actors[0]` name different agents')
  if (!agent.ok) return agent
  return success({
    dialect: 'native',
    now,
    requestId: body.request?.id ?? requestIdOf(wire.rawHeaders),
    traceparent: traceparentOf(wire.rawHeaders),
    tenant: body.tenant,
    agent: agent.value,
    user: partyOf(body.user),
    ...(chain.length > 0 && { chain }),
    subject: undefined,
    credentials: credentialsOf(body),
    ...(proofs.value !== undefined && { proofs: proofs.value, batch: wire }),
    identityHeaders: [],
    tool: tool.value,
    route: undefined,
    action: actionOf(body),
    resource: body.resource && { ...body.resource, properties: body.resource.properties ?? NO_PROPERTIES },
    arguments: body.arguments,
    session: body.session,
    risk: body.risk?.score === undefined ? undefined : { score: body.risk.score },
    context: body.context ?? NO_PROPERTIES,
    declared: declaredOf(body),
    supportedObligations: undefined,
  })
}

function partyOf(party: NativeRequest['agent']): PartyClaim | undefined {
  if (party === undefined) return undefined
  if (typeof party === 'string') return { id: party, properties: NO_PROPERTIES }
  return { id: party.id, properties: party.properties ?? NO_PROPERTIES }
}

function actorsOf({ actors = [] }: NativeRequest): readonly ActorClaim[] {
  return actors.map((actor) =>
    typeof actor === 'string' ? { id: actor, issuer: undefined } : { id: actor.id, issuer: actor.issuer },
  )
}

/** The tool that `tool`, `action` and a resource that is a tool name; they must agree, or one would not be asked about. */
function toolOf({ tool, action, resource }: NativeRequest): Result<string | undefined, Malformed> {
  const named = typeof tool === 'object' ? `${tool.server}/${tool.name}` : tool
  const verb = typeof action === 'object' ? action.name : action
  if (named === undefined)
    return resource === undefined ? success(undefined) : toolOfResource(verb ?? '', resource)
  if (resource !== undefined) {
    const other = toolOfResource(named, resource)
    if (!other.ok || (other.value !== undefined && other.value !== named))
      return malformed('request.wrong_type', '`tool` and `resource.id` name different tools')
  }
  const agreed = toolOfResource(verb ?? named, { type: 'tool', id: named })
  return agreed.ok ? agreed : malformed('request.wrong_type', '`tool` and `action` name different tools')
}

function actionOf({ action }: NativeRequest): AuthorizationRequest['action'] {
  if (action === undefined) return undefined
  if (typeof action === 'string') return { name: action, properties: NO_PROPERTIES }
  return { name: action.name, properties: action.properties ?? NO_PROPERTIES }
}

/** The access token of a gateway's body under its scheme. */
export function credentialsOf({ credentials }: Pick<NativeRequest, 'credentials'>): readonly Credential[] {
  const token = credentials?.access_token
  const scheme = credentials?.token_type === 'DPoP' ? 'dpop' : 'bearer'
  return token === undefined ? [] : [credential(scheme, token)]
}

/** One answer of the native dialect. */
export function answerJson(item: ItemAnswer): JsonObject {
  return 'decision' in item ? decided(item.decision) : refusal(item.malformed.code, item.malformed.message)
}

function decided(decision: Decision): JsonObject {
  return {
    decision: decision.effect,
    reasons: decision.reasons.map(({ code, policy, message }) => ({
      code,
      ...(policy !== undefined && { policy }),
      ...(message !== undefined && { message }),
    })),
    // INVARIANT: properties can't rename the type or the origin of an obligation.
    obligations: decision.obligations.map(({ type, properties, policies }) =>
      Object.assign({ type }, properties, { type, policies }),
    ),
    advice: decision.advice.map(({ text, policy }) => ({ text, policy })),
    decision_id: decision.id,
    release: decision.release ?? null,
    expires_at: decision.expiresAt === undefined ? null : timestamp(decision.expiresAt),
    ...(decision.effect === 'allow' && { revocation_epoch: decision.stateVersion }),
    ...(decision.challenge !== undefined && { challenge: passedOnChallenge(decision, decision.challenge) }),
    ...(decision.proofNonce !== undefined && { dpop_nonce: decision.proofNonce }),
    ...(decision.retryAfterSeconds !== undefined && { retry_after: decision.retryAfterSeconds }),
  }
}

function timestamp(instant: EpochSeconds): string {
  return new Date(instant * 1000).toISOString().replace('.000Z', 'Z')
}

function refusal(code: string, message: string): JsonObject {
  return { decision: 'deny', error: { code, message } }
}

/** A body in the native dialect. */
export function jsonAnswer(body: Json, status = 200): WireResponse {
  return { status, headers: JSON_HEADERS, body: JSON.stringify(body) }
}

function malformed(code: Malformed['code'], message: string): Result<never, Malformed> {
  return failed({ code, message })
}
