import { hash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LogEntry } from '#decision-log/entry.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { JsonObject } from '#model/value.ts'
import { type ExtMcpClient, extMcpClient } from '../support/ext-mcp-client.ts'
import { GATEWAY_KEY } from '../support/fake-decider.ts'
import { claims, issuer, makeKey, type SigningKey, sign } from '../support/tokens.ts'
import { startListener, type WireListener } from '../support/wire-listener.ts'
import { createWorld, NOON, policyFile } from '../support/world.ts'

const tenant = { __entity: { type: 'Warder::Tenant', id: 'acme' } }
const entity = (type: string, id: string, attrs: JsonObject, group?: string): StoredEntity => ({
  uid: { type: `Warder::${type}`, id },
  attrs,
  tags: {},
  parents: group === undefined ? [] : [{ type: 'Warder::Action', id: group }],
})
const ENTITIES = [
  entity('Agent', 'agent-1', { tenant, status: 'active', environment: 'any' }),
  entity('Action', 'repos/read', {}, 'readTools'),
  entity('Action', 'repos/pay', {}, 'writeTools'),
  entity('Action', 'repos/erase', {}, 'destructiveTools'),
  entity('Action', 'mail/search', {}, 'readTools'),
]
const SCHEMA = `namespace Warder {
  action "repos/pay" in [writeTools] appliesTo {
    principal: [Agent, User], resource: [Tool, Resource], context: { input: { amount: Long } },
  };
}`
const POLICIES = `
@id("read") permit (principal, action in Warder::Action::"readTools", resource);
@id("pay") permit (principal, action == Warder::Action::"repos/pay", resource) when { context.input.amount < 100 };
@id("no-mail-list") forbid (principal is Warder::Agent, action, resource == Warder::Tool::"mail/mcp:tools/list");`

let key: SigningKey
let rows: LogEntry[]
let gateway: WireListener
let client: ExtMcpClient
beforeAll(async () => {
  key = await makeKey('ES256', 'k1')
  const world = await createWorld('acme', {
    policies: [{ name: 'tools.cedarschema', text: SCHEMA }, policyFile(POLICIES)],
    entities: ENTITIES,
    issuers: [issuer([key])],
  })
  rows = world.rows
  gateway = await startListener('ext-authz', {
    decider: { ...world.decider, asked: [], refused: [] },
    clock: () => NOON,
    findGateway: (found) => (found === hash('sha256', GATEWAY_KEY) ? world.gateway : undefined),
  })
  client = extMcpClient(gateway.port)
})
afterAll(async () => {
  client.close()
  await gateway.listener.close(0)
})

const now = NOON / 1000
const token = (more: object = {}): Promise<string> =>
  sign(key, claims({ iat: now - 60, exp: now + 600, ...more }))
const tool = (name: unknown) => ({ name, inputSchema: { type: 'object' } })

/** Asks as agentgateway does: the client's token in the metadata that its configuration writes. */
async function list(tools: readonly unknown[], services: readonly string[] = ['repos'], more: object = {}) {
  const context = { 'x-warder-gateway-key': GATEWAY_KEY, authorization: `Bearer ${await token(more)}` }
  return await client.checkResponse({
    services,
    method: 'tools/list',
    context,
    result: { tools, nextCursor: 'n' },
  })
}

describe('tools/list on its way back', () => {
  test('keeps what its caller could call, with arguments still open, and becomes private', async () => {
    const reply = await list([tool('erase'), tool('read'), tool('pay')])
    expect(reply).toMatchObject({ code: 0, passed: false, error: undefined })
    expect(reply.mutated).toEqual({
      tools: [tool('read'), tool('pay')],
      nextCursor: 'n',
      cacheScope: 'private',
    })
  })

  test('is one pass over all tools, and one row of the log', async () => {
    const before = rows.length
    await list(Array.from({ length: 50 }, (_, index) => tool(index % 2 === 0 ? 'read' : 'erase')))
    expect(rows.slice(before)).toMatchObject([
      {
        tool: 'repos/mcp:tools/list',
        reason: 'list.filtered',
        agent: 'agent-1',
        user: 'alice',
        trace: { detail: '26 of 51 are permitted' },
      },
    ])
  })

  test('of several backends is one pass too; what belongs to none of them is hidden', async () => {
    const before = rows.length
    const reply = await list(
      [tool('repos_read'), tool('repos_erase'), tool('read'), tool('x_read')],
      ['repos', 'mail'],
    )
    expect(reply.mutated).toMatchObject({ tools: [tool('repos_read')] })
    expect(rows).toHaveLength(before + 1)
  })

  test('hides the tools of a backend that may not be listed, whatever they are', async () => {
    const both = await list([tool('repos_read'), tool('mail_search')], ['repos', 'mail'])
    expect(both.mutated).toMatchObject({ tools: [tool('repos_read')] })
    expect((await list([tool('search')], ['mail'])).mutated).toMatchObject({ tools: [] })
  })
})

describe('a list is denied as a whole, with its reason', () => {
  test.each<[string, object, string]>([
    ['an agent that nobody registered', { client_id: 'stranger' }, 'agent.unknown'],
    ['a token that has ended', { exp: now - 3_600, iat: now - 7_200 }, 'token.expired'],
  ])('for %s', async (_who, more, reason) => {
    const reply = await list([tool('read')], ['repos'], more)
    expect(reply).toMatchObject({ passed: false, mutated: undefined, error: { code: 1, reason } })
  })

  test.each<[string, unknown, string]>([
    [
      'that has more entries than are read',
      Array.from({ length: 1_001 }, () => tool('read')),
      'request.batch_too_large',
    ],
    ['that is none', { read: tool('read') }, 'request.wrong_type'],
  ])('%s', async (_what, tools, reason) => {
    const context = { 'x-warder-gateway-key': GATEWAY_KEY, authorization: `Bearer ${await token()}` }
    const asked = { services: ['repos'], method: 'tools/list', context, result: { tools } }
    expect(await client.checkResponse(asked)).toMatchObject({
      mutated: undefined,
      error: { code: 3, reason },
    })
  })

  test('without a token', async () => {
    const context = { 'x-warder-gateway-key': GATEWAY_KEY }
    const asked = { services: ['repos'], method: 'tools/list', context, result: { tools: [tool('read')] } }
    expect(await client.checkResponse(asked)).toMatchObject({ mutated: undefined, error: { code: 1 } })
  })

  test('a gateway that proves nothing gets an error of gRPC', async () => {
    const asked = { services: ['repos'], method: 'tools/list', context: {}, result: { tools: [] } }
    expect(await client.checkResponse(asked)).toMatchObject({ code: 16, passed: false, mutated: undefined })
  })
})
