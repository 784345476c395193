import type { EpochMilliseconds } from '#lib/clock.ts'
import type { Result } from '#lib/result.ts'
import type { DelegationGrant } from '#model/delegation.ts'
import type { TenantId } from '#model/ids.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { JsonObject } from '#model/value.ts'
import type { AdminFailure } from './failure.ts'
import type { Page } from './ports.ts'

/** What the database keeps of a new grant. */
export interface NewGrant extends Omit<DelegationGrant, 'id'> {
  readonly reason: string
}

/** A delegation grant as administrators see it. */
export interface GrantListing {
  readonly grant: string
  readonly tenant: TenantId
  /** `user:ID`, `user:*` for every user, or `agent:ID`. */
  readonly from: string
  readonly to: string
  /** Ceilings; null: none from this grant. */
  readonly scopes: readonly string[] | null
  readonly tools: readonly string[] | null
  readonly authorization_details: readonly JsonObject[] | null
  readonly expires_at: string | null
  readonly created_at: string
  readonly created_by: string
  readonly reason: string
  readonly revoked_at: string | null
  readonly revoked_reason: string | null
}

/** Which grants are listed. */
export interface GrantFilter {
  readonly to?: string | undefined
  /** As `GrantListing.from`. */
  readonly from?: string | undefined
  /** Revoked and expired ones too. */
  readonly includeOver: boolean
}

/** Delegation grants. Each change, its notification and its audit row are one transaction; no grant is ever deleted. */
export interface GrantStore {
  addGrant(tenant: TenantId, grant: NewGrant): Promise<GrantListing | 'tenant_unknown'>
  /** Ends a grant on every server; what rests on it is in the deny list too. */
  revokeGrant(tenant: TenantId, grant: string, reason: string): Promise<GrantListing | 'unknown'>
  /** By id, which is the page key. */
  listGrants(tenant: TenantId, filter: GrantFilter, page: Page): Promise<readonly GrantListing[]>
}

/** An agent as administrators see it. */
export interface AgentListing {
  readonly agent: string
  readonly tenant: TenantId
  readonly status: string
  readonly owner: string | null
  readonly blueprints: readonly string[]
  readonly groups: readonly string[]
  readonly environment: string | null
  readonly issuer: string | null
  readonly expires_at: string | null
  readonly spawned_by: string | null
  /** Newest decision in which it acted; null where the log has none. */
  readonly last_decision_at: string | null
}

/** Which agents are listed. */
export interface AgentFilter {
  /** Only those without a decision for so many days. */
  readonly dormantDays?: number | undefined
  /** Only those that nobody owns. */
  readonly ownerless?: boolean | undefined
  /** Only those that are registered without an issuer, and not retired. */
  readonly issuerless?: boolean | undefined
}

/** What is known of an agent before a change of it. */
export interface AgentBefore {
  readonly entity: StoredEntity | undefined
  /** The id was an agent that was retired, at any time. */
  readonly wasRetired: boolean
  /** Its blueprints, as they are registered. */
  readonly blueprints: readonly StoredEntity[]
}

/** A change of one agent, within the transaction that makes it. */
export interface AgentChange {
  readonly entity: StoredEntity
  /** Ends its grants and puts it on the deny list, for good. */
  readonly isEnd: boolean
}

/** Agents and their life. Each change, its notification and its audit row with the reason are one transaction. */
export interface AgentStore {
  /**
   * Changes one agent as `change` says from what is there; nothing is changed when it fails.
   *
   * @param blueprints ids of the blueprints of an agent that is new
   */
  changeAgent(
    tenant: TenantId,
    agent: string,
    change: (before: AgentBefore) => Result<AgentChange, AdminFailure>,
    why: { readonly reason: string; readonly blueprints?: readonly string[] },
  ): Promise<Result<AgentListing, AdminFailure> | 'tenant_unknown'>
  /** By id, which is the page key. */
  listAgents(tenant: TenantId, filter: AgentFilter, page: Page): Promise<readonly AgentListing[]>
  findAgent(tenant: TenantId, agent: string): Promise<AgentListing | undefined>
}

/** A federation as administrators see it. */
export interface FederationListing {
  readonly federation: string
  /** Where the agents may act, and where they belong. */
  readonly home: TenantId
  readonly foreign: TenantId
  readonly agents: readonly string[]
  readonly tools: readonly string[]
  readonly roles: readonly string[]
  readonly ends_at: string
  readonly proposed_at: string
  /** Tenants that have signed. */
  readonly signed_by: readonly TenantId[]
  readonly withdrawn_at: string | null
  readonly withdrawn_by: string | null
  /** `proposed`, `in force`, `expired`, `withdrawn`, or `broken` when a signature does not verify. */
  readonly state: string
}

/** A federation as it is stored: the text that both sign, and their signatures (base64url). */
export interface StoredFederation {
  readonly id: string
  readonly home: TenantId
  readonly foreign: TenantId
  readonly record: string
  readonly homeSignature: string | null
  readonly foreignSignature: string | null
  readonly proposedAt: string
  readonly withdrawnAt: string | null
  readonly withdrawnBy: string | null
  /** Public keys of both (Ed25519, base64url). */
  readonly homeKey: string | null
  readonly foreignKey: string | null
}

/** Federations between tenants. Each change reaches both tenants, and is in the audit of both. */
export interface FederationStore {
  /** The public key of a tenant; stores `made` when it has none yet. */
  tenantKey(tenant: TenantId, made: string): Promise<string | 'tenant_unknown'>
  /** Stores what one of its tenants has signed. */
  proposeFederation(
    by: TenantId,
    federation: Pick<StoredFederation, 'id' | 'home' | 'foreign' | 'record'>,
    signature: string,
  ): Promise<'stored' | 'tenant_unknown'>
  acceptFederation(by: TenantId, id: string, signature: string): Promise<'accepted' | 'unknown'>
  withdrawFederation(by: TenantId, id: string, reason: string): Promise<'withdrawn' | 'unknown'>
  findFederation(tenant: TenantId, id: string): Promise<StoredFederation | undefined>
  /** Those in which the tenant takes part, by id, which is the page key. */
  listFederations(tenant: TenantId, page: Page): Promise<readonly StoredFederation[]>
}

/** When `expires_at` of a listing is over. */
export function isOver(expiresAt: string | null, now: EpochMilliseconds): boolean {
  return expiresAt !== null && Date.parse(expiresAt) <= now
}
