import type { EpochMilliseconds } from '#lib/clock.ts'
import type { ApiKey } from '#model/api-key.ts'
import type { TenantId } from '#model/ids.ts'
import type { Page } from './ports.ts'

/** What the database keeps of a new secret. */
export interface NewApiKey {
  readonly hash: string
  readonly hint: string
  readonly expiresAt: EpochMilliseconds
}

/** An API key as administrators see it; one row for each secret. The secret itself is shown once. */
export interface ApiKeyListing {
  readonly id: string
  readonly tenant: TenantId
  readonly name: string
  readonly agent: string
  /** Its first characters, enough to recognise it. */
  readonly hint: string
  /** Thumbprints (base64url) of the key and the certificate that it is bound to; null: none. */
  readonly bound_to: { readonly jkt?: string; readonly x5t?: string } | null
  readonly scopes: readonly string[]
  /** Names of the gateways that it may come through; null: any that accept API keys. */
  readonly gateways: readonly string[] | null
  readonly created_at: string
  readonly created_by: string
  readonly expires_at: string
  readonly revoked_at: string | null
}

/** API keys of agents. Each change, its notification and its audit row are one transaction; no row is ever deleted. */
export interface ApiKeyStore {
  /**
   * `agent_unknown`: the tenant has no agent of this id, or it was retired. `gateway_unknown`: one of the gateways is not registered.
   * `exists`: the name is or was in use.
   */
  addApiKey(
    tenant: TenantId,
    key: NewApiKey & Pick<ApiKey, 'agent' | 'boundTo' | 'scopes' | 'gateways'> & { readonly name: string },
  ): Promise<ApiKeyListing | 'tenant_unknown' | 'agent_unknown' | 'gateway_unknown' | 'exists'>
  /** A further secret of the same name, agent, binding, scopes and gateways; the ones before end at `until` at the latest. */
  rotateApiKey(
    tenant: TenantId,
    name: string,
    key: NewApiKey & { readonly until: EpochMilliseconds },
  ): Promise<ApiKeyListing | 'unknown'>
  /** Puts every secret of that name on the deny list, for good. */
  revokeApiKey(tenant: TenantId, name: string, reason: string): Promise<readonly ApiKeyListing[]>
  /** By name and id; the page key is `name/id`. */
  listApiKeys(
    tenant: TenantId,
    filter: { readonly includeOver: boolean; readonly agent?: string | undefined },
    page: Page,
  ): Promise<readonly ApiKeyListing[]>
}
