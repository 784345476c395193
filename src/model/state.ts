import type { EpochMilliseconds } from '#lib/clock.ts'
import type { ApiKey } from '#model/api-key.ts'
import type { Delegations } from '#model/delegation.ts'
import type { Gateway } from '#model/gateway.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import type { RegistrySnapshot } from '#model/registry.ts'
import type { Release } from '#model/release.ts'
import type { Revocations } from '#model/revocation.ts'
import type { TenantRules } from '#model/tenant-rules.ts'

/** Everything a decision for one tenant reads, at one version. Immutable; replaced as a whole when something changes. */
export interface TenantState {
  readonly id: TenantId
  /** Sequence of the newest change contained; logged with each decision so that it can be rebuilt. */
  readonly version: number
  readonly registry: RegistrySnapshot
  /** The active release; undefined before the first activation. */
  readonly release: Release | undefined
  readonly issuers: readonly Issuer[]
  /** Names of arguments and properties whose values the log masks in addition. Default: none. */
  readonly maskFields?: ReadonlySet<string>
  /** Undefined: nothing is revoked. */
  readonly revocations?: Revocations
  /** Undefined: nothing is registered, and nothing is demanded. */
  readonly delegations?: Delegations
  readonly rules?: TenantRules
  /** By SHA-256 in hex. Undefined: no agent has one. */
  readonly apiKeys?: ReadonlyMap<string, ApiKey>
}

/** A database that is older than it was: a backup came back, and what was revoked since may be valid in it. */
export interface RolledBack {
  /** The highest state version that was seen. */
  readonly seen: number
  /** The version that the database had when it was noticed. */
  readonly found: number
}

/** The replica's view of the database. */
export interface State {
  tenant(id: TenantId): TenantState | undefined
  /** The gateway whose key has this SHA-256 (hex) and is not revoked. */
  gatewayByKeyHash(hash: string): Gateway | undefined
  /** When the database last confirmed that nothing newer exists. */
  readonly refreshedAt: EpochMilliseconds
  /** How long ago that was, by the wall clock or by the monotonic one, whichever says longer: a clock set back keeps nothing fresh. */
  ageMilliseconds(): number
  /** Set from when the database turned out to be older than it was until an operator acknowledges that; nothing is allowed meanwhile. */
  rolledBack(): RolledBack | undefined
}
