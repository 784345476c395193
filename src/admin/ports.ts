import type { EpochMilliseconds } from '#lib/clock.ts'
import type { AssertionKind, GatewaySettings } from '#model/gateway.ts'
import type { GatewayId, ReleaseId, TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import type { ObligationType } from '#model/obligation.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { PolicyRecord, ReleaseContent, ReleaseHeader, SourceFile } from '#model/release.ts'
import type { TenantRules } from '#model/tenant-rules.ts'
import type { EntityUid } from '#model/value.ts'
import type { ApiKeyStore } from './api-key-ports.ts'
import type { AuditActor, AuditAttempt, AuditFilter, AuditListing } from './audit.ts'
import type { AgentStore, FederationStore, GrantStore } from './delegation-ports.ts'
import type { GatewaySettingsChange } from './gateway-settings.ts'
import type { ReceiverStore } from './receiver-ports.ts'
import type { RevocationStore } from './revocation-ports.ts'
import type { AdminRole } from './roles.ts'
import type { SignalAdminStore } from './signal-ports.ts'

/** A gateway as administrators see it; the key itself exists only in the answer of `add` and `rotate`. */
export interface GatewayListing {
  readonly id: GatewayId
  readonly name: string
  readonly tenant: TenantId
  /** Null: the default of the dialect. */
  readonly asserts: readonly AssertionKind[] | null
  readonly user_only: boolean
  readonly obligations: readonly ObligationType[] | null
  readonly settings: GatewaySettings | null
  /** First characters of each valid key, enough to recognise it. */
  readonly key_hints: readonly string[]
  readonly created_at: string
  readonly revoked_at: string | null
}

/** What the database keeps of a new gateway. */
export interface NewGateway {
  readonly name: string
  readonly tenant: TenantId
  readonly asserts: readonly AssertionKind[] | null
  readonly userOnly: boolean
  readonly obligations: readonly ObligationType[] | null
  /** Default: none. */
  readonly settings?: GatewaySettings | null
  /** SHA-256 of the key, or `x509-sha256:` and that of a client certificate. */
  readonly keyHash: string
  readonly keyHint: string
}

/** What can be set for a tenant. */
export interface TenantSettings {
  /** Days that rows of the decision log are kept, 1 to 36,500; null: for ever. */
  readonly retention_days: number | null
  /** Names of arguments and properties whose values the log masks, beside those that are masked everywhere. */
  readonly mask_fields: readonly string[]
  /** What it demands of every call; empty: nothing beyond its policies. */
  readonly rules: TenantRules
}

/** A release as administrators see it. */
export interface ReleaseListing {
  readonly release: ReleaseId
  readonly tenant: TenantId
  readonly vocabulary: 'warder' | 'own'
  readonly validated: boolean
  readonly policies: number
  readonly pushed_at: string
  readonly active: boolean
}

/** Who a valid admin token stands for. */
export interface AdminToken {
  readonly name: string
  readonly role: AdminRole
  /** Tenants that it may see and change; null: all, and what belongs to none. */
  readonly tenants: readonly TenantId[] | null
}

/** An admin token as administrators see it; the token itself exists only in the answer of `add`. */
export interface AdminTokenListing extends AdminToken {
  readonly hint: string
  readonly created_at: string
  readonly expires_at: string | null
  readonly revoked_at: string | null
}

/** What the database keeps of a new admin token. */
export interface NewAdminToken extends AdminToken {
  readonly hash: string
  readonly hint: string
  /** Null: it has no end. */
  readonly expiresAt: EpochMilliseconds | null
}

/**
 * Everything administration changes. Each change, its notification and its audit row are one transaction; every list
 * pages.
 */
export interface AdminStore
  extends RevocationStore,
    GrantStore,
    AgentStore,
    FederationStore,
    ApiKeyStore,
    ReceiverStore,
    SignalAdminStore {
  /** The same store; what it changes is recorded as done by `actor`. Without it, by `system`. */
  by(actor: AuditActor): AdminStore
  /** Records a call that changed nothing. */
  recordAttempt(attempt: AuditAttempt): Promise<void>
  /** The audit, newest first; the page key is the sequence. */
  listAudit(filter: AuditFilter, page: Page): Promise<readonly AuditListing[]>
  hasTenant(tenant: TenantId): Promise<boolean>
  addTenant(tenant: TenantId): Promise<'added' | 'exists'>
  /** By name; with `within` only those. */
  listTenants(
    page: Page,
    within?: readonly TenantId[],
  ): Promise<
    readonly { readonly tenant: TenantId; readonly created_at: string; readonly state_version: number }[]
  >
  /** `key_taken`: the key, or the certificate, is that of another gateway or was so before. */
  /** Changes what is given and gives what counts from now on; without changes just that. */
  setTenant(tenant: TenantId, changes: Partial<TenantSettings>): Promise<TenantSettings | 'tenant_unknown'>
  addGateway(gateway: NewGateway): Promise<GatewayId | 'exists' | 'key_taken' | 'tenant_unknown'>
  /** All gateways, or those of one tenant, by name. */
  listGateways(tenant: TenantId | undefined, page: Page): Promise<readonly GatewayListing[]>
  /** Adds a key; the old ones stay valid until `until` (rotation without an outage). */
  rotateGateway(
    tenant: TenantId,
    name: string,
    keyHash: string,
    keyHint: string,
    until: EpochMilliseconds,
  ): Promise<'rotated' | 'unknown'>
  /** Changes settings of a gateway that is not revoked, and gives those that count from now on. */
  setGateway(
    tenant: TenantId,
    name: string,
    change: GatewaySettingsChange,
  ): Promise<{ readonly gateway: GatewayId; readonly settings: GatewaySettings } | 'unknown'>
  revokeGateway(tenant: TenantId, name: string): Promise<'revoked' | 'unknown'>
  putIssuer(tenant: TenantId, issuer: Issuer): Promise<'stored' | 'tenant_unknown'>
  removeIssuer(tenant: TenantId, issuer: string): Promise<'removed' | 'unknown'>
  /** Makes every server forget the keys that it has of the issuer, and fetch them anew. */
  reloadIssuer(tenant: TenantId, issuer: string): Promise<'reloaded' | 'unknown'>
  listIssuers(tenant: TenantId, page: Page): Promise<readonly Issuer[]>
  /**
   * Inserts or replaces entities (rows are versioned, old versions stay). Reports progress after each batch. `retired` is an
   * agent that was retired and would come back: then nothing is stored.
   */
  putEntities(
    tenant: TenantId,
    entities: readonly StoredEntity[],
    onProgress?: (done: number) => void,
  ): Promise<{ readonly version: number } | { readonly retired: string } | 'tenant_unknown'>
  removeEntities(tenant: TenantId, uids: readonly EntityUid[]): Promise<number>
  listEntities(tenant: TenantId, type: string | undefined, page: Page): Promise<readonly StoredEntity[]>
  /** Stores a release; pushing the same content again changes nothing. Does not activate. */
  pushRelease(
    tenant: TenantId,
    release: ReleaseContent,
    onProgress?: (done: number) => void,
  ): Promise<'stored' | 'exists' | 'tenant_unknown'>
  /** Makes a stored release the active one. */
  activateRelease(tenant: TenantId, release: ReleaseId): Promise<'activated' | 'unknown'>
  /** Makes the release active that was so before the present one; the release that it went back from stays stored. */
  rollbackRelease(tenant: TenantId): Promise<{ readonly release: ReleaseId } | 'no_previous'>
  listReleases(tenant: TenantId, page: Page): Promise<readonly ReleaseListing[]>
  findRelease(
    tenant: TenantId,
    release: ReleaseId | 'active',
  ): Promise<
    | {
        readonly header: ReleaseHeader
        readonly sources: readonly SourceFile[]
        readonly schemaText: string | undefined
      }
    | undefined
  >
  /** A name is taken for ever, also by a revoked token. */
  addAdminToken(token: NewAdminToken): Promise<'added' | 'exists'>
  /** The token with this hash, if it is neither revoked nor past its end. */
  findAdminToken(tokenHash: string): Promise<AdminToken | undefined>
  /** Tokens by name; with `within` only those that see nothing else. */
  listAdminTokens(within: readonly TenantId[] | null, page: Page): Promise<readonly AdminTokenListing[]>
  /** Ends a token; with `within` only one that sees nothing else. */
  revokeAdminToken(name: string, within: readonly TenantId[] | null): Promise<'revoked' | 'unknown'>
}

/** Position in a list: entries after `after` (exclusive; the last key of the previous page), at most `limit` (1 to 1,000). */
export interface Page {
  readonly limit: number
  readonly after?: string
}

/** Policies of a release in ordinal order, in batches small enough never to stall the loop (about 50). */
export type ReadPolicies = (tenant: TenantId, release: ReleaseId) => AsyncIterable<readonly PolicyRecord[]>
