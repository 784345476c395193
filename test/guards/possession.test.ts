import { describe, expect, test } from 'vitest'
import { guardPossession } from '#guards/possession.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import type { VerifiedToken } from '#model/identity.ts'
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
const token: VerifiedToken = {
  issuer: 'https://idp.example',
  subject: 'u',
  id: 't',
  expiresAt: 0 as EpochSeconds,
  issuedAt: undefined,
  scopes: [],
}
const PLACES = [...TIERS, 'odd', 'unregistered', undefined]

const demanded: readonly (readonly [TenantRules['proofOfPossession'], number])[] = [
  [undefined, PLACES.length],
  ['none', PLACES.length],
  ['critical', 3],
  ['high', 2],
  ['medium', 1],
  ['all', 0],
]

describe.each(demanded)('with proof of possession demanded for %s', (proofOfPossession, first) => {
  const rules = proofOfPossession === undefined ? {} : { proofOfPossession }

  test.each(PLACES.map((place, i) => [place, i >= first] as const))(
    'a call of %s needs a bound token: %s',
    (place, isDemanded) => {
      for (const presented of [token, undefined]) {
        const stop = guardPossession({ token: presented }, rules, place, registry)
        expect(stop?.code).toBe(isDemanded ? 'pop.token_not_bound' : undefined)
      }
      const workload = { proof: 'mtls', workload: 'spiffe://a/b' } as const
      expect(
        guardPossession({ token: undefined, presenter: workload }, rules, place, registry),
      ).toBeUndefined()
      const beside = guardPossession({ token, presenter: workload }, rules, place, registry)
      expect(beside?.code).toBe(isDemanded ? 'pop.token_not_bound' : undefined)
      expect(
        guardPossession({ token: { ...token, boundTo: { jkt: 'x' } } }, rules, place, registry),
      ).toBeUndefined()
      expect(
        guardPossession({ token: { ...token, boundTo: { x5t: 'x' } } }, rules, place, registry),
      ).toBeUndefined()
    },
  )
})
