import { expect, test } from 'vitest'
import { guardFreshKeys } from '#guards/fresh-keys.ts'
import type { TenantRules } from '#model/tenant-rules.ts'
import { registryOf } from '../support/tokens.ts'

const TIERS = ['low', 'medium', 'high', 'critical', 'unclassified'] as const
const tool = (id: string, riskTier: string) => ({
  uid: { type: 'Warder::Tool', id },
  attrs: { riskTier },
  tags: {},
  parents: [],
})
const registry = registryOf([...TIERS.map((tier) => tool(tier, tier)), tool('odd', 'huge')])
const PLACES = [...TIERS, 'odd', 'unregistered', undefined]
const ISSUER = 'https://idp.example'

test.each<[TenantRules['freshKeys'], readonly (string | undefined)[]]>([
  [undefined, ['high', 'critical', 'unclassified', 'odd', 'unregistered']],
  ['none', []],
  ['critical', ['critical', 'unclassified', 'odd', 'unregistered', undefined]],
  ['high', ['high', 'critical', 'unclassified', 'odd', 'unregistered', undefined]],
  ['medium', PLACES.filter((place) => place !== 'low')],
  ['all', PLACES],
])('with the rule %s overdue keys are not enough for %j', (freshKeys, denied) => {
  const rules = freshKeys === undefined ? undefined : { freshKeys }
  for (const place of PLACES) {
    const stop = guardFreshKeys({ staleKeys: [ISSUER] }, rules, place, registry)
    const isDenied = denied.includes(place)
    expect(stop?.code, place).toBe(isDenied ? 'token.keys_stale' : undefined)
    expect(stop?.detail, place).toBe(isDenied ? ISSUER : undefined)
    expect(guardFreshKeys({}, rules, place, registry)).toBeUndefined()
  }
})

test.each<[string | undefined, string | undefined, boolean]>([
  ['low', undefined, false],
  ['high', undefined, true],
  ['unregistered', undefined, false],
  [undefined, undefined, false],
  ['unregistered', 'high', true],
])(
  "a protocol's method of %s that only reads is stopped with the rule %s: %s",
  (place, freshKeys, isDenied) => {
    const rules = freshKeys === undefined ? {} : ({ freshKeys: 'high' } as const)
    const stop = guardFreshKeys({ staleKeys: [ISSUER] }, rules, place, registry, true)
    expect(stop?.code).toBe(isDenied ? 'token.keys_stale' : undefined)
  },
)
