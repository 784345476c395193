import type { Gateway } from '#model/gateway.ts'
import type { Stop } from '#model/identity.ts'
import { REASONS } from '#model/reasons.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { State } from '#model/state.ts'

/**
 * What stops a request before any cryptography: a replica that could not refresh its state for longer than
 * `freshnessMillisecondsMax`, and a tenant that does not exist.
 */
export function guardBefore(
  request: AuthorizationRequest,
  gateway: Gateway,
  state: State,
  freshnessMillisecondsMax: number,
): Stop | undefined {
  const age = state.ageMilliseconds()
  if (!(age <= freshnessMillisecondsMax))
    return {
      code: 'state.stale',
      message: REASONS['state.stale'],
      detail: `the state is ${Math.round(age)} ms old, ${freshnessMillisecondsMax} ms are allowed`,
    }
  // One answer for a tenant that does not exist and one that this gateway does not serve (docs/architecture.md, invariant 7).
  const isServed = request.tenant === undefined || request.tenant === gateway.tenant
  return isServed && state.tenant(gateway.tenant) !== undefined
    ? undefined
    : { code: 'tenant.unknown', message: REASONS['tenant.unknown'] }
}
