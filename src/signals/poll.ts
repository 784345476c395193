import type { KeySets } from '#identity/key-sets.ts'
import type { OutboundAnswer, SendOutbound } from '#identity/outbound.ts'
import { parseStrictObject } from '#identity/strict-json.ts'
import type { Clock } from '#lib/clock.ts'
import type { JsonObject } from '#model/value.ts'
import type { PollSource } from './poll-source.ts'
import { type PushFailure, type ReadSet, readSet, type SignalStore, STATE_UNKNOWN } from './receive.ts'
import type { SignalStream } from './stream.ts'
import { certificateOf, type TransmitterTokens } from './transmitter-access.ts'

/** A stream whose events are fetched; the secret of its source is in the clear. */
export interface PolledStream extends SignalStream {
  readonly source: PollSource
}

/** What one session brought. */
export interface Polled {
  /** Events that are durable now, those that were known before included. */
  readonly taken: number
  /** Events that were refused for good, and the transmitter told so. */
  readonly refused: number
  /** Whether the transmitter has more than one session takes. */
  readonly more: boolean
}

/** Fetches what a transmitter has for a stream; rejects when it can't be reached, answers wrongly, or nothing can be stored. */
export type PollStream = (stream: PolledStream, signal: AbortSignal) => Promise<Polled>

const EVENTS_MAX = 32
/** Requests of one session: a transmitter that always has more waits for the next one. */
const ROUNDS_MAX = 16
const SET_BYTES_MAX = 32_768
const ANSWER_BYTES_MAX = EVENTS_MAX * SET_BYTES_MAX
const LONG_MILLISECONDS = 20_000
const JTI_CHARACTERS_MAX = 256
/** For so long a token whose key is not known stays unanswered: keys that were rotated or can't be had now will be there then. */
const KEY_MILLISECONDS = 120_000
const HELD_MAX = 10_000

/** What polling needs. */
export interface PollParts {
  readonly send: SendOutbound
  readonly tokens: TransmitterTokens
  readonly store: SignalStore
  readonly keys: KeySets
  readonly clock: Clock
}

/** What the next request says of the tokens of the one before. */
interface Verdicts {
  readonly ack: readonly string[]
  readonly setErrs: { readonly [jti: string]: PushFailure }
}

/**
 * A receiver that fetches its events (RFC 8936).
 *
 * INVARIANT: a token is acknowledged only once what it does is durable, and reported as wrong only when no later try could take it;
 * a transmitter forgets both.
 */
export function createPollStream(parts: PollParts): PollStream {
  const held = new Map<string, number>()

  /** Whether a token that could not be taken is to be reported now. */
  function isOver(stream: PolledStream, jti: string, { err }: PushFailure): boolean {
    if (err !== 'invalid_key') return true
    const slot = JSON.stringify([stream.id, jti])
    const since = held.get(slot) ?? parts.clock()
    if (held.size >= HELD_MAX) held.clear()
    held.set(slot, since)
    return parts.clock() - since >= KEY_MILLISECONDS
  }

  async function judge(stream: PolledStream, sets: ReadonlyMap<string, string>): Promise<Verdicts> {
    const setErrs: { [jti: string]: PushFailure } = {}
    const read: ReadSet[] = []
    for (const [jti, text] of sets) {
      const found = await readSet(text, stream, parts.keys, parts.clock())
      if (!found.ok) {
        if (isOver(stream, jti, found.failure)) setErrs[jti] = found.failure
      } else if (found.value.event.id !== jti) setErrs[jti] = MISNAMED
      else read.push(found.value)
    }
    const applied = await applyAll(stream, read)
    return { ack: applied.ack, setErrs: { ...setErrs, ...applied.setErrs } }
  }

  /** INVARIANT: in the order in which things happened; members of an object have none. */
  async function applyAll(stream: PolledStream, read: readonly ReadSet[]): Promise<Verdicts> {
    const setErrs: { [jti: string]: PushFailure } = {}
    const ack: string[] = []
    for (const { event, effects } of read.toSorted((a, b) => a.event.issuedAt - b.event.issuedAt)) {
      const outcome = await parts.store.apply(stream, event, effects)
      if (outcome === 'state_unknown') setErrs[event.id] = STATE_UNKNOWN
      else ack.push(event.id)
    }
    return { ack, setErrs }
  }

  /** Undefined: nothing happened for as long as we wait. */
  async function wait(stream: PolledStream, signal: AbortSignal): Promise<OutboundAnswer | undefined> {
    const waiting = AbortSignal.timeout(LONG_MILLISECONDS)
    const body = { maxEvents: EVENTS_MAX, returnImmediately: false }
    return await ask(parts, stream, body, AbortSignal.any([signal, waiting])).catch((error: unknown) => {
      if (waiting.aborted && !signal.aborted) return undefined
      throw error
    })
  }

  return async (stream, signal) => {
    const total = { taken: 0, refused: 0 }
    const limits = { maxEvents: EVENTS_MAX, returnImmediately: true }
    let answer = stream.source.long ? await wait(stream, signal) : await ask(parts, stream, limits, signal)
    for (let round = 1; answer !== undefined; round++) {
      const { sets, more } = readAnswer(answer)
      const verdicts = await judge(stream, sets)
      const refused = Object.keys(verdicts.setErrs).length
      total.taken += verdicts.ack.length
      total.refused += refused
      if (verdicts.ack.length + refused === 0) return { ...total, more }
      const isLast = !more || round >= ROUNDS_MAX
      answer = await ask(
        parts,
        stream,
        { ...limits, ...(isLast && { maxEvents: 0 }), ...said(verdicts) },
        signal,
      )
      // The last request only tells what became of the tokens.
      if (isLast) {
        readAnswer(answer)
        return { ...total, more }
      }
    }
    return { ...total, more: false }
  }
}

