import type { TenantId } from '#model/ids.ts'
import type { StreamRecord } from '#signals/stream.ts'
import type { Page } from './ports.ts'

/** A stream as administrators see it; what its transmitter proves itself with is shown only once, by `add`. */
export interface StreamListing {
  readonly stream: string
  readonly tenant: TenantId
  readonly name: string
  readonly issuer: string
  readonly audience: readonly string[]
  readonly subject_issuers: readonly string[]
  readonly wide: boolean
  readonly created_at: string
  readonly last_event_at: string | null
  /** `enabled`, or what the transmitter said last. */
  readonly status: string
  readonly verified_state: string | null
  readonly verified_at: string | null
  /** Where its events are fetched; null: they are pushed. */
  readonly poll: string | null
  /** Last time that the transmitter answered a poll as it should. */
  readonly polled_at: string | null
  /** Why the last poll failed; null: it did not. */
  readonly poll_fault: string | null
}

/** Who is told of a tenant's revocations. */
export interface NewReceiver {
  readonly name: string
  readonly kind: 'caep' | 'webhook'
  readonly url: string
  readonly audience: string
  readonly privateNetwork: boolean
}

/** A receiver as administrators see it. */
export interface ReceiverListing extends Omit<NewReceiver, 'privateNetwork'> {
  readonly tenant: TenantId
  readonly created_at: string
  /** Events that have not arrived yet. */
  readonly waiting: number
}

/** Streams of security events, and receivers of ours. Each change and its audit row are one transaction. */
export interface SignalAdminStore {
  addStream(
    tenant: TenantId,
    name: string,
    record: StreamRecord,
    authorizationHash: string,
  ): Promise<{ readonly stream: string } | 'exists' | 'tenant_unknown'>
  removeStream(tenant: TenantId, name: string): Promise<'removed' | 'unknown'>
  addReceiver(tenant: TenantId, receiver: NewReceiver): Promise<'added' | 'exists' | 'tenant_unknown'>
  removeReceiver(tenant: TenantId, name: string): Promise<'removed' | 'unknown'>
  listReceivers(tenant: TenantId, page: Page): Promise<readonly ReceiverListing[]>
  /** By name, of one tenant. */
  listStreams(tenant: TenantId, page: Page): Promise<readonly StreamListing[]>
}
