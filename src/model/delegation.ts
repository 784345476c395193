import type { EpochMilliseconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { JsonObject } from '#model/value.ts'

/** Who may act for whom: a registered delegation grant. Ends every chain that rests on it when it is revoked or over. */
export interface DelegationGrant {
  readonly id: string
  /** Whose authority is used: a user or agent id; `*` for every user of the tenant. */
  readonly from: { readonly kind: 'user' | 'agent'; readonly id: string }
  /** The agent that may act. */
  readonly to: string
  /** Ceilings; undefined: no limit from this grant. */
  readonly scopes?: readonly string[]
  readonly tools?: readonly string[]
  /** RFC 9396 objects; a call must fit one. */
  readonly authorizationDetails?: readonly JsonObject[]
  readonly expiresAt?: EpochMilliseconds
}

/** A federation that both tenants have signed; one-sided records never reach a state. */
export interface Federation {
  readonly id: string
  readonly home: TenantId
  readonly foreign: TenantId
  /** `in`: agents of `foreign` may act in `home`. `out` is the other half, for the log. */
  readonly direction: 'in' | 'out'
  readonly agents: readonly string[]
  readonly tools: readonly string[]
  readonly roles: readonly ('subject' | 'actor')[]
  readonly endsAt: EpochMilliseconds
}

/** What one tenant has registered about delegation. Immutable. */
export interface Delegations {
  /** Grants in force for `to` at `now`. */
  grantsTo(to: string, now: EpochMilliseconds): readonly DelegationGrant[]
  readonly federations: readonly Federation[]
}
