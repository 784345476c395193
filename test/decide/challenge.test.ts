import { expect, test } from 'vitest'
import { envoyHttp } from '#gateways/envoy-http.ts'
import type { TenantRules } from '#model/tenant-rules.ts'
import { askWire, worldOf } from '../delegation/scene.ts'
import { wire } from '../support/wire.ts'

const SCOPES = { readTools: ['crm.read'], 'crm/read': ['crm.use'], destructiveTools: ['crm.admin'] }

async function challengeOf(rules: TenantRules, target: string, authorization?: string) {
  const world = await worldOf({ rules })
  const headers: [string, string][] = [['Host', 'tools.example']]
  if (authorization !== undefined) headers.push(['Authorization', authorization])
  const decision = await askWire(world, [envoyHttp, wire({ method: 'GET', target, headers })])
  expect(decision.effect).toBe('deny')
  return decision.challenge
}

test.each<[string, TenantRules, string, object]>([
  ['nothing where the tenant demands nothing', {}, '/crm', { scheme: 'Bearer' }],
  [
    'all scopes of the tool and its groups',
    { scopes: SCOPES },
    '/crm',
    { scheme: 'Bearer', scope: ['crm.read', 'crm.use'] },
  ],
  [
    'the scopes of a destructive one for a tool that nobody registered',
    { scopes: SCOPES },
    '/other',
    { scheme: 'Bearer', scope: ['crm.admin'] },
  ],
  ['that it must be bound to a key', { proofOfPossession: 'all' }, '/crm', { scheme: 'DPoP' }],
  ['nothing of binding for a tool of less risk', { proofOfPossession: 'high' }, '/crm', { scheme: 'Bearer' }],
])('who comes without a token is told %s', async (_what, rules, target, expected) => {
  const { algorithms: _algorithms, ...told } = (await challengeOf(rules, target)) ?? {}
  expect(told).toEqual(expected)
})

test('who comes with a token that does not hold is told nothing of what a good one would need', async () => {
  const rules: TenantRules = { scopes: SCOPES, proofOfPossession: 'all' }
  expect(await challengeOf(rules, '/crm', 'Bearer a.b.c')).toEqual({
    scheme: 'Bearer',
    error: 'invalid_token',
  })
})
