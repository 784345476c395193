import type { SignSet } from '#identity/set-signer.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { TenantId } from '#model/ids.ts'
import type { JsonObject } from '#model/value.ts'
import type { OutgoingStreams, Settlement, StreamOwner, WaitingEvent } from './outgoing.ts'
import { type Refusal, STREAM_UNKNOWN, UNAUTHENTICATED } from './refusal.ts'

/** A poll as RFC 8936 section 2.4 has it. */
export interface PollRequest extends Settlement {
  /** 0: it only acknowledges. Undefined: as many as we give. */
  readonly maxEvents: number | undefined
  readonly returnImmediately: boolean
}

/** The answer: tokens by their `jti`, oldest first. */
export interface PollAnswer {
  readonly sets: { readonly [token: string]: string }
  readonly moreAvailable: boolean
}

/**
 * Answers one poll of the owner of a stream.
 *
 * @param wait resolves to true when it is time to look again, to false when no longer is waited
 */
export type ServePoll = (
  owner: StreamOwner,
  request: PollRequest,
  wait: () => Promise<boolean>,
) => Promise<Result<PollAnswer, Refusal>>

/** Tokens of one answer. */
const EVENTS_MAX = 64
/** Texts that are kept, for polls that come before an acknowledgement; the oldest make room. */
const KEPT_MAX = 1_024
/** Longer ones are not kept. */
const KEPT_LENGTH_MAX = 4_096

/**
 * Poll delivery (RFC 8936). What is not acknowledged comes again with the next poll; what is acknowledged, or refused by
 * `setErrs`, never does.
 */
export function createServePoll({
  store,
  sign,
  issuerOf,
}: {
  readonly store: Pick<OutgoingStreams, 'find' | 'settle' | 'waiting'>
  readonly sign: SignSet
  readonly issuerOf: (tenant: TenantId) => string
}): ServePoll {
  const signOnce = createSignOnce(sign)
  const signed = async ({ tenant, audience }: StreamOwner, found: readonly WaitingEvent[]) => {
    const sets: [string, string][] = []
    for (const { token, issuedAt, subject, events } of found) {
      const about = { jti: token, iat: issuedAt, sub_id: subject, events }
      sets.push([token, await signOnce(token, { iss: issuerOf(tenant), aud: audience, ...about })])
    }
    return Object.fromEntries(sets)
  }
  return async (owner, request, wait) => {
    await store.settle(owner, request)
    const limit = Math.min(request.maxEvents ?? EVENTS_MAX, EVENTS_MAX)
    for (;;) {
      const found = await store.waiting(owner, limit + 1)
      if (found.length > 0 || request.returnImmediately || limit === 0 || !(await wait())) {
        const sets = await signed(owner, found.slice(0, limit))
        return success({ sets, moreAvailable: found.length > limit })
      }
      // INVARIANT: whoever waits proves himself again before he is told anything, so a revoked credential ends a held poll too.
      const again = await store.find(owner.keyHash)
      if (again === undefined) return failed(UNAUTHENTICATED)
      if (again.stream?.id !== owner.stream.id) return failed(STREAM_UNKNOWN)
    }
  }
}

/**
 * Signs each token once, as long as its text is kept.
 *
 * INVARIANT: polls of one receiver that come together wait for the same signature, one after the other, so that whoever polls
 * without end takes no more than one thread from those that verify tokens.
 */
function createSignOnce(sign: SignSet): (token: string, claims: JsonObject) => Promise<string> {
  const kept = new Map<string, Promise<string>>()
  return (token, claims) => {
    const known = kept.get(token)
    if (known !== undefined) return known
    const signing = sign(claims)
    kept.set(token, signing)
    for (const oldest of kept.keys()) {
      if (kept.size <= KEPT_MAX) break
      kept.delete(oldest)
    }
    const forget = (): void => void (kept.get(token) === signing && kept.delete(token))
    signing.then((text) => text.length > KEPT_LENGTH_MAX && forget(), forget)
    return signing
  }
}
