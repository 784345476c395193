import { beforeAll, expect, test } from 'vitest'
import { newApiKey } from '#admin/keys.ts'
import { forwardAuth } from '#gateways/forward-auth.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import { API_KEY_ISSUER, type ApiKey } from '#model/api-key.ts'
import type { Revocation, RevocationKind } from '#model/revocation.ts'
import { RevocationSnapshot } from '#revocation/snapshot.ts'
import { askWorld, readWith } from './support/ask.ts'
import { createWorld, NOON, type World, type WorldInput } from './support/world.ts'

const { key, hash } = newApiKey()
const id = '0199d000-0000-7000-8000-00000000000a'
const apiKey: ApiKey = {
  id,
  agent: 'triage-bot',
  createdAt: (NOON / 1000 - 60) as EpochSeconds,
  expiresAt: (NOON / 1000 + 60) as EpochSeconds,
}
/** Every agent that acts alone may do everything. */
const PERMIT_ALL = [
  {
    name: 'all.cedar',
    text: '@id("all") permit (principal is Warder::Agent, action, resource) when { context.autonomous };',
  },
]
const LOW = 'github/list_repos'
const MEDIUM = 'github/create_issue'

const worldWith = (more: Partial<WorldInput> = {}): Promise<World> =>
  createWorld('demo', {
    policies: 'demo',
    apiKeys: new Map([[hash, apiKey]]),
    gateway: { settings: { apiKeys: 'accept' } },
    ...more,
  })
const ask = (world: World, tool: string, value = key) =>
  askWorld(world, { tool, credentials: { access_token: value } })

let world: World
beforeAll(async () => {
  world = await worldWith()
})

test('a call of low risk that policies permit is allowed by an API key, whose kind is in the row and whose text is not', async () => {
  expect(await ask(world, LOW)).toMatchObject({ effect: 'allow', identity: { agent: 'triage-bot' } })
  const row = world.rows.at(-1)
  expect(row).toMatchObject({
    facts: {
      request: { credentials: ['api-key'] },
      identity: {
        agent: { id: 'triage-bot', provenance: 'registry' },
        token: { kind: 'api-key', issuer: API_KEY_ISSUER, id },
      },
    },
  })
  expect(JSON.stringify(row)).not.toContain(key)
  expect(JSON.stringify(row)).not.toContain(hash)
})

test('a call above low risk needs more than an API key, and says so before policies are asked', async () => {
  const decision = await ask(world, MEDIUM)
  expect(decision).toMatchObject({
    effect: 'deny',
    reasons: [{ code: 'credentials.key_alone' }],
    challenge: { scheme: 'Bearer', error: 'invalid_token' },
  })
  expect(await ask(world, 'github/nobody_registered_this')).toMatchObject({
    reasons: [{ code: 'credentials.key_alone' }],
  })
})

test('a key that is not registered is flagged in its row too, and is nowhere', async () => {
  const unknown = newApiKey().key
  const decision = await ask(world, LOW, unknown)
  expect(decision).toMatchObject({ effect: 'deny', reasons: [{ code: 'credentials.key_unknown' }] })
  const row = world.rows.at(-1)
  expect(row).toMatchObject({ facts: { request: { credentials: ['api-key'] }, identity: null } })
  expect(JSON.stringify([row, decision])).not.toContain(unknown)
})

test.each<[RevocationKind, string]>([
  ['token', `${API_KEY_ISSUER}|${id}`],
  ['issuer', API_KEY_ISSUER],
  ['agent', 'triage-bot'],
])('a %s on the deny list ends its API keys', async (kind, target) => {
  const revocation: Revocation = {
    kind,
    id: target,
    revocation: 'r',
    source: 'admin',
    mode: 'deny',
    reason: 'leaked',
  }
  const revocations = RevocationSnapshot.empty.apply([{ isInForce: true, revocation }], NOON)
  const revoked = await worldWith({ revocations })
  expect(await ask(revoked, LOW)).toMatchObject({ effect: 'deny', reasons: [{ code: 'revoked.authority' }] })
})

test('an agent that is registered with an issuer of tokens can have an API key: the registry names it', async () => {
  const registry = [...world.tenant.registry.ofType('Warder::Agent')]
  expect(registry.length).toBeGreaterThan(0)
  const entities = ['Warder::Agent', 'Warder::Tool', 'Warder::Tenant', 'Warder::Group', 'Warder::Action']
    .flatMap((type) => [...world.tenant.registry.ofType(type)])
    .map((each) =>
      each.uid.id === 'triage-bot'
        ? { ...each, attrs: { ...each.attrs, issuer: 'https://idp.example' } }
        : each,
    )
  expect(await ask(await worldWith({ entities }), LOW)).toMatchObject({ effect: 'allow' })
})

test.each<[string, string, readonly string[]]>([
  ['Authorization', 'allow', ['authorization', `Bearer ${key}`]],
  ['X-API-Key', 'allow', ['x-api-key', key]],
  ['both', 'credentials.multiple', ['authorization', `Bearer ${key}`, 'x-api-key', key]],
  ['X-API-Key twice', 'credentials.multiple', ['x-api-key', key, 'x-api-key', key]],
  ['X-API-Key of somebody else', 'credentials.missing', ['x-api-key', 'sk-upstream-0123456789']],
  ['Authorization without a scheme', 'credentials.unsupported', ['authorization', key]],
])('through a gateway with headers, a key in %s gives %s', async (_, expected, headers) => {
  const call = ['x-forwarded-method', 'GET', 'x-forwarded-uri', '/repos', ...headers]
  const read = readWith(forwardAuth, '/forward-auth', undefined, call)
  const [request] = read.ok ? read.value.requests : []
  if (request === undefined) throw new Error('nothing was read')
  const asked = await createWorld('demo', {
    policies: PERMIT_ALL,
    entities: ['Warder::Agent', 'Warder::Tool', 'Warder::Tenant', 'Warder::Action'].flatMap((type) => [
      ...world.tenant.registry.ofType(type),
    ]),
    apiKeys: new Map([[hash, apiKey]]),
    gateway: { settings: { apiKeys: 'accept' } },
  })
  const decision = await asked.decider.decide(request, asked.gateway)
  expect(decision.effect === 'allow' ? 'allow' : decision.reasons[0]?.code).toBe(expected)
})
