import { createHash } from 'node:crypto'
import { onlyValue } from '#gateways/headers.ts'
import type { WireRequest } from '#gateways/wire.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Decision } from '#model/decision.ts'
import type { Gateway } from '#model/gateway.ts'
import type { AuthorizationRequest, Malformed } from '#model/request.ts'
import type { ItemDecider } from './answer-batch.ts'

/** How long after the first request under a key its repeats are known as such. */
export const REPEAT_MILLISECONDS = 60_000
const KEYS_MAX = 10_000
const DECISIONS_MAX = 20_000

/** A request that may have come before. */
export interface Attempt {
  /** The same object for all requests under the key: what counts once for one of them has been counted for all. */
  readonly call: object
  /** What was decided, by the position of the item. */
  readonly decided: Map<number, Decision>
}

/** Requests that came with an `Idempotency-Key`, in this process. */
export interface Idempotency {
  /**
   * Runs `answer` for a request, after all others under its key have ended. It gets what these decided; undefined without a key;
   * and why the request can't be answered when the key is no key, or belongs to another request.
   */
  run(
    asked: { readonly gateway: Gateway; readonly wire: WireRequest; readonly now: EpochMilliseconds },
    answer: (attempt: Result<Attempt | undefined, Malformed>) => Promise<void>,
  ): Promise<void>
}

interface Entry extends Attempt {
  readonly fingerprint: string
  readonly endsAt: number
  last: Promise<void>
  /** Decisions of it that are in the sum. */
  counted: number
}

/**
 * Remembers what was decided under each key, so that a repeated request has no second effect.
 *
 * INVARIANT: it only spares effects and never makes an answer. An allow is judged again before it is given again; what is forgotten, or
 * was decided by another process, is decided anew.
 *
 * @see draft-ietf-httpapi-idempotency-key-header-06 section 2
 */
export function createIdempotency(keysMax = KEYS_MAX, decisionsMax = DECISIONS_MAX): Idempotency {
  const entries = new Map<string, Entry>()
  let decisions = 0
  const forget = (scope: string, entry: Entry): void => {
    entries.delete(scope)
    decisions -= entry.counted
  }
  const makeRoom = (now: number): void => {
    for (const [scope, entry] of entries) {
      const isFull = entries.size >= keysMax || decisions >= decisionsMax
      if (!isFull && entry.endsAt > now) return
      forget(scope, entry)
    }
  }
  const entryOf = (scope: string, fingerprint: string, now: number): Entry => {
    const found = entries.get(scope)
    if (found !== undefined && found.endsAt > now) return found
    if (found !== undefined) forget(scope, found)
    makeRoom(now)
    const endsAt = now + REPEAT_MILLISECONDS
    const decided = new Map<number, Decision>()
    const entry: Entry = { fingerprint, endsAt, call: {}, decided, last: Promise.resolve(), counted: 0 }
    entries.set(scope, entry)
    return entry
  }
  return {
    async run({ gateway, wire, now }, answer) {
      const key = idempotencyKeyOf(wire.rawHeaders)
      if (!key.ok || key.value === undefined) return await answer(key.ok ? success(undefined) : key)
      const scope = scopeOf(gateway, wire, key.value)
      const fingerprint = fingerprintOf(wire)
      const entry = entryOf(scope, fingerprint, now)
      if (entry.fingerprint !== fingerprint) return await answer(failed(REUSED))
      const mine = entry.last.then(() => answer(success(entry)))
      entry.last = mine.catch(() => undefined)
      await mine
      if (entries.get(scope) !== entry) return
      decisions += entry.decided.size - entry.counted
      entry.counted = entry.decided.size
    },
  }
}

/** Answers the items of an attempt with what was decided before, where that still is the answer. */
export function repeatable(attempt: Attempt | undefined, { decide, refuse }: RepeatDecider): ItemDecider {
  if (attempt === undefined) return { decide: (request) => decide(request), refuse }
  const remembered = async (position: number, deciding: Promise<Decision>): Promise<Decision> => {
    const decision = await deciding
    // What can be answered otherwise in a moment is not the answer to a repeat; what it took the place of is none either.
    if (decision.retryAfterSeconds === undefined) attempt.decided.set(position, decision)
    else attempt.decided.delete(position)
    return decision
  }
  return {
    decide: (request, position) =>
      remembered(position, decide({ ...request, batch: attempt.call }, attempt.decided.get(position))),
    async refuse(malformed, position) {
      return attempt.decided.get(position) ?? (await remembered(position, refuse(malformed)))
    },
  }
}

/** The decider as it is asked about repeats (model/decider.ts). */
interface RepeatDecider {
  decide(request: AuthorizationRequest, earlier?: Decision): Promise<Decision>
  refuse(malformed: Malformed): Promise<Decision>
}

const REUSED: Malformed = {
  code: 'request.idempotency_key',
  message: 'the `idempotency-key` was used for another request; make a new one for each',
}

/** A string of RFC 9651 without escapes. */
const KEY = /^"([\x20\x21\x23-\x5b\x5d-\x7e]{1,128})"$/

function idempotencyKeyOf(rawHeaders: readonly string[]): Result<string | undefined, Malformed> {
  if (!rawHeaders.some((each, i) => i % 2 === 0 && each.toLowerCase() === 'idempotency-key'))
    return success(undefined)
  const key = KEY.exec(onlyValue(rawHeaders, 'idempotency-key') ?? '')?.[1]
  if (key !== undefined) return success(key)
  const message = 'the header `idempotency-key` must be one string in double quotes, of 1 to 128 characters'
  return failed({ code: 'request.wrong_type', message })
}

/** INVARIANT: one gateway's key says nothing about another's, nor does one route's. */
function scopeOf(gateway: Gateway, { rawUrl }: WireRequest, key: string): string {
  return JSON.stringify([gateway.tenant, gateway.id, rawUrl.split('?', 1)[0], key])
}

/** Everything that the answer depends on, and that the gateway wrote. */
function fingerprintOf({ rawUrl, rawHeaders, body }: WireRequest): string {
  const form = ['content-type', 'content-encoding'].map((name) => onlyValue(rawHeaders, name) ?? null)
  return createHash('sha256')
    .update(`${JSON.stringify([rawUrl, ...form])}\n`)
    .update(body)
    .digest('base64')
}
