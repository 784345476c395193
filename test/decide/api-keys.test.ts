import { beforeAll, expect, test } from 'vitest'
import { newApiKey } from '#admin/keys.ts'
import { envoyGrpc } from '#gateways/envoy-grpc/envoy-grpc.ts'
import { envoyHttp } from '#gateways/envoy-http.ts'
import { extMcpRequest } from '#gateways/ext-mcp/ext-mcp.ts'
import { forwardAuth } from '#gateways/forward-auth.ts'
import { opa } from '#gateways/opa/opa.ts'
import { join, text } from '#gateways/protobuf/write.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import { API_KEY_ISSUER, type ApiKey } from '#model/api-key.ts'
import type { Decision } from '#model/decision.ts'
import type { Revocation, RevocationKind } from '#model/revocation.ts'
import { RevocationSnapshot } from '#revocation/snapshot.ts'
import { askWorld, readWith } from '../support/ask.ts'
import { wire } from '../support/wire.ts'
import { createWorld, NOON, type World, type WorldInput } from '../support/world.ts'

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

test.each<[string, Partial<ApiKey>, string]>([
  ['without scopes', {}, 'scope.insufficient'],
  ['with another scope', { scopes: ['repos.write'] }, 'scope.insufficient'],
  ['with one of two', { scopes: ['repos.read'] }, 'scope.insufficient'],
  ['with both', { scopes: ['repos.read', 'repos.list'] }, 'allow'],
  [
    'with both, for another gateway',
    { scopes: ['repos.read', 'repos.list'], gateways: ['edge'] },
    'credentials.key_unknown',
  ],
])('the scopes that a tool demands are demanded of an API key: %s gives %s', async (_, limits, expected) => {
  const apiKeys = new Map([[hash, { ...apiKey, ...limits }]])
  const demanding = await worldWith({ apiKeys, rules: { scopes: { [LOW]: ['repos.read', 'repos.list'] } } })
  const decision = await ask(demanding, LOW)
  expect(decision.effect === 'allow' ? 'allow' : decision.reasons[0]?.code).toBe(expected)
})

test('no scope of an API key makes it enough above low risk', async () => {
  const apiKeys = new Map([[hash, { ...apiKey, scopes: ['issues.write', 'admin', '*'] }]])
  const demanding = await worldWith({ apiKeys, rules: { scopes: { [MEDIUM]: ['issues.write'] } } })
  expect(await ask(demanding, MEDIUM)).toMatchObject({ reasons: [{ code: 'credentials.key_alone' }] })
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
  const decision = await decideWith(headers, PERMIT_ALL)
  expect(decision.effect === 'allow' ? 'allow' : decision.reasons[0]?.code).toBe(expected)
})

const permit = (id: string, obligation: string) => ({
  name: `${id}.cedar`,
  text: `@obligation(${JSON.stringify(obligation)}) ${PERMIT_ALL[0]?.text.replace('"all"', `"${id}"`)}`,
})
const STRIP = [permit('strip', 'strip_authorization')]
const SET = permit('set', '{"type":"set_header","name":"X-API-Key","value":"sk-own"}')

test.each<[string, readonly string[], typeof PERMIT_ALL, boolean]>([
  ['goes with the credential', ['x-api-key', key], STRIP, true],
  ['stays when nothing is stripped', ['x-api-key', key], PERMIT_ALL, false],
  ['of somebody else stays', ['authorization', `Bearer ${key}`, 'x-api-key', 'sk-1'], STRIP, false],
])('what came in X-API-Key %s, in every dialect', async (_what, headers, policies, isGone) => {
  const told = removals(await decideWith(headers, policies))
  expect(told).toEqual({
    removedByEnvoy: isGone,
    removedOverGrpc: isGone,
    removedFromMcp: isGone,
    overwritten: isGone ? 'none' : undefined,
    overwrittenByOpa: isGone ? 'none' : undefined,
  })
})

test('a policy’s own X-API-Key takes the place of the agent’s, and is not removed after it was set', async () => {
  const told = removals(await decideWith(['x-api-key', key], [...STRIP, SET]))
  expect(told).toMatchObject({ removedByEnvoy: false, overwritten: 'sk-own', overwrittenByOpa: 'sk-own' })
})

async function decideWith(headers: readonly string[], policies: typeof PERMIT_ALL): Promise<Decision> {
  const call = ['x-forwarded-method', 'GET', 'x-forwarded-uri', '/repos', ...headers]
  const read = readWith(forwardAuth, '/forward-auth', undefined, call)
  const [request] = read.ok ? read.value.requests : []
  if (request === undefined) throw new Error('nothing was read')
  const asked = await createWorld('demo', {
    policies,
    entities: ['Warder::Agent', 'Warder::Tool', 'Warder::Tenant', 'Warder::Action'].flatMap((type) => [
      ...world.tenant.registry.ofType(type),
    ]),
    apiKeys: new Map([[hash, apiKey]]),
    gateway: { settings: { apiKeys: 'accept' } },
  })
  return await asked.decider.decide(request, asked.gateway)
}

/** What each dialect makes of the header `x-api-key` on an allow. */
function removals(decision: Decision) {
  const read = { requests: [], semantic: 'single', itemErrors: new Map() } as const
  const answers = [{ decision }]
  const headersOf = (dialect: typeof envoyHttp) =>
    new Map(dialect.write(answers, read, wire({ target: '/v1/data/x' })).headers)
  const message = join(text(1, 'github'), text(2, 'tools/list'))
  const inBytes = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1').includes('x-api-key')
  const { result } = JSON.parse(opa.write(answers, read, wire({ target: '/v1/data/x' })).body)
  return {
    removedByEnvoy:
      headersOf(envoyHttp).get('x-envoy-auth-headers-to-remove')?.includes('x-api-key') === true,
    removedOverGrpc: inBytes(envoyGrpc.write(answers, [decision], new Uint8Array())),
    removedFromMcp: inBytes(extMcpRequest.write(answers, [decision], message)),
    overwritten: headersOf(forwardAuth).get('x-api-key'),
    overwrittenByOpa: result.headers['x-api-key'],
  }
}
