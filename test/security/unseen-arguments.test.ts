import { expect, test } from 'vitest'
import { envoyHttp } from '#gateways/envoy-http.ts'
import { forwardAuth } from '#gateways/forward-auth.ts'
import type { GatewayDialect } from '#gateways/wire.ts'
import { entity } from '../support/entity.ts'
import { createWorld, NOON, policyFile, type World } from '../support/world.ts'

const SCHEMA = `namespace Warder {
  action "bank/pay" in [writeTools] appliesTo {
    principal: [Agent, User],
    resource: [Tool, Resource],
    context: { input: { amount?: Long, account?: String } },
  };
}`
const TENANT = { __entity: { type: 'Warder::Tenant', id: 'acme' } }
const ENTITIES = [
  entity('Agent', 'bot', { tenant: TENANT, status: 'active', environment: 'any' }),
  entity('Tool', 'bank/pay', {
    tenant: TENANT,
    riskTier: 'low',
    sideEffect: 'write',
    touches: [],
    environment: 'any',
    route: 'POST /pay/{account}',
  }),
  entity('Action', 'bank/pay', {}, ['writeTools']),
]
const WHO = ['x-warder-agent', 'bot', 'x-warder-user', 'alice']

async function worldWith(condition: string): Promise<World> {
  const text = `
    @id("pay") permit (principal, action == Warder::Action::"bank/pay", resource);
    @id("stop") forbid (principal, action == Warder::Action::"bank/pay", resource) when { ${condition} };`
  return await createWorld('acme', {
    policies: [{ name: 'pay.cedarschema', text: SCHEMA }, policyFile(text)],
    entities: ENTITIES,
    gateway: { asserts: new Set(['identity']) },
  })
}

async function reasonOf({ decider, gateway }: World, kind: 'forward-auth' | 'envoy-http', target: string) {
  const forwarded = ['x-forwarded-method', 'POST', 'x-forwarded-uri', target]
  const [dialect, method, rawUrl, more, body]: [GatewayDialect, string, string, readonly string[], string] =
    kind === 'forward-auth'
      ? [forwardAuth, 'GET', '/forward-auth', forwarded, '']
      : [envoyHttp, 'POST', target, [], '{"amount":1000000}']
  const wire = { method, rawUrl, rawHeaders: [...WHO, ...more], body: Buffer.from(body), peer: '' }
  const read = dialect.read(wire, gateway, NOON)
  const request = read.ok ? read.value.requests[0] : undefined
  if (request === undefined) throw new Error('nothing was read')
  return (await decider.decide(request, gateway)).reasons[0]?.code
}

test.each([
  ['forward-auth', '/pay/a1'],
  ['forward-auth', '/pay/a1?amount=1000000'],
  ['envoy-http', '/pay/a1'],
] as const)('a forbid on an argument that nobody read is no allow: %s %s', async (kind, target) => {
  const world = await worldWith('context.input has amount && context.input.amount > 100')
  expect(await reasonOf(world, kind, target)).toBe('mcp.body_needed')
})

test.each([
  ['/pay/a1', 'policy.permit'],
  ['/pay/evil', 'policy.forbid'],
])('parameters of the path are read: %s', async (target, expected) => {
  const world = await worldWith('context.input has account && context.input.account == "evil"')
  expect(await reasonOf(world, 'forward-auth', target)).toBe(expected)
})

test('a policy that reads no argument decides without them', async () => {
  const world = await worldWith('resource == Warder::Tool::"other"')
  expect(await reasonOf(world, 'envoy-http', '/pay/a1')).toBe('policy.permit')
})
