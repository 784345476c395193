import { describe, expect, test } from 'vitest'
import { mcpFilter } from '#gateways/mcp-filter.ts'
import type { WireRequest } from '#gateways/wire.ts'
import { entity } from '../support/entity.ts'
import { createWorld, NOON, policyFile } from '../support/world.ts'

const tenant = { __entity: { type: 'Warder::Tenant', id: 'acme' } }
const ENTITIES = [
  entity('Agent', 'bot', { tenant, status: 'active', environment: 'any' }),
  entity('Agent', 'gone', { tenant, status: 'suspended', environment: 'any' }),
  entity('Action', 'repos/read', {}, ['readTools']),
  entity('Action', 'repos/pay', {}, ['writeTools']),
  entity('Action', 'repos/erase', {}, ['destructiveTools']),
]
const SCHEMA = `namespace Warder {
  action "repos/pay" in [writeTools] appliesTo {
    principal: [Agent, User], resource: [Tool, Resource], context: { input: { amount: Long } },
  };
  action "repos/loan" in [writeTools] appliesTo {
    principal: [Agent, User], resource: [Tool, Resource], context: { input: { amount: Long } },
  };
  action "repos/gift" in [writeTools] appliesTo {
    principal: [Agent, User], resource: [Tool, Resource], context: { input: { amount: Long } },
  };
}`
const POLICIES = `
@id("read") permit (principal, action in Warder::Action::"readTools", resource);
@id("pay") permit (principal, action == Warder::Action::"repos/pay", resource) when { context.input.amount < 100 };
@id("gift") permit (principal, action == Warder::Action::"repos/gift", resource) when { context.input.amount < 100 };
@id("loan") permit (principal, action == Warder::Action::"repos/loan", resource)
  when { context.input.amount < 100 && context.risk.score > 50 };
@id("no-gifts") forbid (principal is Warder::Agent, action == Warder::Action::"repos/gift", resource);`
const world = createWorld('acme', {
  policies: [{ name: 'tools.cedarschema', text: SCHEMA }, policyFile(POLICIES)],
  entities: ENTITIES,
})

const tool = (name: unknown) => ({ name, inputSchema: { type: 'object' } })

async function filter(body: object) {
  const { decider, gateway } = await world
  const wire: WireRequest = {
    method: 'POST',
    rawUrl: '/v1/mcp/filter',
    rawHeaders: ['content-type', 'application/json'],
    body: new TextEncoder().encode(JSON.stringify(body)),
    peer: '',
  }
  const read = mcpFilter.read(wire, gateway, NOON)
  if (!read.ok) return { code: read.failure.code }
  const [request] = read.value.requests
  if (request === undefined) throw new Error('nothing was read')
  const decision = await decider.decide(request, gateway)
  const answer = mcpFilter.write([{ decision }], read.value, wire)
  return JSON.parse(answer.body) as {
    readonly decision: string
    readonly result: { readonly [member: string]: unknown }
    readonly hidden: number
  }
}

const CALLER = { agent: 'bot', user: 'ann', server: 'repos' }

describe('a list shows what its caller could call', () => {
  test('permitted tools stay, in their order and as they were', async () => {
    const tools = [tool('erase'), tool('read'), tool('pay')]
    expect(await filter({ ...CALLER, result: { tools, nextCursor: 'x' } })).toMatchObject({
      decision: 'allow',
      result: { tools: [tool('read'), tool('pay')], nextCursor: 'x' },
      hidden: 1,
    })
  })

  test('what depends on arguments is shown, unless no arguments could be allowed', async () => {
    const answer = await filter({ ...CALLER, result: { tools: [tool('pay'), tool('gift'), tool('loan')] } })
    expect(answer).toMatchObject({ result: { tools: [tool('pay')] }, hidden: 2 })
  })

  test('resources and prompts too', async () => {
    const resources = [{ uri: 'file:///a', name: 'a' }]
    expect(await filter({ ...CALLER, method: 'resources/list', result: { resources } })).toMatchObject({
      result: { resources },
      hidden: 0,
    })
  })

  test('the answer is private, whatever the server said', async () => {
    const result = { tools: [tool('read')], cacheScope: 'public' }
    expect(await filter({ ...CALLER, result })).toMatchObject({ result: { cacheScope: 'private' } })
  })
})

describe('a list shows nothing more', () => {
  test.each([
    [
      'entries that name no tool',
      { ...CALLER, result: { tools: [tool(1), {}, null, tool('a/b'), tool('mcp:ping')] } },
    ],
    [
      'a tool with the name of a group',
      { ...CALLER, result: { tools: [tool('readTools'), tool('unheard_of')] } },
    ],
    ['a suspended agent', { ...CALLER, agent: 'gone', result: { tools: [tool('read')] } }],
    ['an unknown agent', { ...CALLER, agent: 'nobody', result: { tools: [tool('read')] } }],
  ])('%s: nothing', async (_, body) => {
    expect(await filter(body)).toMatchObject({ result: { tools: [] } })
  })
})

test.each([
  ['no server', { agent: 'bot', result: { tools: [] } }, 'request.wrong_type'],
  ['a server with a slash', { ...CALLER, server: 'a/b', result: { tools: [] } }, 'request.wrong_type'],
  ['no list', { ...CALLER, result: {} }, 'request.wrong_type'],
  ['another method', { ...CALLER, method: 'tools/call', result: { tools: [] } }, 'request.wrong_type'],
  ['a tool of its own', { ...CALLER, tool: 'repos/read', result: { tools: [] } }, 'request.unknown_field'],
  ['an unknown field', { ...CALLER, toool: 'x', result: { tools: [] } }, 'request.unknown_field'],
  [
    'too many entries',
    { ...CALLER, result: { tools: Array.from({ length: 1_001 }, () => tool('read')) } },
    'request.batch_too_large',
  ],
])('%s can not be read', async (_, body, code) => {
  expect(await filter(body)).toEqual({ code })
})

test('one pass is one row, which says how many stayed', async () => {
  const { rows } = await world
  const before = rows.length
  await filter({ ...CALLER, result: { tools: [tool('read'), tool('erase')] } })
  expect(rows).toHaveLength(before + 1)
  expect(rows.at(-1)).toMatchObject({ reason: 'list.filtered', trace: { detail: '1 of 2 are permitted' } })
})
