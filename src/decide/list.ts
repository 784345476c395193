import { nextTurn } from '#lib/next-turn.ts'
import { isOpenMapping } from '#mapping/apply.ts'
import type { Judgement } from '#model/answer.ts'
import { REASONS, type ReasonCode } from '#model/reasons.ts'
import type { AuthorizationRequest, Candidate } from '#model/request.ts'
import type { JudgePolicy } from '#policy/judge.ts'
import { type Caller, judgeCall } from './call.ts'
import type { Judged } from './judged.ts'

/** Denials that a resource and facts of the call could turn into an allow. */
const OPEN: ReadonlySet<ReasonCode> = new Set([
  'policy.no_permit',
  'policy.vocabulary',
  'request.context_invalid',
])

/** Candidates that are judged in one turn of the event loop: a long list must not hold up everybody else's requests. */
const CANDIDATES_PER_TURN = 8

/**
 * Which of several calls this caller could make, judged in one pass after the caller was verified once (`tools/list`).
 *
 * A call stays in the list when some arguments could be allowed (policy/possible.ts): the call itself is decided when it comes.
 * What the list leaves out is hidden, never more: it grants nothing. A tool whose mapping makes a resource of its arguments is left out
 * only for what is known without them, such as a suspended agent or a policy that forbids the tool. The state can change meanwhile:
 * what it is made of is compared by whoever asks (src/decide.ts).
 */
export async function judgeList(
  steps: { readonly judgePolicy: JudgePolicy },
  caller: Caller,
  request: AuthorizationRequest,
  candidates: readonly Candidate[],
): Promise<Judged> {
  const permitted = await permittedOf(steps, caller, request, candidates)
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

/** Positions of the candidates that this caller could call. */
export async function permittedOf(
  steps: { readonly judgePolicy: JudgePolicy },
  caller: Caller,
  request: AuthorizationRequest,
  candidates: readonly Candidate[],
): Promise<readonly number[]> {
  const permitted: number[] = []
  // INVARIANT: what the list itself is says nothing about a call in it.
  const { candidates: _candidates, protocolEffect: _effect, ...asking } = request
  const isUndecided = ({ reasons }: Judgement, asked: AuthorizationRequest): boolean =>
    reasons.every(({ code }) => OPEN.has(code)) && isOpenMapping(asked, caller.tenant)
  for (const [position, candidate] of candidates.entries()) {
    if (position > 0 && position % CANDIDATES_PER_TURN === 0) await nextTurn()
    const asked = { ...asking, ...candidate }
    const { judgement } = judgeCall(steps, caller, asked)
    if (judgement.effect === 'allow' || isUndecided(judgement, asked)) permitted.push(position)
  }
  return permitted
}
