import { expect, test } from 'vitest'
import { guardBefore } from '#guards/before.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { State } from '#model/state.ts'
import { gateway, request, TENANT, tenantWith } from '../support/tokens.ts'

const NOW = 1_800_000_000_000 as EpochMilliseconds

function stateOf(ageMilliseconds: number): State {
  return {
    tenant: (id) => (id === TENANT ? tenantWith([]) : undefined),
    gatewayByKeyHash: () => undefined,
    refreshedAt: NOW,
    ageMilliseconds: () => ageMilliseconds,
    rolledBack: () => undefined,
  }
}

test.each([0, 4_999, 5_000])('state that is %i ms old passes a bound of 5,000', (age) => {
  expect(guardBefore(request(), gateway(), stateOf(age), 5_000)).toBeUndefined()
})

test.each([5_001, Number.POSITIVE_INFINITY, Number.NaN])(
  'state that is %d ms old denies, also for unknown tenants',
  (age) => {
    for (const tenant of [undefined, 'nowhere'])
      expect(guardBefore(request({ tenant }), gateway(), stateOf(age), 5_000)).toMatchObject({
        code: 'state.stale',
        message: 'the policy state could not be refreshed in time',
      })
  },
)

test('state that is older than what was seen denies, however fresh it is', () => {
  const state = { ...stateOf(0), rolledBack: () => ({ seen: 7, found: 5 }) }
  expect(guardBefore(request(), gateway(), state, 5_000)).toMatchObject({
    code: 'state.rolled_back',
    message: 'the policy state is older than it was; an operator must acknowledge that',
    detail: 'state version 7 was seen, the database has 5',
  })
})

test('an unknown tenant and one of another gateway are the same bytes', () => {
  const state = stateOf(0)
  const unknown = guardBefore(request({ tenant: 'nowhere' }), gateway(), state, 5_000)
  const foreign = guardBefore(request({ tenant: 'globex' }), gateway(), state, 5_000)
  const orphan = guardBefore(request(), gateway({ tenant: 'gone' as typeof TENANT }), state, 5_000)
  expect(unknown).toEqual({ code: 'tenant.unknown', message: 'the tenant is not known to this gateway' })
  expect(JSON.stringify(foreign)).toBe(JSON.stringify(unknown))
  expect(JSON.stringify(orphan)).toBe(JSON.stringify(unknown))
})
