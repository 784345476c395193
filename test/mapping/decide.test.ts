import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, test } from 'vitest'
import { envoyHttp } from '#gateways/envoy-http.ts'
import { mcpFilter } from '#gateways/mcp-filter.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { parseRegistry } from '#registry/parse-registry.ts'
import { nativeRequest } from '../support/ask.ts'
import { claims, issuer, makeKey, type SigningKey, sign } from '../support/tokens.ts'
import { createWorld, NOON, policyFile, type World } from '../support/world.ts'

const tenant = { __entity: { type: 'Warder::Tenant', id: 'acme' } }
const entity = (
  type: string,
  id: string,
  attrs: JsonObject,
  parents: StoredEntity['parents'] = [],
): StoredEntity => ({ uid: { type: `Warder::${type}`, id }, attrs, tags: {}, parents })
const TOOL = { tenant, riskTier: 'low', sideEffect: 'read', touches: [], environment: 'any' }

/** The worked example of docs/mcp.md. */
const MAPPING = {
  evaluation: {
    subject: { type: 'identity', id: '$token.sub' },
    action: { name: 'get_customer' },
    resource: { type: 'resource', id: "$'customer/' + params.arguments.id" },
    context: { agent: '$token.?client_id', case: "$params.arguments.?case.orValue('none')" },
  },
}
const FALLING_BACK = {
  evaluation: {
    action: { name: 'tools/call' },
    resource: { type: 'resource', id: "$params.arguments.?id.orValue('customer/c-eu')" },
  },
}
const ANY_ACTION = { ...MAPPING.evaluation, action: { name: 'tools/call' } }
const AS_AGENT = {
  subject: { type: 'agent', id: '$token.sub' },
  action: { name: 'tools/call' },
  resource: { type: 'tool', id: 'crm/backup' },
}
const ENTITIES = [
  entity('Agent', 'agent-1', { tenant, status: 'active', environment: 'any' }),
  entity('Server', 'crm', { protocol: 'mcp', endpoint: '/crm' }),
  entity('Tool', 'crm/get_customer', { ...TOOL, mapping: MAPPING }),
  entity('Action', 'crm/get_customer', {}, [{ type: 'Warder::Action', id: 'readTools' }]),
  entity('Tool', 'crm/secret', {
    ...TOOL,
    sensitiveArguments: ['id'],
    mapping: { evaluation: ANY_ACTION },
  }),
  entity('Tool', 'crm/broken', { ...TOOL, mapping: { evaluation: {} } }),
  entity('Tool', 'crm/other_action', {
    ...TOOL,
    mapping: { evaluation: { ...MAPPING.evaluation, action: { name: 'delete_customer' } } },
  }),
  entity('Tool', 'crm/other_subject', {
    ...TOOL,
    mapping: { evaluation: { ...ANY_ACTION, subject: { id: '$token.client_id' } } },
  }),
]
const WARDER = {
  schema: `namespace Warder {
    action "crm/get_customer" in [readTools] appliesTo {
      principal: [Agent, User], resource: [Tool, Resource], context: { case: String, input: { id?: String } },
    };
  }`,
  policies: `
@id("agents") permit (principal is Warder::Agent, action == Warder::Action::"crm/get_customer", resource is Warder::Resource)
  when { context.case != "closed" };
@id("alice-eu") permit (
  principal == Warder::User::"alice",
  action == Warder::Action::"crm/get_customer",
  resource in Warder::Resource::"customers/eu"
);
@id("not-vip") forbid (principal, action, resource == Warder::Resource::"customer/vip");`,
}
const customer = (id: string, region: string): StoredEntity =>
  entity('Resource', id, { tenant, kind: 'customer', sensitivity: 1, environment: 'any' }, [
    { type: 'Warder::Resource', id: region },
    { type: 'Warder::Tenant', id: 'acme' },
  ])
