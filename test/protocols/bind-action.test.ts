import { describe, expect, test } from 'vitest'
import { envoyHttp } from '#gateways/envoy-http.ts'
import { forwardAuth } from '#gateways/forward-auth.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { JsonObject } from '#model/value.ts'
import { createWorld, NOON, policyFile } from '../support/world.ts'

const entity = (
  type: string,
  id: string,
  attrs: JsonObject,
  parents: StoredEntity['parents'] = [],
): StoredEntity => ({
  uid: { type: `Warder::${type}`, id },
  attrs,
  tags: {},
  parents,
})
const tenant = { __entity: { type: 'Warder::Tenant', id: 'acme' } }
const group = (id: string) => [{ type: 'Warder::Action', id }]
const ENTITIES = [
  entity('Agent', 'bot', { tenant, status: 'active', environment: 'any' }),
  entity('Server', 'github', { protocol: 'mcp', endpoint: '/mcp' }),
  entity('Action', 'github/read_file', {}, group('readTools')),
  entity('Action', 'github/delete_repo', {}, group('destructiveTools')),
]
const POLICIES = [
  policyFile(`@id("read") permit (principal, action in Warder::Action::"readTools", resource);`),
]
const world = createWorld('acme', {
  policies: POLICIES,
  entities: ENTITIES,
  gateway: { asserts: new Set(['identity']) },
})
const IDENTITY = ['x-warder-agent', 'bot', 'x-warder-user', 'ann']
const rpc = (method: string, params: object): string =>
  JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })

async function decide(
  dialect: 'envoy' | 'nginx',
  {
    method = 'POST',
    path = '/mcp',
    headers = [],
    body = '',
  }: { method?: string; path?: string; headers?: string[]; body?: string },
): Promise<string> {
  const { decider, gateway } = await world
  const told = dialect === 'envoy' ? [] : ['x-forwarded-method', method, 'x-forwarded-uri', path]
  const wire = {
    method: dialect === 'envoy' ? method : 'GET',
    rawUrl: dialect === 'envoy' ? path : '/forward-auth',
    rawHeaders: [...IDENTITY, ...told, ...headers],
    body: new TextEncoder().encode(body),
    peer: '127.0.0.1',
  }
  const read = (dialect === 'envoy' ? envoyHttp : forwardAuth).read(wire, gateway, NOON)
  if (!read.ok) return read.failure.code
  const [request] = read.value.requests
  if (request === undefined) throw new Error('nothing was read')
  const { effect, reasons } = await decider.decide(request, gateway)
  return effect === 'allow' ? 'allow' : (reasons[0]?.code ?? '')
}

const PAY_SCHEMA = `namespace Warder {
  action "github/pay" in [writeTools] appliesTo {
    principal: [Agent, User],
    resource: [Tool, Resource],
    context: { input: { amount?: Long } },
  };
}`
const MODERN = ['mcp-protocol-version', '2026-07-28', 'mcp-method', 'tools/call', 'mcp-name']

describe('a gateway that passes the body', () => {
  test.each([
    ['a permitted tool', rpc('tools/call', { name: 'read_file' }), 'allow'],
    ['another tool', rpc('tools/call', { name: 'delete_repo' }), 'policy.no_permit'],
    ['a tool that nobody registered', rpc('tools/call', { name: 'new_tool' }), 'policy.no_permit'],
    ['a tool with the name of a group', rpc('tools/call', { name: 'readTools' }), 'policy.no_permit'],
    ['the start of a session', rpc('initialize', {}), 'allow'],
    ['a method that nobody knows', rpc('admin/erase', {}), 'policy.no_permit'],
    [
      'a batch',
      `[${rpc('tools/call', { name: 'read_file' })},${rpc('tools/call', { name: 'delete_repo' })}]`,
      'rpc.batch',
    ],
    ['something else than a message', '{"delete":"everything"}', 'rpc.unreadable'],
  ])('%s', async (_, body, expected) => {
    expect(await decide('envoy', { body })).toBe(expected)
    expect(await decide('nginx', { body })).toBe(expected)
  })

  test('a header that lies about the tool denies', async () => {
    const body = rpc('tools/call', { name: 'delete_repo' })
    expect(await decide('envoy', { body, headers: [...MODERN, 'read_file'] })).toBe('mcp.header_mismatch')
  })
})

describe('a gateway that passes headers only', () => {
  test.each([
    ['a modern client', [...MODERN, 'read_file'], 'allow'],
    ['another tool', [...MODERN, 'delete_repo'], 'policy.no_permit'],
    [
      'another tool behind the sentinel',
      [...MODERN, `=?base64?${btoa('delete_repo')}?=`],
      'policy.no_permit',
    ],
    [
      'an older client',
      ['mcp-protocol-version', '2025-11-25', 'mcp-method', 'tools/call', 'mcp-name', 'read_file'],
      'mcp.version',
    ],
    ['no header at all', [], 'mcp.version'],
  ])('%s', async (_, headers, expected) => {
    expect(await decide('nginx', { headers })).toBe(expected)
  })

  test('a policy that reads arguments is not asked without them', async () => {
    const guarded = await createWorld('acme', {
      policies: [
        {
          name: 'pay.cedarschema',
          text: PAY_SCHEMA,
        },
        policyFile(`
          @id("pay") permit (principal, action == Warder::Action::"github/pay", resource);
          @id("large") forbid (principal, action == Warder::Action::"github/pay", resource)
            when { context.input has amount && context.input.amount > 100 };`),
      ],
      entities: ENTITIES,
      gateway: { asserts: new Set(['identity']) },
    })
    const wire = {
      method: 'GET',
      rawUrl: '/forward-auth',
      rawHeaders: [...IDENTITY, 'x-forwarded-method', 'POST', 'x-forwarded-uri', '/mcp', ...MODERN, 'pay'],
      body: new Uint8Array(),
      peer: '',
    }
    const read = forwardAuth.read(wire, guarded.gateway, NOON)
    const request = read.ok ? read.value.requests[0] : undefined
    if (request === undefined) throw new Error('nothing was read')
    const decision = await guarded.decider.decide(request, guarded.gateway)
    expect(decision.reasons[0]?.code).toBe('mcp.body_needed')
  })
})

test('the row names the tool that the message called', async () => {
  const { rows } = await world
  await decide('envoy', { body: rpc('tools/call', { name: 'read_file', arguments: { path: '/a' } }) })
  expect(JSON.stringify(rows.at(-1))).toContain('github/read_file')
})
