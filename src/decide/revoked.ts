import { guardRevoked, guardStatus } from '#guards/revoked.ts'
import type { Stop, VerifiedIdentity } from '#model/identity.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { State, TenantState } from '#model/state.ts'
import type { TokenStatuses } from '#model/token-status.ts'
import type { Breakers } from '#revocation/breakers.ts'
import { dependenciesOf } from '#revocation/dependencies.ts'

/** What asking for revocations takes. */
export interface RevokedSteps {
  readonly state: State
  /** Undefined: no agent is stopped for its denials. */
  readonly breakers?: Breakers
  /** Undefined: a token that points to a status list is denied. */
  readonly statuses?: TokenStatuses
}

/** Step 8: whatever the call hangs on, revoked in the database, by a breaker that opened here, or in its issuer's status list. */
export function judgeRevoked(
  steps: RevokedSteps,
  request: AuthorizationRequest,
  identity: VerifiedIdentity,
  tenant: TenantState,
): Stop | undefined {
  const dependencies = dependenciesOf(identity, request, tenant)
  const issuedAt = identity.token?.issuedAt
  const own =
    guardRevoked(dependencies, tenant.revocations, request.now, issuedAt) ??
    guardRevoked(dependencies, steps.breakers?.of(tenant.id), request.now, issuedAt)
  if (own !== undefined) return own
  // INVARIANT: whom another tenant has sent here is stopped by that tenant's deny list too.
  for (const id of identity.delegation.crossings ?? []) {
    const there = [...dependencies, { kind: 'tenant', id } as const]
    const stop = guardRevoked(there, steps.state.tenant(id)?.revocations, request.now, issuedAt)
    if (stop !== undefined) return stop
  }
  const tokens = [identity.token, identity.workloadToken, identity.transaction]
  return guardStatus(tokens, steps.statuses, tenant, request.now)
}
