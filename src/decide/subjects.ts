import { turnOfOwn } from '#lib/next-turn.ts'
import type { Gateway } from '#model/gateway.ts'
import type { AuthorizationRequest, Search } from '#model/request.ts'
import { ATTEMPTS_MAX, type EnterSteps, enter, KEPT_CHANGING, NO_RELEASE } from './enter.ts'
import { type Judged, stopped } from './judged.ts'
import { type JudgeOne, judgeSearch, type SearchSteps } from './search.ts'

/** What a search for subjects takes. */
export interface SubjectSteps extends EnterSteps, SearchSteps {}

/** A search for subjects: nobody asks but the gateway, and whoever could be found is verified, in `judgeOne`, like somebody who asks. */
export async function judgeSubjects(
  steps: SubjectSteps,
  request: AuthorizationRequest & { readonly search: Search },
  gateway: Gateway,
  judgeOne: JudgeOne,
  attempt = 1,
): Promise<Judged> {
  const entered = enter(steps, request, gateway)
  if (!entered.ok) return entered.failure
  const tenant = entered.value
  const { release } = tenant
  if (release === undefined) return stopped(NO_RELEASE, tenant)
  const asked = { request, gateway, tenant, release, identity: undefined, isAtOnce: attempt >= ATTEMPTS_MAX }
  const judged = await judgeSearch(steps, asked, judgeOne)
  if (steps.state.tenant(gateway.tenant) === tenant) return judged
  if (attempt >= ATTEMPTS_MAX) return stopped(KEPT_CHANGING)
  await turnOfOwn()
  return await judgeSubjects(steps, request, gateway, judgeOne, attempt + 1)
}
