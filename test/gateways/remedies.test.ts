import { expect, test } from 'vitest'
import { remediesFor } from '#gateways/remedies.ts'
import type { ReasonCode } from '#model/reasons.ts'

test.each<[ReasonCode, string | undefined]>([
  ['token.expired', 'new_token'],
  ['scope.insufficient', 'more_scope'],
  ['pop.token_not_bound', 'bound_token'],
  ['chain.actor', 'actor_token'],
  ['policy.autonomous_not_permitted', 'with_user'],
  ['state.stale', 'later'],
  // Nothing that an agent could do helps against these, so nothing is said.
  ['revoked.authority', undefined],
  ['chain.grant', undefined],
  ['tenant.unknown', undefined],
])('what helps against %s is told: %s', (code, remedy) => {
  const found = remediesFor({ obligations: [] }, [code]).map((each) => each.code)
  expect(found).toEqual(remedy === undefined ? [] : [remedy])
})
