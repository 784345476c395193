import type { EpochMilliseconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Decision } from '#model/decision.ts'
import { REASONS } from '#model/reasons.ts'
import type { AuthorizationRequest, Malformed } from '#model/request.ts'
import type { JsonObject } from '#model/value.ts'
import { readJsonBody } from './json-body.ts'
import { jsonAnswer, native, readNativeItem } from './native.ts'
import { remediesFor } from './remedies.ts'
import type { GatewayDialect, WireRequest } from './wire.ts'

/**
 * `POST /v1/explain`: the decision that `POST /v1/decide` would make, in words that an agent may see.
 *
 * INVARIANT: no policy, no attribute and no argument is told here, only reason codes and remedies: whatever a gateway passes
 * on to its agent gives nothing away. And nothing in the answer can be used as an allow: no obligations, no expiry, and
 * `decision` is no word.
 */
export const explain: GatewayDialect = {
  read(wire, _gateway, now) {
    const body = readJsonBody(wire)
    const read = body.ok ? readNativeItem(body.value, wire, now) : body
    if (!read.ok) return read
    const request = { ...read.value, explain: 'agent' } as const
    return success({ requests: [request], semantic: 'single', itemErrors: new Map() })
  },
  write([answer], _asked, wire) {
    if (answer === undefined || !('decision' in answer)) return native.refuse(FAULT, wire)
    return jsonAnswer({
      decision: outcomeJson(answer.decision),
      explanation: agentExplanation(answer.decision),
    })
  },
  refuse: native.refuse,
}

const FAULT = { code: 'internal.fault', message: 'the decision could not be explained' } as const

/**
 * The question of an operator: as in `POST /v1/decide`, but the parties are the operator's word. Credentials and proofs are
 * refused, so that none is used up or gets into the hands of an operator.
 */
export function readOperatorQuestion(
  wire: WireRequest,
  now: EpochMilliseconds,
): Result<AuthorizationRequest, Malformed> {
  const body = readJsonBody(wire)
  if (!body.ok) return body
  const refused = ['credentials', 'proofs'].find((name) => Object.hasOwn(body.value, name))
  if (refused !== undefined)
    return failed({
      code: 'request.unknown_field',
      message: `\`${refused}\` is not a field here: name \`agent\` and \`user\`, and send no credential of theirs`,
    })
  const read = readNativeItem(body.value, wire, now)
  return read.ok ? success({ ...read.value, explain: 'operator' }) : read
}

/** What was decided, not as a word that could be taken for an answer to act on. */
export function outcomeJson({ effect, id, release }: Decision): JsonObject {
  return { effect, decision_id: id, release: release ?? null }
}

/** What an agent may be told: reason codes in our own words, and what would help. */
export function agentExplanation(decision: Decision): JsonObject {
  const codes = [...new Set(decision.reasons.map(({ code }) => code))]
  const reasons = codes.map((code) => ({ code, message: REASONS[code] }))
  const remedies = decision.effect === 'deny' ? remediesFor(decision, codes) : []
  const why = reasons.map(({ code, message }) => `${message} (${code})`).join('; ')
  const help =
    remedies.length === 0 ? '' : ` What can help: ${remedies.map(({ message }) => message).join('; ')}.`
  const text = `${decision.effect === 'allow' ? 'Would be allowed' : 'Denied'}: ${why}.${help}`
  return { text, reasons, remedies: remedies.map(({ code, message }) => ({ code, message })) }
}
