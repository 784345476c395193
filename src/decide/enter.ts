import { guardBefore } from '#guards/before.ts'
import { guardStopped } from '#guards/revoked.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Gateway } from '#model/gateway.ts'
import type { Stop } from '#model/identity.ts'
import { REASONS } from '#model/reasons.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { State, TenantState } from '#model/state.ts'
import { placesOf } from '#revocation/dependencies.ts'
import { type Judged, stopped } from './judged.ts'

/** What letting a request in takes. */
export interface EnterSteps {
  readonly state: State
  /** State that is older denies everything. */
  readonly freshnessMillisecondsMax: number
}

/** How often a request is judged anew because the state changed under it. A verified token is not verified twice. */
export const ATTEMPTS_MAX = 3

/** The stop of a request whose last attempt met a changed state too. */
export const KEPT_CHANGING: Stop = {
  code: 'state.stale',
  message: REASONS['state.stale'],
  detail: 'the state kept changing',
}
/** The stop of a tenant without policies. */
export const NO_RELEASE: Stop = { code: 'policy.no_release', message: REASONS['policy.no_release'] }

/** The tenant that a request is decided in, unless it is stopped whoever makes it. */
export function enter(
  steps: EnterSteps,
  request: AuthorizationRequest,
  gateway: Gateway,
): Result<TenantState, Judged> {
  const before = guardBefore(request, gateway, steps.state, steps.freshnessMillisecondsMax)
  if (before !== undefined) return failed(stopped(before))
  const tenant = steps.state.tenant(gateway.tenant)
  if (tenant === undefined)
    return failed(stopped({ code: 'tenant.unknown', message: REASONS['tenant.unknown'] }))
  const stop = guardStopped(placesOf(request, tenant), tenant.revocations, request.now)
  return stop === undefined ? success(tenant) : failed(stopped(stop, tenant))
}
