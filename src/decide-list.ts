import { type Caller, judgeCall } from '#decide-call.ts'
import type { Judged } from '#decide-judged.ts'
import { REASONS } from '#model/reasons.ts'
import type { AuthorizationRequest, Candidate } from '#model/request.ts'
import type { JudgePolicy } from '#policy/judge.ts'

/**
 * Which of several calls this caller could make, judged in one pass after the caller was verified once (`tools/list`).
 *
 * A call stays in the list when some arguments could be allowed (policy/possible.ts): the call itself is decided when it comes.
 * What the list leaves out is hidden, never more: it grants nothing.
 */
export function judgeList(
  steps: { readonly judgePolicy: JudgePolicy },
  caller: Caller,
  request: AuthorizationRequest,
  candidates: readonly Candidate[],
): Judged {
  const permitted: number[] = []
  // INVARIANT: what the list itself is says nothing about a call in it.
  const { candidates: _candidates, protocolEffect: _effect, ...asking } = request
  for (const [position, candidate] of candidates.entries()) {
    const { judgement } = judgeCall(steps, caller, { ...asking, ...candidate })
    if (judgement.effect === 'allow') permitted.push(position)
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
