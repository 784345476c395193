import type { EpochMilliseconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { StreamStatus } from '#signals/outgoing.ts'
import type { ReceiverKind } from '#signals/transmit.ts'
import type { NewKey } from './keys.ts'
import type { Page } from './ports.ts'

/** Who is to be told of a tenant's revocations. */
export interface NewReceiver {
  readonly name: string
  readonly kind: ReceiverKind
  /** Where events are pushed to; undefined: the receiver makes its stream itself, with its credential. */
  readonly url: string | undefined
  readonly audience: string
  readonly privateNetwork: boolean
  /** The only one that a receiver in a private network may have events pushed to; undefined: it is not bound to one. */
  readonly origin?: string | undefined
  /** Undefined: it has no credential, and an administrator alone decides. */
  readonly key: Omit<NewKey, 'key'> | undefined
}

/** A receiver as administrators see it; its credential is shown only once, by `add` and `rotate`. */
export interface ReceiverListing {
  readonly tenant: TenantId
  readonly name: string
  readonly kind: ReceiverKind
  /** Id of its stream; null: it has none. */
  readonly stream: string | null
  /** Null where it has no stream. */
  readonly delivery: 'push' | 'poll' | null
  readonly url: string | null
  readonly audience: string
  readonly status: StreamStatus
  readonly status_reason: string | null
  readonly description: string | null
  /** Null: everything. */
  readonly events_requested: readonly string[] | null
  /** First characters of each valid credential. */
  readonly key_hints: readonly string[]
  readonly created_at: string
  /** When it last asked for a verification event. */
  readonly verification_at: string | null
  /** Events that it has not got yet. */
  readonly waiting: number
  readonly oldest_waiting_at: string | null
  /** Events of the last days that it could not take, and what it said of the latest one. */
  readonly refused: number
  readonly last_refusal: string | null
  /** Events that its queue had no room for, ever. */
  readonly dropped: number
}

/** Receivers of our events. Each change and its audit row are one transaction. */
export interface ReceiverStore {
  addReceiver(tenant: TenantId, receiver: NewReceiver): Promise<'added' | 'exists' | 'tenant_unknown'>
  removeReceiver(tenant: TenantId, name: string): Promise<'removed' | 'unknown'>
  /** By name, of one tenant. */
  listReceivers(tenant: TenantId, page: Page): Promise<readonly ReceiverListing[]>
  findReceiver(tenant: TenantId, name: string): Promise<ReceiverListing | undefined>
  /** Adds a credential; the ones before end at `until`. `private`: not for one in a private network. */
  rotateReceiver(
    tenant: TenantId,
    name: string,
    key: Omit<NewKey, 'key'>,
    until: EpochMilliseconds,
    mayOpenPrivate: boolean,
  ): Promise<'rotated' | 'private' | 'unknown'>
  /** Ends every credential at once and disables the stream. */
  revokeReceiver(tenant: TenantId, name: string): Promise<'revoked' | 'unknown'>
}