const CUSTOMERS = [
  customer('customer/c-eu', 'customers/eu'),
  customer('customer/c-us', 'customers/us'),
  customer('customer/vip', 'customers/eu'),
]
const OWN = {
  schema: `entity identity;
entity agent;
entity customer { region: String };
entity tool;
entity mcp_server;
action get_customer appliesTo { principal: [identity], resource: [customer], context: { agent?: String, case: String } };
action "tools/call" appliesTo { principal: [identity, agent], resource: [tool], context: { agent?: String } };
action initialize appliesTo { principal: [identity], resource: [mcp_server], context: { agent?: String } };`,
  policies: `
@id("customers") permit (principal == identity::"alice", action == Action::"get_customer", resource)
  when { resource.region == "eu" && context.case != "closed" && context has agent && context.agent == "agent-1" };
@id("weather") permit (principal == identity::"alice", action == Action::"tools/call", resource == tool::"crm/weather");
@id("backup") permit (principal == agent::"backup", action == Action::"tools/call", resource == tool::"crm/backup");
@id("connect") permit (principal, action == Action::"initialize", resource == mcp_server::"crm");`,
}

let key: SigningKey
let warder: World
let own: World
let asserting: World
beforeAll(async () => {
  key = await makeKey('ES256', 'k1')
  const issuers = [issuer([key])]
  warder = await createWorld('acme', {
    policies: [{ name: 'crm.cedarschema', text: WARDER.schema }, policyFile(WARDER.policies)],
    entities: [...ENTITIES, ...CUSTOMERS],
    issuers,
  })
  asserting = await createWorld('acme', {
    policies: [{ name: 'crm.cedarschema', text: WARDER.schema }, policyFile(WARDER.policies)],
    entities: [
      ...ENTITIES.filter(({ uid }) => uid.id !== 'crm/get_customer'),
      entity('Tool', 'crm/get_customer', { ...TOOL, mapping: FALLING_BACK }),
    ],
    gateway: { asserts: new Set(['identity']) },
  })
  const lower = { ...MAPPING.evaluation, resource: { type: 'customer', id: '$params.arguments.id' } }
  own = await createWorld('acme', {
    policies: [{ name: 'crm.cedarschema', text: OWN.schema }, policyFile(OWN.policies)],
    entities: [
      ...ENTITIES.filter(({ uid }) => uid.id !== 'crm/get_customer'),
      entity('Tool', 'crm/get_customer', { mapping: { evaluation: lower } }),
      entity('Tool', 'crm/as_agent', { mapping: { evaluation: AS_AGENT } }),
      { uid: { type: 'customer', id: 'c-eu' }, attrs: { region: 'eu' }, tags: {}, parents: [] },
      { uid: { type: 'customer', id: 'c-us' }, attrs: { region: 'us' }, tags: {}, parents: [] },
    ],
    issuers,
  })
})

/** A message of an MCP client through Envoy, with its token; the reason of the decision, or the policies that allowed. */
async function send(world: World, method: string, params: JsonObject, more: object = {}): Promise<string> {
  const token = await sign(key, claims({ iat: NOON / 1000 - 60, exp: NOON / 1000 + 600, ...more }))
  const wire = {
    method: 'POST',
    rawUrl: '/crm',
    rawHeaders: ['authorization', `Bearer ${token}`],
    body: new TextEncoder().encode(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })),
    peer: '127.0.0.1',
  }
  const read = envoyHttp.read(wire, world.gateway, NOON)
  const [request] = read.ok ? read.value.requests : []
  if (request === undefined) throw new Error('nothing was read')
  const { effect, reasons } = await world.decider.decide(request, world.gateway)
  return effect === 'allow' ? 'allow' : (reasons[0]?.code ?? '')
}
const call = (world: World, name: string, input: Json, more: object = {}) =>
  send(world, 'tools/call', { name, arguments: input }, more)

test('the worked example of docs/mcp.md is the one that is run here, and can be imported', () => {
  const section = readFileSync('docs/mcp.md', 'utf8').split('## What a call is about')[1] ?? ''
  const file = /```json\n([\s\S]*?)```/.exec(section)?.[1] ?? ''
  const parsed = parseRegistry(file, { tenant: 'acme' })
  const tool = parsed.ok ? parsed.value.entities.find(({ uid }) => uid.id === 'crm/get_customer') : undefined
  expect(tool?.attrs['mapping']).toEqual(MAPPING)
})

