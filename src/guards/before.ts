import type { Gateway } from '#model/gateway.ts'
import type { Stop } from '#model/identity.ts'
import { REASONS } from '#model/reasons.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { State } from '#model/state.ts'

/**
 * What stops a request before any cryptography: a database that is older than it was, a replica that could not refresh its state for longer than
 * `freshnessMillisecondsMax`, and a tenant that does not exist.
 */
export function guardBefore(
  request: AuthorizationRequest,
  gateway: Gateway,
  state: State,
  freshnessMillisecondsMax: number,
): Stop | undefined {
  const rolledBack = state.rolledBack()
  if (rolledBack !== undefined)
    return {
      code: 'state.rolled_back',
      message: REASONS['state.rolled_back'],
      detail: `state version ${rolledBack.seen} was seen, the database has ${rolledBack.found}`,
    }
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
