import { describe, expect, test } from 'vitest'
import { guardApiKey, guardPossession } from '#guards/possession.ts'
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

describe('an API key', () => {
  const key = { ...token, kind: 'api-key' } as const
  const agent = { id: 'spiffe://a/bot', provenance: 'registry', properties: {} } as const
  const ask = (more: Partial<Parameters<typeof guardApiKey>[0]>, place: string | undefined, isRead = false) =>
    guardApiKey({ agent, token: key, ...more }, place, isRead, registry)?.code

  test.each(PLACES)('is not enough by itself for a call of %s, unless that is of low risk', (place) => {
    expect(ask({}, place)).toBe(place === 'low' ? undefined : 'credentials.key_alone')
  })

  test.each(PLACES)('is enough for a call of %s with what it is bound to', (place) => {
    expect(ask({ token: { ...key, boundTo: { x5t: 'x' } } }, place)).toBeUndefined()
    expect(ask({ token: { ...key, boundTo: { jkt: 'x' } } }, place)).toBeUndefined()
  })

  test('is enough beside the proof of the workload that it names, and not beside that of another', () => {
    const proven = (workload: string) => ({ presenter: { proof: 'wpt', workload } as const })
    expect(ask(proven('spiffe://a/bot'), 'high')).toBeUndefined()
    expect(ask(proven('spiffe://a/other'), 'high')).toBe('credentials.key_alone')
    expect(ask({ presenter: { proof: 'none', thumbprint: 'x' } }, 'high')).toBe('credentials.key_alone')
  })

  test('is enough to read what no tool is registered for, and never for a registered tool because of that', () => {
    expect(ask({}, 'unregistered', true)).toBeUndefined()
    expect(ask({}, undefined, true)).toBeUndefined()
    expect(ask({}, 'high', true)).toBe('credentials.key_alone')
  })

  test('says nothing about a token', () => {
    expect(ask({ token }, 'critical')).toBeUndefined()
    expect(ask({ token: undefined }, 'critical')).toBeUndefined()
  })
})
