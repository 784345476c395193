import type { AdminRole } from '#admin/roles.ts'

/** What a call needs, beside a token that sees the tenant of its path. */
export interface Access {
  readonly role: AdminRole
  /** Only tokens for all tenants: what it shows or changes belongs to none. */
  readonly allTenants?: true
  /** Longest body. Default 64 KiB. */
  readonly bodyBytesMax?: number
}

/** A pushed folder or an imported registry file. */
const LARGE = 16 * 1_048_576

/** Who may do what: every route of the admin API, once. */
export const ACCESS = {
  'GET /v1/status': { role: 'viewer', allTenants: true },
  'GET /v1/tenants': { role: 'viewer' },
  'POST /v1/tenants': { role: 'admin', allTenants: true },
  'PATCH /v1/tenants/{tenant}': { role: 'admin' },
  'GET /v1/tenants/{tenant}/gateways': { role: 'viewer' },
  'POST /v1/tenants/{tenant}/gateways': { role: 'operator' },
  'PATCH /v1/tenants/{tenant}/gateways/{name}': { role: 'operator' },
  'POST /v1/tenants/{tenant}/gateways/{name}/rotate': { role: 'operator' },
  'POST /v1/tenants/{tenant}/gateways/{name}/revoke': { role: 'operator' },
  'GET /v1/tenants/{tenant}/issuers': { role: 'viewer' },
  'PUT /v1/tenants/{tenant}/issuers': { role: 'operator' },
  'DELETE /v1/tenants/{tenant}/issuers': { role: 'operator' },
  'GET /v1/tenants/{tenant}/agents': { role: 'viewer' },
  'POST /v1/tenants/{tenant}/agents': { role: 'operator' },
  'PATCH /v1/tenants/{tenant}/agents': { role: 'operator' },
  'GET /v1/tenants/{tenant}/api-keys': { role: 'viewer' },
  'POST /v1/tenants/{tenant}/api-keys': { role: 'operator' },
  'POST /v1/tenants/{tenant}/api-keys/{name}/rotate': { role: 'operator' },
  'POST /v1/tenants/{tenant}/api-keys/{name}/revoke': { role: 'operator' },
  'GET /v1/tenants/{tenant}/grants': { role: 'viewer' },
  'POST /v1/tenants/{tenant}/grants': { role: 'operator' },
  'DELETE /v1/tenants/{tenant}/grants/{id}': { role: 'operator' },
  'GET /v1/tenants/{tenant}/federations': { role: 'viewer' },
  'POST /v1/tenants/{tenant}/federations': { role: 'admin' },
  'POST /v1/tenants/{tenant}/federations/{id}/accept': { role: 'admin' },
  'POST /v1/tenants/{tenant}/federations/{id}/withdraw': { role: 'operator' },
  'POST /v1/tenants/{tenant}/issuers/reload': { role: 'operator' },
  'GET /v1/tenants/{tenant}/entities': { role: 'viewer' },
  'POST /v1/tenants/{tenant}/entities/import': { role: 'operator', bodyBytesMax: LARGE },
  'POST /v1/tenants/{tenant}/entities/remove': { role: 'operator' },
  'GET /v1/tenants/{tenant}/releases': { role: 'viewer' },
  'POST /v1/tenants/{tenant}/releases': { role: 'author', bodyBytesMax: LARGE },
  'GET /v1/tenants/{tenant}/releases/{release}': { role: 'viewer' },
  'POST /v1/tenants/{tenant}/releases/{release}/activate': { role: 'approver' },
  'POST /v1/tenants/{tenant}/rollback': { role: 'approver' },
  'GET /v1/tenants/{tenant}/decisions': { role: 'viewer' },
  'GET /v1/tenants/{tenant}/decisions/{id}': { role: 'viewer' },
  'POST /v1/tenants/{tenant}/explain': { role: 'author' },
  'GET /v1/tenants/{tenant}/revocations': { role: 'viewer' },
  'POST /v1/tenants/{tenant}/revocations': { role: 'operator' },
  'DELETE /v1/tenants/{tenant}/revocations/{id}': { role: 'operator' },
  'POST /v1/tenants/{tenant}/global-token-revocation': { role: 'operator' },
  'GET /v1/tenants/{tenant}/signal-receivers': { role: 'viewer' },
  'POST /v1/tenants/{tenant}/signal-receivers': { role: 'operator' },
  'GET /v1/tenants/{tenant}/signal-receivers/{name}': { role: 'viewer' },
  'DELETE /v1/tenants/{tenant}/signal-receivers/{name}': { role: 'operator' },
  'POST /v1/tenants/{tenant}/signal-receivers/{name}/rotate': { role: 'operator' },
  'POST /v1/tenants/{tenant}/signal-receivers/{name}/revoke': { role: 'operator' },
  'GET /v1/tenants/{tenant}/signal-streams': { role: 'viewer' },
  'POST /v1/tenants/{tenant}/signal-streams': { role: 'operator' },
  'DELETE /v1/tenants/{tenant}/signal-streams/{name}': { role: 'operator' },
  'GET /v1/tenants/{tenant}/signal-streams/{name}/configuration': { role: 'operator' },
  'PATCH /v1/tenants/{tenant}/signal-streams/{name}/configuration': { role: 'operator' },
  'GET /v1/tenants/{tenant}/signal-streams/{name}/status': { role: 'operator' },
  'POST /v1/tenants/{tenant}/signal-streams/{name}/status': { role: 'operator' },
  'POST /v1/tenants/{tenant}/signal-streams/{name}/verify': { role: 'operator' },
  'POST /v1/tenants/{tenant}/signal-streams/{name}/subjects': { role: 'operator' },
  'GET /v1/revocations': { role: 'viewer', allTenants: true },
  'POST /v1/revocations': { role: 'operator', allTenants: true },
  'DELETE /v1/revocations/{id}': { role: 'operator', allTenants: true },
  'GET /v1/tokens': { role: 'admin' },
  'POST /v1/tokens': { role: 'admin' },
  'POST /v1/tokens/{name}/revoke': { role: 'admin' },
  'GET /v1/audit': { role: 'operator' },
} as const satisfies Record<string, Access>

/** Method and path of a route of the admin API. */
export type RouteKey = keyof typeof ACCESS
