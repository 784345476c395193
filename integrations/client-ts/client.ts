import { readDecision, unavailable, withObligationsMet } from './answer.ts'
import { createFollower, type Follower } from './follower.ts'
import { type CallAnswer, checkCall, type HttpCall } from './http-call.ts'
import { createKeep, type Keep } from './keep.ts'
import type { DecideRequest, Decision, WarderSettings } from './types.ts'

export type { CallAnswer, HttpCall } from './http-call.ts'
export type { DecideRequest, Decision, Obligation, Reason, WarderSettings } from './types.ts'

const ATTEMPTS_MAX = 2

/** Warder, as a service asks it. Nothing here throws for want of an answer: no answer is a deny. */
export interface Warder {
  /**
   * Asks about one action.
   *
   * @param carriesOut obligation types that the caller carries out before it acts; an allow that asks for another is a deny
   */
  decide(question: DecideRequest, carriesOut?: readonly string[]): Promise<Decision>
  /** Asks about an HTTP call whose route is registered as a tool. */
  check(call: HttpCall): Promise<CallAnswer>
  /**
   * Begins to follow what is revoked, until `close`. From then on allows may be kept, and what is held is cut.
   *
   * @returns whether it does follow, at the latest after `timeoutMilliseconds`; if not yet, it keeps trying
   */
  follow(): Promise<boolean>
  /**
   * A signal for something that may last, such as a stream; get it before you ask. It is aborted as soon as the tenant's state
   * changes, because the allow may no longer hold, and whenever changes can't be followed. Without `follow` it never is.
   * Call `release` when it has ended by itself.
   */
  hold(): { readonly signal: AbortSignal; release(): void }
  close(): void
}

/** Makes a client. It opens no connection before it is asked. @throws TypeError when `url` is no HTTP URL */
export function createWarder(settings: WarderSettings): Warder {
  const base = new URL(settings.url)
  if (base.protocol !== 'http:' && base.protocol !== 'https:')
    throw new TypeError('`url` must be an HTTP URL')
  const { gatewayKey, timeoutMilliseconds = 1_000, keptMax = 1_000 } = settings
  const place: Place = { url: base.href.replace(/\/+$/, ''), gatewayKey, timeoutMilliseconds }
  const keep = createKeep(keptMax)
  const holds = new Set<AbortController>()
  const forget = () => {
    keep.clear()
    for (const each of holds) each.abort(new Error('what was allowed may no longer hold'))
    holds.clear()
  }
  let follower: Follower | undefined
  return {
    async decide(question, carriesOut = []) {
      return withObligationsMet(await keptOrAsked(place, question, keep, follower), carriesOut)
    },
    check: (call) => checkCall(place, call),
    async follow() {
      follower ??= createFollower(place, forget)
      return await isFollowing(follower, timeoutMilliseconds)
    },
    hold() {
      const controller = new AbortController()
      // INVARIANT: without news nothing that may last can begin; it could not be cut.
      if (follower?.isCurrent() === false) controller.abort(new Error('revocations are not followed'))
      else holds.add(controller)
      return { signal: controller.signal, release: () => void holds.delete(controller) }
    },
    close() {
      follower?.close()
      follower = undefined
      forget()
    },
  }
}

async function isFollowing(follower: Follower, withinMilliseconds: number): Promise<boolean> {
  const end = performance.now() + withinMilliseconds
  while (!follower.isCurrent() && performance.now() < end)
    await new Promise((resolve) => setTimeout(resolve, 20))
  return follower.isCurrent()
}

/** Where to ask. */
export interface Place {
  /** Without a slash at its end. */
  readonly url: string
  readonly gatewayKey: string
  readonly timeoutMilliseconds: number
}

async function keptOrAsked(
  place: Place,
  question: DecideRequest,
  keep: Keep,
  follower: Follower | undefined,
): Promise<Decision> {
  if (follower?.isCurrent() !== true) return await ask(place, question)
  const kept = await keep.find(question)
  if (kept !== undefined) return kept
  const generation = keep.generation()
  const decision = await ask(place, question)
  // INVARIANT: an answer from before a change is not kept after it.
  if (follower.isCurrent() && keep.generation() === generation) await keep.add(question, decision)
  return decision
}

/** Asks, and once more under the same key when nothing came back: Warder knows the repeat as one, and counts nothing twice. */
async function ask(place: Place, question: DecideRequest): Promise<Decision> {
  const key = crypto.randomUUID()
  const id = question.request?.id ?? key
  const body = JSON.stringify({ ...question, request: { ...question.request, id } })
  const signal = AbortSignal.timeout(place.timeoutMilliseconds)
  for (let attempt = 1; ; attempt++) {
    const answer = await askOnce(place, key, body, signal)
    if (answer !== undefined) return answer
    if (attempt >= ATTEMPTS_MAX || signal.aborted) return unavailable('Warder did not answer')
  }
}

/** One attempt; undefined when it may be repeated. */
async function askOnce(
  place: Place,
  key: string,
  body: string,
  signal: AbortSignal,
): Promise<Decision | undefined> {
  try {
    const response = await fetch(`${place.url}/v1/decide`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${place.gatewayKey}`,
        'content-type': 'application/json',
        'idempotency-key': `"${key}"`,
      },
      body,
      redirect: 'error',
      signal,
    })
    const answer: unknown = await response.json().catch(() => undefined)
    if (response.status === 200) return readDecision(answer)
    return response.status === 503 ? undefined : unavailable(`Warder answered ${response.status}`)
  } catch {
    return undefined
  }
}
