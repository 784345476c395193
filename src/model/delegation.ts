import type { EpochMilliseconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { RegistrySnapshot, StoredEntity } from '#model/registry.ts'
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
  /**
   * Whether a grant was ever registered for this step, ended ones included: then one must be in force, whatever the tenant
   * demands otherwise. Undefined: only those in force are known.
   */
  isGoverned?(from: DelegationGrant['from'], to: string): boolean
  readonly federations: readonly Federation[]
}

/** An agent as a decision of one tenant sees it. */
export interface FoundAgent {
  readonly entity: StoredEntity
  /** What the entity's blueprint and spawning agent are looked up in. */
  readonly registry: RegistrySnapshot
  /** Where the agent belongs. */
  readonly home: TenantId
  /** What lets it act here, for an agent of another tenant; any one of them does. Undefined there: nothing does. */
  readonly federations?: readonly Federation[]
}

/** Looks an agent up by its id, at the one `now` of a decision; undefined when nobody registered it. */
export type FindAgent = (id: string) => FoundAgent | undefined
