import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { Revocation, RevocationKind, RevocationSource } from '#model/revocation.ts'
import type { Page } from './ports.ts'

/** What the database keeps of a new revocation. */
export interface NewRevocation {
  /** Null: for the whole installation. */
  readonly tenant: TenantId | null
  readonly kind: RevocationKind
  readonly id: string
  readonly mode: Revocation['mode']
  readonly source: RevocationSource
  readonly reason: string
  readonly issuedBefore?: EpochSeconds | undefined
  readonly expiresAt?: EpochMilliseconds | undefined
}

/** A revocation as administrators see it. */
export interface RevocationListing {
  readonly revocation: string
  readonly tenant: TenantId | null
  readonly kind: RevocationKind
  readonly id: string
  readonly mode: Revocation['mode']
  readonly source: RevocationSource
  readonly reason: string
  /** Who set it: `token:NAME`, `cli:NAME`, `signal:STREAM` or `system`. */
  readonly actor: string
  readonly issued_before: string | null
  readonly created_at: string
  readonly expires_at: string | null
  readonly lifted_at: string | null
  readonly lifted_by: string | null
  /** State version from which it counts. */
  readonly version: number
}

/** Which revocations are listed. */
export interface RevocationFilter {
  /** Null: those of the whole installation. Undefined: all. */
  readonly tenant: TenantId | null | undefined
  readonly mode?: Revocation['mode'] | undefined
  /** Lifted and expired ones too. */
  readonly includeOver: boolean
}

/** Deny lists and kill switches. Each change, its notification and its audit row are one transaction. */
export interface RevocationStore {
  revoke(revocation: NewRevocation): Promise<RevocationListing | 'tenant_unknown'>
  /**
   * Takes back one revocation of `tenant` (null: of the whole installation).
   *
   * INVARIANT: a kill switch is not lifted by whoever set it.
   */
  liftRevocation(
    tenant: TenantId | null,
    revocation: string,
  ): Promise<RevocationListing | 'unknown' | 'same_person'>
  /** Newest first; the page key is `revocationKey`. */
  listRevocations(filter: RevocationFilter, page: Page): Promise<readonly RevocationListing[]>
}

/** Key of a row in a list of revocations. */
export function revocationKey({ version, revocation }: RevocationListing): string {
  return `${version}/${revocation}`
}
