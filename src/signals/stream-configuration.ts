import type { JsonObject } from '#model/value.ts'
import { DELIVERY, textsIn } from './transmitter-metadata.ts'

/** A stream as its transmitter has it (SSF 1.0 section 8.1.1). INVARIANT: without the header that pushes carry. */
export interface StreamConfiguration {
  readonly stream_id: string
  readonly iss: string
  readonly aud: readonly string[]
  readonly delivery: { readonly method: string; readonly endpoint_url: string }
  readonly events_requested?: readonly string[]
  readonly events_supported?: readonly string[]
  /** What will come, of what was requested. */
  readonly events_delivered: readonly string[]
  readonly description?: string
  /** Seconds between two requests for a verification event, at least; of what the transmitter says a day at most. */
  readonly min_verification_interval?: number
  /** Seconds after which the transmitter may end a stream that its receiver says nothing about. */
  readonly inactivity_timeout?: number
}

/** What a transmitter can say of a stream that it was asked about. */
export const STREAM_STATUSES = ['enabled', 'paused', 'disabled'] as const

/** See `STREAM_STATUSES`. */
export type StreamStatus = (typeof STREAM_STATUSES)[number]

/** The status that `value` is; undefined for anything else. */
export function statusIn(value: unknown): StreamStatus | undefined {
  return STREAM_STATUSES.find((status) => status === value)
}

const ID_CHARACTERS_MAX = 256
const EVENTS_MAX = 200
/** INVARIANT: no transmitter can put checks off for longer, so that it is noticed when a stream ends. */
const SECONDS_MAX = 86_400

/**
 * Reads what a transmitter answers about one stream.
 *
 * @param wanted what the stream must be: its issuer, and its id where that is known
 * @throws when it is not, or something is missing
 */
export function readConfiguration(
  answer: JsonObject | undefined,
  wanted: { readonly issuer: string; readonly streamId?: string },
): StreamConfiguration {
  const { stream_id: id, iss, delivery } = answer ?? {}
  if (typeof id !== 'string' || id === '' || id.length > ID_CHARACTERS_MAX)
    throw new Error('the answer names no `stream_id`')
  if (wanted.streamId !== undefined && id !== wanted.streamId)
    throw new Error('the answer is about another stream')
  if (iss !== wanted.issuer) throw new Error('`iss` of the stream is another issuer')
  const aud = textsIn(answer?.['aud'])
  if (aud === undefined) throw new Error('the stream has no `aud`')
  const { method, endpoint_url: url } = Object(delivery) as { method?: unknown; endpoint_url?: unknown }
  if (method !== DELIVERY.push && method !== DELIVERY.poll)
    throw new Error('the delivery of the stream is neither push nor poll')
  if (typeof url !== 'string' || !/^https?:$/.test(URL.parse(url)?.protocol ?? ''))
    throw new Error('the delivery of the stream has no `endpoint_url`')
  return {
    stream_id: id,
    iss: wanted.issuer,
    aud,
    delivery: { method, endpoint_url: url },
    ...eventsIn(answer ?? {}),
    ...detailsIn(answer ?? {}),
  }
}

function eventsIn(
  answer: JsonObject,
): Pick<StreamConfiguration, 'events_requested' | 'events_supported' | 'events_delivered'> {
  const requested = textsIn(answer['events_requested'])?.slice(0, EVENTS_MAX)
  const supported = textsIn(answer['events_supported'])?.slice(0, EVENTS_MAX)
  return {
    ...(requested !== undefined && { events_requested: requested }),
    ...(supported !== undefined && { events_supported: supported }),
    events_delivered: textsIn(answer['events_delivered'])?.slice(0, EVENTS_MAX) ?? [],
  }
}

function detailsIn(
  answer: JsonObject,
): Pick<StreamConfiguration, 'description' | 'min_verification_interval' | 'inactivity_timeout'> {
  const { description, min_verification_interval: between, inactivity_timeout: timeout } = answer
  return {
    ...(typeof description === 'string' && { description: description.slice(0, 500) }),
    ...(isSeconds(between) && { min_verification_interval: Math.min(between, SECONDS_MAX) }),
    ...(isSeconds(timeout) && timeout > 0 && { inactivity_timeout: timeout }),
  }
}

function isSeconds(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
