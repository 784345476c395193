import type { Judgement } from '#model/answer.ts'
import type { Reason } from '#model/decision.ts'
import type { Advice } from '#model/obligation.ts'
import type { ReasonCode } from '#model/reasons.ts'
import type { PolicyRecord } from '#model/release.ts'
import { isRemediation, uniteObligations } from './obligations.ts'
import type { EngineFault, Evaluation } from './port.ts'

/** Whose permissions a query asks for. */
export type PartyName = 'agent' | 'user' | 'subject'

/** What the engine said about one party. */
export interface PartyEvaluation {
  readonly party: PartyName
  readonly outcome: Evaluation | EngineFault
}

/** The combined answer of policy, before expiry and gateway support are looked at. */
export type Combined = Pick<Judgement, 'effect' | 'reasons' | 'obligations' | 'advice'>

/** One party's part: how it decided and which policies say so. */
interface Verdict {
  readonly code: ReasonCode
  readonly policies: readonly PolicyRecord[]
  readonly detail?: string
}

/**
 * Combines the parties: authority is the intersection, every party must be permitted (docs/architecture.md, invariant 5).
 *
 * An allow unites the obligations of all satisfied permits. A deny lists the reasons of every denying party, agent first;
 * remediation is offered only if every denying party is stopped by forbids and each of these forbids offers one.
 *
 * @param autonomous no user stands behind the call: only permits that test `context.autonomous` count
 */
export function combine(
  evaluations: readonly PartyEvaluation[],
  policyOf: (id: string) => PolicyRecord | undefined,
  autonomous: boolean,
): Combined {
  const verdicts = evaluations.map(({ outcome }) => verdictOf(outcome, policyOf, autonomous))
  const denials = verdicts.filter((verdict) => verdict.code !== 'policy.permit')
  // INVARIANT: nobody asked means nobody permitted; an empty list of parties is never an allow.
  if (verdicts.length === 0) return deny([{ code: 'policy.no_permit' }])
  return denials.length === 0 ? allow(verdicts) : denied(denials)
}

function verdictOf(
  outcome: Evaluation | EngineFault,
  policyOf: (id: string) => PolicyRecord | undefined,
  autonomous: boolean,
): Verdict {
  if ('kind' in outcome) {
    return {
      code: outcome.kind === 'limit' ? 'policy.limit' : 'policy.engine_error',
      policies: [],
      detail: outcome.detail,
    }
  }
  const errored = records(outcome.errored, policyOf)
  const satisfied = records(outcome.satisfied, policyOf)
  // INVARIANT: Cedar skips a policy whose condition errors. A skipped forbid might have fired, so it denies.
  const brokenForbids = errored.filter((policy) => policy.effect === 'forbid')
  if (brokenForbids.length > 0 || errored.length < outcome.errored.length)
    return { code: 'policy.error', policies: brokenForbids }
  const forbids = satisfied.filter((policy) => policy.effect === 'forbid')
  if (forbids.length > 0) return { code: 'policy.forbid', policies: forbids }
  const permits = satisfied.filter((policy) => policy.effect === 'permit')
  if (permits.length === 0) return { code: 'policy.no_permit', policies: [] }
  if (autonomous && !permits.some((policy) => policy.testsAutonomous)) {
    return { code: 'policy.autonomous_not_permitted', policies: [] }
  }
  return { code: 'policy.permit', policies: permits }
}

function allow(verdicts: readonly Verdict[]): Combined {
  const permits = distinct(verdicts.flatMap((verdict) => verdict.policies))
  const united = uniteObligations(permits)
  if (!united.ok)
    return deny([
      { code: 'obligation.conflict', message: `obligations of type \`${united.conflict}\` contradict` },
    ])
  return {
    effect: 'allow',
    reasons: permits.map((policy) => reason('policy.permit', policy)),
    obligations: united.obligations,
    advice: adviceOf(permits),
  }
}

function denied(denials: readonly Verdict[]): Combined {
  const policies = distinct(denials.flatMap((verdict) => verdict.policies))
  const offered = denials.every(
    (verdict) =>
      verdict.code === 'policy.forbid' &&
      verdict.policies.every((policy) => policy.obligations.some(isRemediation)),
  )
  // What a forbid wants done whatever happens (audit, notify) always goes along; remediation only when it would help.
  const united = uniteObligations(
    policies.map((policy) => ({
      ...policy,
      obligations: policy.obligations.filter((o) => offered || !isRemediation(o)),
    })),
  )
  const reasons = denials.flatMap((verdict) =>
    verdict.policies.length === 0
      ? [{ code: verdict.code }]
      : verdict.policies.map((policy) => reason(verdict.code, policy)),
  )
  return {
    effect: 'deny',
    reasons: distinctReasons(reasons),
    obligations: united.ok ? united.obligations : [],
    advice: adviceOf(policies),
  }
}

/** A deny that no policy is responsible for. */
export function deny(reasons: readonly Reason[]): Combined {
  return { effect: 'deny', reasons, obligations: [], advice: [] }
}

function reason(code: ReasonCode, policy: PolicyRecord): Reason {
  return policy.reason === undefined
    ? { code, policy: policy.id }
    : { code, policy: policy.id, message: policy.reason }
}

function records(
  ids: readonly string[],
  policyOf: (id: string) => PolicyRecord | undefined,
): readonly PolicyRecord[] {
  return ids.map(policyOf).filter((policy) => policy !== undefined)
}

function adviceOf(policies: readonly PolicyRecord[]): readonly Advice[] {
  return policies.flatMap((policy) =>
    policy.advice === undefined ? [] : [{ text: policy.advice, policy: policy.id }],
  )
}

function distinct(policies: readonly PolicyRecord[]): readonly PolicyRecord[] {
  return [...new Map(policies.map((policy) => [policy.id, policy])).values()]
}

function distinctReasons(reasons: readonly Reason[]): readonly Reason[] {
  return [...new Map(reasons.map((entry) => [`${entry.code}\u0000${entry.policy ?? ''}`, entry])).values()]
}
