import { beforeAll, expect, test } from 'vitest'
import { newApiKey } from '#admin/keys.ts'
import type { Json } from '#model/value.ts'
import { createBreakers, type Trip } from '#revocation/breakers.ts'
import { askWorld } from '../support/ask.ts'
import { issuer, makeKey, type SigningKey, sign } from '../support/tokens.ts'
import { createWorld, NOON, type World } from '../support/world.ts'

const seconds = NOON / 1000
const claims = {
  iss: 'https://idp.example',
  aud: 'https://tools.example/mcp',
  sub: 'triage-bot',
  client_id: 'triage-bot',
  jti: 't',
  iat: seconds - 60,
  exp: seconds + 600,
}
/** Any three denials open it. */
const rules = { breaker: { denyShare: 0.1, minimum: 3, windowSeconds: 60, openSeconds: 60 } }

let key: SigningKey
let world: World
let counted: string[] = []
const trips: Trip[] = []

beforeAll(async () => {
  key = await makeKey('ES256', 'k1')
  world = await createWorld('demo', {
    policies: 'demo',
    issuers: [issuer([key])],
    rules,
    breakers: createBreakers((trip) => trips.push(trip)),
    onUnverified: ({ tenant, name }) => counted.push(`${tenant} ${name}`),
  })
})

const ask = async (access_token: string | undefined, tool = 'github/list_repos') => {
  counted = []
  const body: Json = { tool, ...(access_token !== undefined && { credentials: { access_token } }) }
  const decision = await askWorld(world, body)
  return [decision.reasons[0]?.code, counted]
}

test('forged tokens count for their gateway, open no breaker of the agent that they name, and stop no verified caller', async () => {
  const good = await sign(key, claims)
  const forged = `${good.slice(0, good.lastIndexOf('.'))}.${'A'.repeat(86)}`
  for (let i = 0; i < 20; i++) expect(await ask(forged)).toEqual(['token.signature', ['demo test']])
  expect(trips).toEqual([])
  expect(await ask(good)).toEqual(['policy.permit', []])
})

test.each<[string, () => Promise<string> | string, string, boolean]>([
  [
    'an expired token',
    () => sign(key, { ...claims, exp: seconds - 600, iat: seconds - 700 }),
    'token.expired',
    true,
  ],
  [
    'a token for somebody else',
    () => sign(key, { ...claims, aud: 'https://other.example' }),
    'token.audience',
    true,
  ],
  [
    'a token of nobody',
    () => sign(key, { ...claims, iss: 'https://evil.example' }),
    'token.issuer_unknown',
    true,
  ],
  ['no token at all', () => 'rubbish', 'token.malformed', true],
  ['an API key that is not accepted', () => newApiKey().key, 'credentials.unsupported', true],
  [
    'a verified agent that nobody knows',
    () => sign(key, { ...claims, sub: 'x', client_id: 'x' }),
    'agent.unknown',
    false,
  ],
])('%s counts: %s', async (_, token, code, expected) => {
  expect(await ask(await token())).toEqual([code, expected ? ['demo test'] : []])
})

test('whoever sends no credential has claimed nothing', async () => {
  const [code, found] = await ask(undefined)
  expect([code, found]).toEqual(['identity.missing', []])
})
