import { beforeAll, beforeEach, expect, test } from 'vitest'
import { createKeySets, type KeySets } from '#identity/key-sets.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import { askWorld } from '../support/ask.ts'
import { claims, issuer, makeKey, type SigningKey, sign } from '../support/tokens.ts'
import { createWorld, NOON, policyFile, type World, type WorldInput } from '../support/world.ts'

const SECOND = NOON / 1000
const MINUTE = 60_000
const ISSUER = issuer([], {
  keys: { kind: 'remote', url: 'https://idp.example/jwks' },
  claims: { tenant: undefined, agent: 'client_id', user: 'sub' },
})
const entity = (type: string, id: string, attrs = {}) => ({
  uid: { type: `Warder::${type}`, id },
  attrs,
  tags: {},
  parents: [],
})
const PERMIT = '@id("all") permit (principal, action in Warder::Action::"callTool", resource);'

let key: SigningKey
let token: string
beforeAll(async () => {
  key = await makeKey('ES256', 'k')
  token = await sign(key, claims({ iat: SECOND - 60, exp: SECOND + 600 }))
})

let clock: number
let published: readonly SigningKey[] | undefined
let keys: KeySets
beforeEach(() => {
  clock = NOON
  published = [key]
  keys = createKeySets({
    clock: () => clock as EpochMilliseconds,
    fetch: async () => {
      if (published === undefined) throw new Error('unreachable')
      return { keys: published.map(({ jwk }) => jwk) }
    },
    onFault: () => undefined,
  })
})

async function worldWith(text: string, more: Partial<WorldInput> = {}): Promise<World> {
  const entities = [
    entity('Agent', String(claims()['client_id']), { status: 'active', environment: 'any' }),
    ...['low', 'high'].map((tier) =>
      entity('Tool', `crm/${tier}`, { riskTier: tier, sideEffect: 'read', touches: [], environment: 'any' }),
    ),
  ]
  return await createWorld('acme', {
    policies: [policyFile(text)],
    entities,
    issuers: [ISSUER],
    keys,
    ...more,
  })
}
const ask = (world: World, tool: string) => askWorld(world, { tool, credentials: { access_token: token } })

/** The issuer can't be reached any more, and its keys are `age` milliseconds old. */
async function loseIssuer(world: World, age: number) {
  expect(await ask(world, 'crm/high')).toMatchObject({ effect: 'allow' })
  published = undefined
  clock += age
}

test('overdue keys are enough for low risk, and not for high risk, though policies permit both', async () => {
  const world = await worldWith(PERMIT)
  await loseIssuer(world, 10 * MINUTE)
  expect(await ask(world, 'crm/low')).toMatchObject({ effect: 'allow' })
  expect(await ask(world, 'crm/high')).toMatchObject({
    effect: 'deny',
    reasons: [{ code: 'token.keys_stale' }],
    retryAfterSeconds: 60,
  })
  expect(await ask(world, 'crm/nobody-registered-it')).toMatchObject({
    reasons: [{ code: 'token.keys_stale' }],
  })
})

test('keys that are due but not overdue are enough, and so are overdue ones once they could be fetched', async () => {
  const world = await worldWith(PERMIT)
  await loseIssuer(world, 10 * MINUTE - 1)
  expect(await ask(world, 'crm/high')).toMatchObject({ effect: 'allow' })
  clock += MINUTE
  expect(await ask(world, 'crm/high')).toMatchObject({ effect: 'deny' })
  published = [key]
  clock += MINUTE
  // What was verified before is in the cache: the keys are fetched in the background.
  await keys.load('acme' as TenantId, ISSUER)
  expect(await ask(world, 'crm/high')).toMatchObject({ effect: 'allow' })
})

test('naming a tool by an action, or by another spelling, does not get around it', async () => {
  const world = await worldWith(PERMIT)
  await loseIssuer(world, 11 * MINUTE)
  const credentials = { access_token: token }
  for (const body of [
    { credentials, action: { name: 'crm/high' } },
    { credentials, tool: 'CRM/high' },
    { credentials, tool: 'crm/high ' },
  ])
    expect(await askWorld(world, body)).toMatchObject({ effect: 'deny' })
})

test('where the tenant has its own vocabulary no action is a tool, and only its rule denies', async () => {
  const own = '@id("all") permit (principal, action, resource);'
  const asked = {
    action: { name: 'read' },
    resource: { type: 'Doc', id: '1' },
    credentials: { access_token: token },
  }
  for (const [rules, code] of [
    [undefined, undefined],
    [{ freshKeys: 'critical' }, 'token.keys_stale'],
  ] as const) {
    const world = await worldWith(own, { ...(rules !== undefined && { rules }) })
    published = [key]
    await keys.reload('acme' as TenantId, ISSUER)
    published = undefined
    clock += 11 * MINUTE
    const decision = await askWorld(world, asked)
    expect(decision.reasons[0]?.code === 'token.keys_stale' ? 'token.keys_stale' : undefined).toBe(code)
    expect(world.rows.at(-1)?.facts).toMatchObject({ identity: { stale_keys: [ISSUER.issuer] } })
  }
})

test("the tenant's rule says from which risk on", async () => {
  const all = await worldWith(PERMIT, { rules: { freshKeys: 'all' } })
  await loseIssuer(all, 11 * MINUTE)
  expect(await ask(all, 'crm/low')).toMatchObject({ reasons: [{ code: 'token.keys_stale' }] })
  const none = await worldWith(PERMIT, { rules: { freshKeys: 'none' } })
  expect(await ask(none, 'crm/high')).toMatchObject({ effect: 'allow' })
})

test('the row of a decision names the issuers whose overdue keys it rests on, and only then', async () => {
  const world = await worldWith(PERMIT)
  await loseIssuer(world, 11 * MINUTE)
  expect(world.rows.at(-1)?.facts).not.toHaveProperty('identity.stale_keys')
  await ask(world, 'crm/low')
  expect(world.rows.at(-1)?.facts).toMatchObject({ identity: { stale_keys: [ISSUER.issuer] } })
  await ask(world, 'crm/high')
  expect(world.rows.at(-1)?.facts).toMatchObject({ identity: { stale_keys: [ISSUER.issuer] } })
})

test('policies see overdue keys, with their provenance, and can deny what rests on them', async () => {
  const world = await worldWith(
    `${PERMIT} @id("no-guess") forbid (principal, action in Warder::Action::"callTool", resource)
     when { context has staleKeys && context.staleKeys.issuers.contains("${ISSUER.issuer}")
       && context.staleKeys.provenance == "signal" };`,
  )
  await loseIssuer(world, 11 * MINUTE)
  expect(await ask(world, 'crm/low')).toMatchObject({ effect: 'deny', reasons: [{ code: 'policy.forbid' }] })
})
