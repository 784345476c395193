import type { EpochMilliseconds } from '#lib/clock.ts'
import type { Gateway } from '#model/gateway.ts'
import type { Stop } from '#model/identity.ts'
import { REASONS } from '#model/reasons.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { State } from '#model/state.ts'

/**
 * What stops a request before any cryptography: a replica that could not refresh its state for longer than
 * `freshnessMillisecondsMax`, and a tenant that does not exist.
 *
 * A clock that stepped back counts as fresh: the next refresh sets it right, while denying everything would not.
 */
export function guardBefore(
  request: AuthorizationRequest,
  gateway: Gateway,
  state: State,
  now: EpochMilliseconds,
  freshnessMillisecondsMax: number,
): Stop | undefined {
  const age = now - state.refreshedAt
  if (!(age <= freshnessMillisecondsMax))
    return {
      code: 'state.stale',
      message: REASONS['state.stale'],
      detail: `the state is ${age} ms old, ${freshnessMillisecondsMax} ms are allowed`,
    }
  // One answer for a tenant that does not exist and one that this gateway does not serve (docs/architecture.md, invariant 7).
  const isServed = request.tenant === undefined || request.tenant === gateway.tenant
  return isServed && state.tenant(gateway.tenant) !== undefined
    ? undefined
    : { code: 'tenant.unknown', message: REASONS['tenant.unknown'] }
}
