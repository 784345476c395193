import { type AdmitSteps, admit } from '#decide/admit.ts'
import { stands } from '#decide/again.ts'
import { type Caller, judgeCall } from '#decide/call.ts'
import { askForCredentials } from '#decide/challenge.ts'
import { type CompleteSteps, completeAllow } from '#decide/complete.ts'
import { ATTEMPTS_MAX, type EnterSteps, enter, KEPT_CHANGING, NO_RELEASE } from '#decide/enter.ts'
import { type Judged, stopped } from '#decide/judged.ts'
import { judgeList } from '#decide/list.ts'
import { type RecordSteps, record } from '#decide/record.ts'
import { judgeRevoked, type RevokedSteps } from '#decide/revoked.ts'
import { judgeSearch, type SearchSteps } from '#decide/search.ts'
import { judgeSubjects } from '#decide/subjects.ts'
import { createFindAgent } from '#delegation/find-agent.ts'
import { resolveDelegation } from '#delegation/resolve.ts'
import { guardAfter } from '#guards/after.ts'
import { isUnverified } from '#guards/unverified.ts'
import type { Verify } from '#identity/verify.ts'
import type { Clock } from '#lib/clock.ts'
import { turnOfOwn } from '#lib/next-turn.ts'
import type { Decider } from '#model/decider.ts'
import type { Gateway } from '#model/gateway.ts'
import { REASONS } from '#model/reasons.ts'
import { type AuthorizationRequest, NOTHING_READ } from '#model/request.ts'
import type { JudgePolicy } from '#policy/judge.ts'
import { countOutcome } from '#revocation/count-outcome.ts'

/** The steps of a decision, wired once (src/wire.ts). */
export interface Steps extends EnterSteps, RevokedSteps, AdmitSteps, SearchSteps, CompleteSteps, RecordSteps {
  readonly clock: Clock
  readonly verify: Verify
  readonly judgePolicy: JudgePolicy
  /** Told about every call through a gateway whose caller could not be verified. */
  readonly onUnverified?: (gateway: Gateway) => void
  /** Told about every exception that became a deny; the message stays inside. */
  readonly onFault: (error: unknown) => void
}

/** Builds the product: one request from top to bottom. */
export function createDecider(steps: Steps): Decider {
  return {
    async decide(request, gateway, earlier) {
      if (earlier?.effect === 'deny') return earlier
      const startedAt = performance.now()
      const judged = await judgeSafely(steps, request, gateway)
      // INVARIANT: an allow is given again only when it was judged again, by the state of now; what is spared is its effects.
      if (earlier !== undefined && stands(earlier, judged, request)) return earlier
      // INVARIANT: an explanation for an operator stops and registers nobody; the agent that it is about did nothing.
      if (request.explain !== 'operator') countOutcome(steps.breakers, judged, request.now)
      if (isUnverified(judged)) steps.onUnverified?.(gateway)
      return await record(steps, { request, gateway, judged, startedAt })
    },
    async refuse(malformed, gateway, dialect, requestId) {
      const request = { ...NOTHING_READ, dialect, requestId, now: steps.clock() }
      const judged = stopped({ code: malformed.code, message: malformed.message })
      return await record(steps, { request, gateway, judged, startedAt: performance.now() })
    },
  }
}

/** Steps 1 to 14 of docs/architecture.md as a straight line; the first that says no wins. */
async function judge(
  steps: Steps,
  request: AuthorizationRequest,
  gateway: Gateway,
  attempt = 1,
): Promise<Judged> {
  const entered = enter(steps, request, gateway)
  if (!entered.ok) return entered.failure
  const tenant = entered.value

  const again = async (): Promise<Judged> => {
    if (attempt >= ATTEMPTS_MAX) return stopped(KEPT_CHANGING)
    if (request.search !== undefined) await turnOfOwn()
    return await judge(steps, request, gateway, attempt + 1)
  }

  const verified = await steps.verify(request, gateway, tenant)
  // INVARIANT: everything below is decided on the state as it is now. Fetching an issuer's keys takes as long as the issuer
  // likes, and what was revoked meanwhile must count.
  if (steps.state.tenant(gateway.tenant) !== tenant) return await again()
  if (!verified.ok) return stopped(askForCredentials(verified.failure, request, tenant), tenant)
  const findAgent = createFindAgent(tenant, steps.state, request.now)
  const identity = resolveDelegation(verified.value, tenant, findAgent, request.now)
  const revoked = judgeRevoked(steps, request, identity, tenant)
  if (revoked !== undefined) return stopped(revoked, tenant, identity)

  const { release } = tenant
  if (release === undefined) return stopped(NO_RELEASE, tenant, identity)
  const after = guardAfter(identity, tenant, findAgent, request.now)
  if (after !== undefined) {
    const admitted =
      request.explain === 'operator'
        ? after
        : await admit(steps, after, { identity, tenant, findAgent }, request.now)
    // INVARIANT: nothing is allowed before the state that it is decided on has the agent.
    return admitted === 'admitted' ? await again() : stopped(admitted, tenant, identity)
  }

  const caller: Caller = { identity, tenant, release, findAgent, gateway }
  const judged = judgeAsked(steps, caller, request, attempt)
  if (!(judged instanceof Promise)) return judged
  const done = await judged
  // INVARIANT: as above: what was revoked while the issuer took its time must count, and no list is made of two states.
  return steps.state.tenant(gateway.tenant) === tenant
    ? unlessStopped(steps, caller, request, done)
    : await again()
}

/** INVARIANT: what a breaker, a status list or the tenant of a sent agent has said meanwhile counts; the state has none of it. */
function unlessStopped(
  steps: Steps,
  { identity, tenant, findAgent }: Caller,
  request: AuthorizationRequest,
  done: Judged,
): Judged {
  const stop =
    judgeRevoked(steps, request, identity, tenant) ?? guardAfter(identity, tenant, findAgent, request.now)
  return stop === undefined ? done : stopped(stop, tenant, identity)
}

/** The call or the list; a promise where the state can change meanwhile. */
function judgeAsked(
  steps: Steps,
  caller: Caller,
  request: AuthorizationRequest,
  attempt: number,
): Judged | Promise<Judged> {
  if (request.candidates !== undefined) return judgeList(steps, caller, request, request.candidates)
  const { search } = request
  if (search !== undefined) {
    const asked = { ...caller, request: { ...request, search }, isAtOnce: attempt >= ATTEMPTS_MAX }
    return judgeSearch(steps, asked, (judgePolicy, candidate) => {
      const revoked = judgeRevoked(steps, candidate, caller.identity, caller.tenant)
      return revoked === undefined ? judgeCall({ judgePolicy }, caller, candidate) : stopped(revoked)
    })
  }
  const judged = judgeCall(steps, caller, request)
  return completeAllow(steps, caller, judged, request) ?? judged
}

/** INVARIANT: the only catch of the path. A fault is a deny with a reason code and a row, never an exception outside. */
async function judgeSafely(steps: Steps, request: AuthorizationRequest, gateway: Gateway): Promise<Judged> {
  try {
    const { search } = request
    if (search?.open !== 'subject') return await judge(steps, request, gateway)
    // INVARIANT: nobody is registered for being looked at.
    const { admit: _admit, ...others } = steps
    return await judgeSubjects(steps, { ...request, search }, gateway, (judgePolicy, candidate) =>
      judge({ ...others, judgePolicy }, candidate, gateway),
    )
  } catch (error) {
    steps.onFault(error)
    const detail = error instanceof Error ? error.name : 'unknown'
    return stopped({ code: 'internal.fault', message: REASONS['internal.fault'], detail })
  }
}
