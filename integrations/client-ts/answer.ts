import type { Decision, Obligation } from './types.ts'

/** Obligations that Warder carries out itself. */
const CARRIED_OUT_BY_WARDER: ReadonlySet<string> = new Set(['audit', 'max_age'])

/** A deny of this client's own. */
export function denied(code: string, message: string): Decision {
  return {
    decision: 'deny',
    reasons: [{ code, message }],
    obligations: [],
    advice: [],
    decision_id: null,
    release: null,
    expires_at: null,
  }
}

/** Nobody decided. */
export function unavailable(message: string): Decision {
  return denied('client.unavailable', message)
}

/**
 * Reads the body of a 200 as a decision.
 *
 * INVARIANT: whatever is not in every part a decision of Warder's is a deny.
 */
export function readDecision(body: unknown): Decision {
  const answer = recordOf(body)
  if (answer === undefined) return unavailable('the answer is no object')
  const { decision, decision_id: id, reasons, obligations, advice } = answer
  const { release, expires_at: expiresAt } = answer
  if (decision !== 'allow' && decision !== 'deny') return unavailable('the answer holds no decision')
  if (typeof id !== 'string' || id === '') return unavailable('the answer has no decision id')
  if (!areRecords(reasons, 'code') || !areRecords(obligations, 'type') || !areRecords(advice, 'text'))
    return unavailable('the answer is not a whole decision')
  return {
    decision,
    reasons: reasons as unknown as Decision['reasons'],
    obligations: obligations as unknown as readonly Obligation[],
    advice: advice as unknown as Decision['advice'],
    decision_id: id,
    release: typeof release === 'string' ? release : null,
    expires_at: typeof expiresAt === 'string' ? expiresAt : null,
  }
}

/** `decision`, or a deny where it asks for something that nobody here can do. */
export function withObligationsMet(decision: Decision, carriesOut: readonly string[]): Decision {
  if (decision.decision === 'deny') return decision
  const unmet = decision.obligations.find(
    ({ type }) => !CARRIED_OUT_BY_WARDER.has(type) && !carriesOut.includes(type),
  )
  if (unmet === undefined) return decision
  const code = 'obligation.unsupported'
  const message = 'this service can not carry out an obligation of the decision'
  return { ...decision, decision: 'deny', reasons: [{ code, message }], obligations: [], expires_at: null }
}

/** `value` as an object with any members; undefined when it is none. */
export function recordOf(value: unknown): Readonly<Record<string, unknown>> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value))
    : undefined
}

function areRecords(value: unknown, textMember: string): value is readonly object[] {
  return Array.isArray(value) && value.every((each) => typeof recordOf(each)?.[textMember] === 'string')
}
