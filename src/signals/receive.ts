import { hash, timingSafeEqual } from 'node:crypto'
import type { KeySets } from '#identity/key-sets.ts'
import { type SecurityEvent, verifySet } from '#identity/set.ts'
import type { Clock, EpochMilliseconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import { effectsOf, type SignalEffect } from './effects.ts'
import type { SignalStream } from './stream.ts'

/** A stream with what proves its transmitter. */
export interface FoundStream extends SignalStream {
  /** SHA-256 (hex) of the whole `Authorization` header. */
  readonly authorizationHash: string
}

/** Streams and their events, durably. */
export interface SignalStore {
  findStream(id: string): Promise<FoundStream | undefined>
  /**
   * Stores the event and what it does, in one step; `known`: it was stored before, and nothing happened. `state_unknown`: it is a
   * verification event that nobody asked for in these words, and nothing is stored.
   */
  apply(
    stream: SignalStream,
    event: SecurityEvent,
    effects: readonly SignalEffect[],
  ): Promise<'applied' | 'known' | 'state_unknown'>
}

/** The error body of RFC 8935 section 2.4. */
export interface PushFailure {
  readonly err: string
  readonly description: string
}

/** The answer to a verification event whose `state` is wrong (SSF 1.0 section 8.1.4.1). */
export const STATE_UNKNOWN: PushFailure = {
  err: 'invalid_state',
  description: '`state` is none that was asked for',
}

/** Takes one pushed event; resolves to success only once it is durable. Rejects when the database does not answer. */
export type ReceiveSet = (
  stream: string,
  authorization: string | undefined,
  text: string,
) => Promise<Result<'applied' | 'known', PushFailure>>

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
/** An unknown stream is compared too, so that neither the answer nor its time tells whether there is one. */
const NO_HASH = '0'.repeat(64)

/** A security event token that was verified, and what it does. */
export interface ReadSet {
  readonly event: SecurityEvent
  readonly effects: readonly SignalEffect[]
}

/** Reads a token that came over `stream`, whichever way it is delivered. */
export async function readSet(
  text: string,
  stream: SignalStream,
  keys: KeySets,
  now: EpochMilliseconds,
): Promise<Result<ReadSet, PushFailure>> {
  const event = await verifySet(text, stream.tenant, stream.issuer, keys, now)
  if (!event.ok) return event
  const effects = effectsOf(event.value, stream, now)
  return effects.ok ? success({ event: event.value, effects: effects.value }) : effects
}

/** A receiver of pushed security events (RFC 8935). */
export function createReceiveSet(parts: {
  readonly store: SignalStore
  readonly keys: KeySets
  readonly clock: Clock
}): ReceiveSet {
  return async (id, authorization, text) => {
    const stream = UUID.test(id) ? await parts.store.findStream(id) : undefined
    const isKnown = isSame(hash('sha256', authorization ?? ''), stream?.authorizationHash ?? NO_HASH)
    if (stream === undefined || !isKnown)
      return failed({
        err: 'authentication_failed',
        description: 'there is no such stream for this transmitter',
      })
    const read = await readSet(text, stream, parts.keys, parts.clock())
    if (!read.ok) return read
    const outcome = await parts.store.apply(stream, read.value.event, read.value.effects)
    return outcome === 'state_unknown' ? failed(STATE_UNKNOWN) : success(outcome)
  }
}

function isSame(given: string, kept: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(kept)]
  return a.length === b.length && timingSafeEqual(a, b)
}
