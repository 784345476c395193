import type { SignSet } from '#identity/set-signer.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { TenantId } from '#model/ids.ts'
import type { OutgoingStreams, Settlement, StreamOwner } from './outgoing.ts'
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
  keyHash: string,
  owner: StreamOwner,
  request: PollRequest,
  wait: () => Promise<boolean>,
) => Promise<Result<PollAnswer, Refusal>>

/** Tokens of one answer; each is signed anew. */
const EVENTS_MAX = 64

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
  return async (keyHash, owner, request, wait) => {
    await store.settle(owner, request)
    const limit = Math.min(request.maxEvents ?? EVENTS_MAX, EVENTS_MAX)
    for (;;) {
      const found = await store.waiting(owner, limit + 1)
      if (found.length > 0 || request.returnImmediately || limit === 0 || !(await wait())) {
        const { tenant, audience } = owner
        const signed = found.slice(0, limit).map(async ({ token, issuedAt, subject, events }) => {
          const about = { jti: token, iat: issuedAt, sub_id: subject, events }
          return [token, await sign({ iss: issuerOf(tenant), aud: audience, ...about })] as const
        })
        return success({
          sets: Object.fromEntries(await Promise.all(signed)),
          moreAvailable: found.length > limit,
        })
      }
      // INVARIANT: whoever waits proves himself again before he is told anything, so a revoked credential ends a held poll too.
      const again = await store.find(keyHash)
      if (again === undefined) return failed(UNAUTHENTICATED)
      if (again.stream?.id !== owner.stream.id) return failed(STREAM_UNKNOWN)
    }
  }
}
