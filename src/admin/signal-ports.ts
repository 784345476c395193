import type { TenantId } from '#model/ids.ts'
import type { Json } from '#model/value.ts'
import type { Questions } from '#signals/check.ts'
import type { CheckQueue } from '#signals/check-due.ts'
import type { StreamRecord } from '#signals/stream.ts'
import type { ManagedStream } from '#signals/transmitter-client.ts'
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
  readonly standing: StreamStanding
  /** Its id at a transmitter that Warder manages it at; null: it was set up there by hand. */
  readonly transmitter_stream: string | null
  /** Last time that the transmitter answered as it should when it was asked how the stream is. */
  readonly checked_at: string | null
  /** Why the last check failed; null: it did not. */
  readonly check_fault: string | null
  /** When the earliest verification event that was asked for and did not come has to be here; null: none is open. */
  readonly verification_due_at: string | null
}

/**
 * How a stream is, the worst first: its transmitter has stopped it (`disabled`, `paused`), a verification event did not come in
 * time (`unverified`), it can't be fetched or its transmitter not be asked (`failing`), a verification event is under way
 * (`waiting`).
 */
export const STANDINGS = ['disabled', 'paused', 'unverified', 'failing', 'waiting', 'healthy'] as const

/** See `STANDINGS`. */
export type StreamStanding = (typeof STANDINGS)[number]

/** Streams of security events. Each change and its audit row are one transaction. */
export interface SignalAdminStore {
  addStream(
    tenant: TenantId,
    name: string,
    record: StreamRecord,
    authorizationHash: string,
    /** Its id (UUID). Default: a new one. */
    stream?: string,
  ): Promise<{ readonly stream: string } | 'exists' | 'tenant_unknown'>
  removeStream(tenant: TenantId, name: string, reason?: string): Promise<'removed' | 'unknown'>
  /** `unmanaged`: it was set up at its transmitter by hand. `sealed`: its secret can't be opened here. */
  findManaged(tenant: TenantId, name: string): Promise<ManagedStream | 'unknown' | 'unmanaged' | 'sealed'>
  /** Records what is about to be changed at the transmitter, or was. */
  recordManaged(
    tenant: TenantId,
    name: string,
    change: { readonly before: Json; readonly after: Json },
  ): Promise<void>
  readonly questions: Questions
  /** How a check went that nobody leased. */
  readonly checked: CheckQueue['done']
  /** By name, of one tenant. */
  listStreams(tenant: TenantId, page: Page): Promise<readonly StreamListing[]>
}
