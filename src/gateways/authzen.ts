import type { EpochMilliseconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Challenge } from '#model/challenge.ts'
import type { Decision } from '#model/decision.ts'
import type { AuthorizationRequest, EntityClaim, Malformed } from '#model/request.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { readEvaluations } from './authzen-batch.ts'
import { authzenObligations, obligationTypesOf } from './authzen-obligations.ts'
import { partiesOf } from './authzen-parties.ts'
import {
  type Evaluation,
  evaluationSchema,
  type WarderContext,
  warderContextSchema,
} from './authzen-schema.ts'
import { toolOf } from './authzen-tool.ts'
import { passedOnChallenge } from './challenge.ts'
import { declaredOf } from './declared.ts'
import { requestIdOf, traceparentOf } from './headers.ts'
import { readJsonBody } from './json-body.ts'
import { credentialsOf } from './native.ts'
import { nativeFields } from './native-schema.ts'
import { proofsOfFields } from './proof-fields.ts'
import { fromSchemaError } from './schema-error.ts'
import type { GatewayDialect, ItemAnswer, WireRequest, WireResponse } from './wire.ts'

const NO_PROPERTIES: JsonObject = {}
const JSON_HEADERS = [['content-type', 'application/json']] as const
const STATUS: { readonly [code: string]: number } = {
  'request.idempotency_key': 422,
  'internal.fault': 500,
  'log.unavailable': 503,
  'log.overflow': 503,
}

/**
 * AuthZEN Authorization API 1.0: `POST /access/v1/evaluation` and `/access/v1/evaluations`.
 *
 * Bodies are minimal and hold nothing that differs between equal requests: `{"decision":true}` alone unless there are
 * obligations. Whatever can't be read is a 400 whose body is one JSON string; unknown fields are ignored.
 */
export const authzen: GatewayDialect = {
  read(wire, _gateway, now) {
    const body = readJsonBody(wire)
    if (!body.ok) return body
    const read = (item: JsonObject): Result<AuthorizationRequest, Malformed> =>
      readEvaluation(item, wire, now)
    if (isBatch(wire)) return readEvaluations(body.value, read)
    const request = read(body.value)
    if (!request.ok) return request
    return success({ requests: [request.value], semantic: 'single', itemErrors: new Map() })
  },
  write(answers, asked) {
    const items = itemsOf(answers, asked.requests)
    const isSingle = asked.semantic === 'single'
    const body = isSingle ? (items[0] ?? { decision: false }) : { evaluations: items }
    // What differs between equal requests goes into headers.
    const nonce = isSingle ? nonceOf(answers[0]) : undefined
    return authzenAnswer(200, body, nonce === undefined ? [] : [['dpop-nonce', nonce]])
  },
  refuse({ code, message }) {
    return authzenAnswer(STATUS[code] ?? 400, `${code}: ${message}`)
  },
}

function isBatch(wire: WireRequest): boolean {
  return (wire.rawUrl.split('?', 1)[0] ?? '').endsWith('/evaluations')
}

/** Reads one evaluation. */
export function readEvaluation(
  item: JsonObject,
  wire: WireRequest,
  now: EpochMilliseconds,
): Result<AuthorizationRequest, Malformed> {
  const parsed = evaluationSchema.safeParse(item)
  if (!parsed.success) return failed(fromSchemaError(parsed.error, item, () => []))
  const { warder: own, ...context } = parsed.data.context ?? NO_PROPERTIES
  const extension = readExtension(own)
  if (!extension.ok) return extension
  const subject = claim(parsed.data.subject)
  const parties = partiesOf(subject, context)
  if (!parties.ok) return parties
  const tool = toolOf(parsed.data.action.name, parsed.data.resource)
  if (!tool.ok) return tool
  const proofs = proofsOfFields(extension.value.proofs)
  if (!proofs.ok) return proofs
  const named = {
    ...parties.value,
    subject,
    tool: tool.value,
    ...(proofs.value !== undefined && { proofs: proofs.value, batch: wire }),
  }
  return success(toRequest(parsed.data, named, context, extension.value, wire, now))
}

/** Our extension is strict, unlike the rest: a misspelt session or risk must not silently not count. */
function readExtension(value: Json | undefined): Result<WarderContext, Malformed> {
  if (value === undefined || value === null) return success({})
  const parsed = warderContextSchema.safeParse(value)
  if (parsed.success) return success(parsed.data)
  const { code, message } = fromSchemaError(parsed.error, value, nativeFields)
  return failed({ code, message: `in \`context.warder\`: ${message}` })
}

function toRequest(
  { action, resource }: Evaluation,
  named: Pick<AuthorizationRequest, 'agent' | 'user' | 'chain' | 'subject' | 'tool' | 'proofs' | 'batch'>,
  context: JsonObject,
  extension: WarderContext,
  wire: WireRequest,
  now: EpochMilliseconds,
): AuthorizationRequest {
  const { risk } = extension
  return {
    dialect: 'authzen',
    now,
    requestId: requestIdOf(wire.rawHeaders),
    traceparent: traceparentOf(wire.rawHeaders),
    tenant: extension.tenant,
    ...named,
    credentials: credentialsOf(extension),
    identityHeaders: [],
    route: undefined,
    action: { name: action.name, properties: action.properties ?? NO_PROPERTIES },
    resource: claim(resource),
    arguments: extension.arguments,
    session: extension.session,
    risk: risk?.score === undefined ? undefined : { score: risk.score },
    context,
    declared: declaredOf(extension),
    supportedObligations: supportedOf(context['supported_obligations']),
  }
}

function claim({ type, id, properties }: Evaluation['subject']): EntityClaim {
  return { type, id, properties: properties ?? NO_PROPERTIES }
}

/** Absent or null: no statement. Anything that is no list names nothing, and so supports nothing. */
function supportedOf(value: Json | undefined): readonly string[] | undefined {
  if (value === undefined || value === null) return undefined
  if (!Array.isArray(value)) return []
  return obligationTypesOf(value.filter((name: Json) => typeof name === 'string'))
}

function itemsOf(
  answers: readonly ItemAnswer[],
  requests: readonly AuthorizationRequest[],
): readonly JsonObject[] {
  let readable = 0
  return answers.map((item) => {
    if ('malformed' in item) return itemError(item.malformed)
    const request = requests[readable++]
    const { effect, obligations } = item.decision
    const decision = effect === 'allow'
    const told = toldChallenge(item.decision)
    if (obligations.length === 0 && told === undefined) return { decision }
    const subject = request?.context['decision_subject']
    return {
      decision,
      context: {
        ...(obligations.length > 0 && { obligations: authzenObligations(obligations, subject) }),
        ...(told !== undefined && { challenge: told }),
      },
    }
  })
}

/** Without an error it says only that a credential could be sent, which is no news to a gateway. */
export function toldChallenge(decision: Decision): JsonObject | undefined {
  const { challenge } = decision
  return challenge?.error === undefined ? undefined : passedOnChallenge(decision, withoutNonce(challenge))
}

function withoutNonce({ nonce: _nonce, ...challenge }: Challenge): Challenge {
  return challenge
}

function nonceOf(item: ItemAnswer | undefined): string | undefined {
  return item !== undefined && 'decision' in item ? item.decision.proofNonce : undefined
}

function itemError({ code, message }: Malformed): JsonObject {
  return { decision: false, context: { error: { status: 400, message: `${code}: ${message}` } } }
}

/** An answer in JSON. */
export function authzenAnswer(status: number, body: Json, more: WireResponse['headers'] = []): WireResponse {
  return { status, headers: [...JSON_HEADERS, ...more], body: JSON.stringify(body) }
}