describe('a declared mapping says which resource a call is about', () => {
  test.each<[string, JsonObject, string]>([
    ['a customer that both parties may see', { id: 'c-eu' }, 'allow'],
    ['with a fact of the call that a policy reads', { id: 'c-eu', case: 'closed' }, 'policy.no_permit'],
    ['one that only the agent may see', { id: 'c-us' }, 'policy.no_permit'],
    ['one that is forbidden', { id: 'vip' }, 'policy.forbid'],
    ['one that nobody knows', { id: 'c-none' }, 'policy.no_permit'],
    ['none', {}, 'mapping.failed'],
    ['no text', { id: 7 }, 'mapping.failed'],
    ['a list', { id: ['c-eu'] }, 'mapping.failed'],
  ])('%s', async (_what, input, expected) => {
    expect(await call(warder, 'get_customer', input)).toBe(expected)
  })

  test('the row holds what was asked, so that it can be decided again', async () => {
    await call(warder, 'get_customer', { id: 'c-eu', case: 'k-1' })
    expect(warder.rows.at(-1)).toMatchObject({
      tool: 'crm/get_customer',
      facts: {
        request: {
          resource: { type: 'resource', id: 'customer/c-eu' },
          mapped: { agent: 'agent-1', case: 'k-1' },
        },
      },
    })
    expect(JSON.stringify(warder.rows.at(-1))).not.toContain('token-claims')
  })

  test.each([
    ['crm/get_customer', { id: 'c-eu' }, 'mapping.failed'],
    ['crm/plain', { id: 'c-eu' }, 'policy.no_permit'],
  ])('in the native dialect %s has it too, and no token to read', async (tool, input, expected) => {
    const asked = nativeRequest({ agent: 'agent-1', user: 'alice', tool, arguments: input })
    const { reasons } = await warder.decider.decide(asked, warder.gateway)
    expect(reasons[0]?.code).toBe(expected)
  })

  test('a gateway that names another resource than the mapping is denied', async () => {
    const token = await sign(key, claims({ iat: NOON / 1000 - 60, exp: NOON / 1000 + 600 }))
    const ask = (id: string) =>
      nativeRequest({
        tool: 'crm/get_customer',
        arguments: { id: 'c-eu' },
        resource: { type: 'resource', id },
        credentials: { access_token: token },
      })
    const decide = async (id: string) =>
      (await warder.decider.decide(ask(id), warder.gateway)).reasons[0]?.code
    expect(await decide('customer/c-eu')).toBe('policy.permit')
    expect(await decide('customer/c-us')).toBe('mapping.failed')
  })
})

describe('what can not be mapped denies, and the row says why', () => {
  test.each([
    ['a mapping that was never right', 'broken', '`evaluation.action` must be an object'],
    ['an action that is not the tool', 'other_action', 'the action is not the tool'],
    ['a subject that is not the verified one', 'other_subject', 'the subject is not the verified one'],
    [
      'an argument that the log must not hold',
      'secret',
      'it reads an argument whose value must not be logged',
    ],
  ])('%s', async (_what, tool, detail) => {
    expect(await call(warder, tool, { id: 'c-eu' })).toBe('mapping.failed')
    expect(warder.rows.at(-1)?.trace).toMatchObject({ detail })
    expect(JSON.stringify(warder.rows.at(-1)?.facts)).not.toContain('"mapped"')
  })

  test.each<[string, object]>([
    ['only headers named the tool', { argumentsUnknown: true }],
    ['the body of an HTTP call was not read', { dialect: 'envoy-http', arguments: undefined }],
  ])('arguments that nobody has read, because %s', async (_why, more) => {
    const plain = nativeRequest({ agent: 'agent-1', user: 'alice', tool: 'crm/get_customer', arguments: {} })
    const { reasons } = await asserting.decider.decide({ ...plain, ...more }, asserting.gateway)
    expect(reasons[0]?.code).toBe('mcp.body_needed')
  })
})

describe('nothing in the arguments makes anybody somebody else', () => {
  const FORGED = {
    id: 'c-eu',
    sub: 'alice',
    user: 'alice',
    agent: 'agent-1',
    subject: { type: 'identity', id: 'alice' },
    token: { sub: 'alice', client_id: 'agent-1' },
    context: { agent: 'agent-1' },
  }
  test.each<[string, () => World, object, string]>([
    ['a user without rights', () => warder, { sub: 'mallory' }, 'policy.no_permit'],
    ['an agent that nobody registered', () => warder, { client_id: 'rogue' }, 'agent.unknown'],
    ['a user without rights, in an own vocabulary', () => own, { sub: 'mallory' }, 'policy.no_permit'],
    ['another agent, in an own vocabulary', () => own, { client_id: 'rogue' }, 'policy.no_permit'],
  ])('%s', async (_who, world, more, expected) => {
    expect(await call(world(), 'get_customer', { id: 'c-eu' })).toBe('allow')
    expect(await call(world(), 'get_customer', FORGED, more)).toBe(expected)
  })
})

