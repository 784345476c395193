/** Name of a tenant, the isolation unit; 1 to 63 characters `a-z 0-9 - _ .`, chosen once and never renamed. */
export type TenantId = string & { readonly __id: 'tenant' }

/** Id of a registered gateway (UUID). */
export type GatewayId = string & { readonly __id: 'gateway' }

/** Content address of a release: `sha256:` and 64 hex digits. */
export type ReleaseId = string & { readonly __id: 'release' }

/** Id of one decision (UUIDv7); equals the header `X-Decision-Id` and the log field `decision_id`. */
export type DecisionId = string & { readonly __id: 'decision' }

const TENANT_NAME = /^[a-z0-9][a-z0-9_.-]{0,62}$/

/** The tenant id that `text` spells, or undefined when it is not a valid name. */
export function parseTenantId(text: string): TenantId | undefined {
  return TENANT_NAME.test(text) ? (text as TenantId) : undefined
}