const MISNAMED: PushFailure = {
  err: 'invalid_request',
  description: '`jti` is not the name that it came under',
}

async function ask(
  { send, tokens }: PollParts,
  stream: PolledStream,
  body: JsonObject,
  signal: AbortSignal,
): Promise<OutboundAnswer> {
  const { source, issuer } = stream
  const privateNetwork = issuer.privateNetwork === true
  const who = { stream: stream.id, issuer: issuer.issuer, privateNetwork, access: source }
  const answer = await send({
    url: source.url,
    method: 'POST',
    headers: { authorization: `Bearer ${await tokens.tokenFor(who)}`, 'content-type': 'application/json' },
    body: JSON.stringify(body),
    privateNetwork,
    ...certificateOf(source),
    bytesMax: ANSWER_BYTES_MAX,
    // A request that waits is ended by its signal first.
    ...(body['returnImmediately'] === false && { timeoutMilliseconds: LONG_MILLISECONDS + 5_000 }),
    signal,
  })
  if (answer.status === 401) tokens.forget(stream.id)
  return answer
}

function said({ ack, setErrs }: Verdicts): JsonObject {
  const errors = Object.entries(setErrs).map(
    ([jti, { err, description }]) => [jti, { err, description }] as const,
  )
  return {
    ...(ack.length > 0 && { ack }),
    ...(errors.length > 0 && { setErrs: Object.fromEntries(errors) }),
  }
}

/** RFC 8936 section 2.3. @throws when it is anything else, or more than was asked for */
function readAnswer({ status, contentType, body }: OutboundAnswer): {
  readonly sets: ReadonlyMap<string, string>
  readonly more: boolean
} {
  if (status !== 200) throw new Error(`it answered ${status}`)
  if (contentType !== 'application/json') throw new Error('it answered with something else than JSON')
  const { sets, moreAvailable = false } = parseStrictObject(body) ?? {}
  const isObject = typeof sets === 'object' && sets !== null && !Array.isArray(sets)
  if (!isObject || typeof moreAvailable !== 'boolean') throw new Error('it answered with no `sets`')
  const entries = Object.entries(sets)
  if (entries.length > EVENTS_MAX) throw new Error('it answered with more events than were asked for')
  const found = new Map<string, string>()
  for (const [jti, text] of entries) {
    const isSet = typeof text === 'string' && text.length <= SET_BYTES_MAX
    if (!isSet || jti === '' || jti.length > JTI_CHARACTERS_MAX)
      throw new Error('it answered with what is no event')
    found.set(jti, text)
  }
  return { sets: found, more: moreAvailable }
}
