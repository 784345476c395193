import type { EpochSeconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { OutgoingEvent, ReceiverKind } from './transmit.ts'

/** A receiver of a tenant's events that proved itself, with its stream. */
export interface Receiver {
  /** UUID of its registration. */
  readonly id: string
  /** SHA-256 (hex) of the credential that it proved itself with. */
  readonly keyHash: string
  readonly tenant: TenantId
  readonly name: string
  readonly kind: ReceiverKind
  /** `aud` of its events. */
  readonly audience: string
  /** Whether its events may be pushed into a private network. */
  readonly privateNetwork: boolean
  /** The only origin that they may be pushed to; undefined: any. */
  readonly origin: string | undefined
  /** Undefined: it has made none, or has deleted it. */
  readonly stream: OutgoingStream | undefined
}

/** A receiver that has a stream. */
export interface StreamOwner extends Receiver {
  readonly stream: OutgoingStream
}

/** What a receiver may set of its stream. */
export interface StreamSettings {
  /** Where events are pushed to; undefined: they are fetched. */
  readonly url: string | undefined
  /** What it asked for; undefined: everything. */
  readonly requested: readonly string[] | undefined
  /** Whether the one type of event of its kind is among that. */
  readonly wanted: boolean
  readonly description: string | undefined
}

/** SSF 8.1.2.1. */
export type StreamStatus = 'enabled' | 'paused' | 'disabled'

/** The stream of a receiver. */
export interface OutgoingStream extends StreamSettings {
  /** UUID, another for each stream that the receiver makes. */
  readonly id: string
  readonly status: StreamStatus
  readonly reason: string | undefined
}

/** Settings to store. */
export interface NewSettings extends StreamSettings {
  /** `Authorization` header of pushes; undefined: the one that it has, as long as the URL is the same. */
  readonly authorization: string | undefined
}

/** An event that a receiver has not acknowledged. */
export interface WaitingEvent extends OutgoingEvent {
  /** `jti`, the same each time that it is sent. */
  readonly token: string
  readonly issuedAt: EpochSeconds
}

/** What a receiver says of events that it got. Ids that are not of its stream have no effect. */
export interface Settlement {
  /** `jti` each. */
  readonly acknowledged: readonly string[]
  /** What it can't take, and why. */
  readonly refused: readonly { readonly token: string; readonly text: string }[]
}

/** Why nothing was changed: its credential is over, it has no such stream, or it may ask again in so many seconds. */
export type Unchanged = 'unauthenticated' | 'unknown' | number

/**
 * Streams of receivers, durably. Settings and status of one change ten times, then once a second.
 *
 * INVARIANT: every change is bound to the receiver, to the stream and to the credential that it proved to have, so that an id of
 * another one has no effect, whoever knows it, and neither has a credential that ended while its request was under way.
 */
export interface OutgoingStreams {
  /** The receiver whose credential has this SHA-256 (hex) and is not over. */
  find(keyHash: string): Promise<Receiver | undefined>
  create(receiver: Receiver, settings: NewSettings): Promise<OutgoingStream | 'exists' | Unchanged>
  change(owner: StreamOwner, settings: NewSettings): Promise<OutgoingStream | Unchanged>
  /** Ends the stream with all that waits for it; the credential stays good for another one. */
  remove(owner: StreamOwner): Promise<'removed' | Unchanged>
  /** `disabled` drops what waits. */
  setStatus(
    owner: StreamOwner,
    status: StreamStatus,
    reason: string | undefined,
  ): Promise<OutgoingStream | Unchanged>
  /** Queues a verification event. */
  verify(
    owner: StreamOwner,
    state: string | undefined,
    intervalSeconds: number,
  ): Promise<'queued' | Unchanged>
  settle(owner: StreamOwner, settlement: Settlement): Promise<void>
  /** The oldest events of a stream that is enabled and fetched; of any other none. */
  waiting(owner: StreamOwner, limit: number): Promise<readonly WaitingEvent[]>
}
