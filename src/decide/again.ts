import type { Decision } from '#model/decision.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import { type Judged, upstreamHeadersOf } from './judged.ts'

/**
 * Whether an allow is still the answer, in every part that its gateway acts on and for as long as it says, given what judging the same
 * request again has found.
 */
export function stands(
  earlier: Decision,
  judged: Judged,
  request: Pick<AuthorizationRequest, 'credentials'>,
): boolean {
  const { judgement, identity, upstreamToken } = judged
  if (judgement.effect !== 'allow' || earlier.effect !== 'allow') return false
  // A signed list is made for one call, and so is the place where a page ends.
  if (earlier.capabilities !== undefined || earlier.found !== undefined) return false
  const { agent, user } = earlier.identity
  if (agent !== identity?.agent?.id || user !== identity?.user?.id) return false
  // One that is handed out no more has been ended, or is over.
  if (earlier.upstreamToken?.reveal() !== upstreamToken?.reveal()) return false
  const { obligations, advice, permitted, reasons } = earlier
  const said = [
    earlier.upstreamHeaders,
    obligations,
    advice,
    permitted,
    reasons.map(({ code, policy }) => [code, policy]),
  ]
  const found = [
    upstreamHeadersOf(judged, request),
    judgement.obligations,
    judgement.advice,
    judgement.permitted,
    judgement.reasons.map(({ code, policy }) => [code, policy]),
  ]
  return JSON.stringify(said) === JSON.stringify(found) && isInTime(earlier, judgement.expiresAt)
}

/** INVARIANT: nothing lasts longer because it was asked for twice. */
function isInTime({ expiresAt }: Decision, endsAt: Decision['expiresAt']): boolean {
  if (endsAt === undefined) return true
  return expiresAt !== undefined && expiresAt <= endsAt
}
