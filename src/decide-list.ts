import { type Caller, judgeCall } from '#decide-call.ts'
import type { Judged } from '#decide-judged.ts'
import { REASONS } from '#model/reasons.ts'
import type { AuthorizationRequest, Candidate } from '#model/request.ts'
import type { JudgePolicy } from '#policy/judge.ts'

/**
 * Which of several calls this caller could make, judged in one pass after the caller was verified once (`tools/list`).
 *
 * A call stays in the list when it is allowed, or when that depends on arguments that nobody has chosen yet: the call itself is
 * decided when it comes. What the list leaves out is hidden, never more: it grants nothing.
 */
export function judgeList(
  steps: { readonly judgePolicy: JudgePolicy },
  caller: Caller,
  request: AuthorizationRequest,
  candidates: readonly Candidate[],
): Judged {
  const permitted: number[] = []
  for (const [position, candidate] of candidates.entries()) {
    const { judgement } = judgeCall(steps, caller, { ...request, ...candidate, candidates: undefined })
    if (judgement.effect === 'allow' || judgement.reasons[0]?.code === 'mcp.body_needed')
      permitted.push(position)
  }
  return {
    judgement: {
      effect: 'allow',
      reasons: [{ code: 'list.filtered', message: REASONS['list.filtered'] }],
      obligations: [],
      advice: [],
      expiresAt: undefined,
      trace: { detail: `${permitted.length} of ${candidates.length} are permitted` },
      permitted,
    },
    identity: caller.identity,
    tenant: caller.tenant,
  }
}