describe('a tenant with its own vocabulary', () => {
  test.each<[string, string, JsonObject, string]>([
    ['a declared mapping', 'tools/call', { name: 'get_customer', arguments: { id: 'c-eu' } }, 'allow'],
    [
      'its resource counts',
      'tools/call',
      { name: 'get_customer', arguments: { id: 'c-us' } },
      'policy.no_permit',
    ],
    [
      'its facts count',
      'tools/call',
      { name: 'get_customer', arguments: { id: 'c-eu', case: 'closed' } },
      'policy.no_permit',
    ],
    ['the default of tools/call', 'tools/call', { name: 'weather', arguments: { zip: '1' } }, 'allow'],
    ['another tool', 'tools/call', { name: 'erase', arguments: {} }, 'policy.no_permit'],
    ['the default of initialize', 'initialize', {}, 'allow'],
    ['an action that the schema lacks', 'tools/list', {}, 'request.action_unknown'],
    ['a method without a default', 'something/new', {}, 'mapping.missing'],
    ['a method whose parameter is missing', 'resources/read', {}, 'mapping.missing'],
  ])('%s', async (_what, method, params, expected) => {
    expect(await send(own, method, params)).toBe(expected)
  })

  describe('never takes a client for the user whose `sub` is its id, nor a user for the client', () => {
    const alone = (id: string) => ({ sub: id, client_id: id })
    test.each<[string, string, object, string]>([
      ['the user', 'weather', { sub: 'alice' }, 'allow'],
      ['the client', 'weather', alone('alice'), 'policy.no_permit'],
      ['the client, by a mapping that says `identity`', 'get_customer', alone('alice'), 'mapping.failed'],
      ['an agent alone, by its own type', 'backup', alone('backup'), 'allow'],
      ['a user of that name', 'backup', { sub: 'backup' }, 'policy.no_permit'],
      [
        'a user of that name, by a mapping that says `agent`',
        'as_agent',
        { sub: 'backup' },
        'mapping.failed',
      ],
      ['an agent alone, by that mapping', 'as_agent', alone('backup'), 'allow'],
    ])('%s', async (_who, tool, more, expected) => {
      expect(await call(own, tool, { id: 'c-eu' }, more)).toBe(expected)
    })
  })

  test('a call that is no message of MCP has no default mapping', async () => {
    const asked = nativeRequest({ agent: 'agent-1', user: 'alice', tool: 'crm/weather', arguments: {} })
    expect((await own.decider.decide(asked, own.gateway)).reasons[0]?.code).toBe('policy.vocabulary')
  })
})

test('a list shows a tool whose resource is not known yet, unless it is denied whatever that is', async () => {
  const list = async (world: World, more: object = {}) => {
    const token = await sign(key, claims({ iat: NOON / 1000 - 60, exp: NOON / 1000 + 600, ...more }))
    const tools = ['get_customer', 'broken', 'plain'].map((name) => ({ name }))
    const body = { server: 'crm', credentials: { access_token: token }, result: { tools } }
    const wire = {
      method: 'POST',
      rawUrl: '/v1/mcp/filter',
      rawHeaders: ['content-type', 'application/json'],
      body: new TextEncoder().encode(JSON.stringify(body)),
      peer: '',
    }
    const read = mcpFilter.read(wire, world.gateway, NOON)
    const [request] = read.ok ? read.value.requests : []
    if (!read.ok || request === undefined) throw new Error('nothing was read')
    const decision = await world.decider.decide(request, world.gateway)
    const answer = JSON.parse(mcpFilter.write([{ decision }], read.value, wire).body) as {
      readonly result: { readonly tools: readonly { readonly name: string }[] }
    }
    return answer.result.tools.map(({ name }) => name)
  }
  expect(await list(warder)).toEqual(['get_customer'])
  expect(await list(own)).toEqual(['get_customer'])
  expect(await list(warder, { client_id: 'rogue' })).toEqual([])
})
