import { describe, expect, test } from 'vitest'
import type { StoredEntity } from '#model/registry.ts'
import type { JsonObject } from '#model/value.ts'
import { endpointFault } from '#registry/endpoints.ts'
import { applyEntities, emptyRegistry } from '#registry/snapshot.ts'

const server = (id: string, attrs: JsonObject): StoredEntity => ({
  uid: { type: 'Warder::Server', id },
  attrs,
  tags: {},
  parents: [],
})
const registry = applyEntities(
  emptyRegistry(),
  [
    server('github', { protocol: 'mcp', endpoint: ['/mcp', '/v2/mcp'] }),
    server('planner', { protocol: 'a2a', endpoint: '/agents/planner' }),
    server('one', { protocol: 'mcp', endpoint: '/shared' }),
    server('two', { protocol: 'mcp', endpoint: '/shared' }),
    server('silent', { endpoint: '/plain' }),
    server('mailer', { protocol: 'mcp', endpoint: '/@mail/v1:mcp' }),
  ],
  [],
)

describe('a path that some server takes for the endpoint is the endpoint', () => {
  test.each(['/mcp', '/mcp/', '/MCP', '/mcp;v=1', '/v2/mcp'])('%s', (path) => {
    expect(registry.matchServer(path)).toEqual({ server: 'github', protocol: 'mcp', rest: '' })
  })

  test.each(['/', '/mc', '/mcpx', '/mcp/tools', '/plain'])('%s is not', (path) => {
    expect(registry.matchServer(path)).toBeUndefined()
  })
})

test.each([
  '/%40mail/v1:mcp',
  '/@mail/v1%3Amcp',
  '/%40Mail/v1%3amcp/',
  '/@mail/v1:mcp%3Bx',
  '/@mail/v1:mcp%20',
])('an endpoint is the endpoint with escapes too: %s', (path) => {
  expect(registry.matchServer(path)).toMatchObject({ server: 'mailer', rest: '' })
})

test('an A2A agent has paths below its endpoint, in the case in which they were sent', () => {
  expect(registry.matchServer('/agents/planner')).toMatchObject({ server: 'planner', rest: '' })
  expect(registry.matchServer('/Agents/planner/Acme/message:send')).toMatchObject({
    server: 'planner',
    rest: '/Acme/message:send',
  })
})

test('an endpoint that two servers claim belongs to neither, and is still spoken to in its protocol', () => {
  expect(registry.matchServer('/shared')).toEqual({ server: '', protocol: 'mcp', rest: '' })
})

test.each([undefined, 1, '', 'mcp', '/', '/mcp/', '/a//b', '/a/../b', '/m%63p', '/mcp?x', '/{id}'])(
  'an endpoint can not be %s',
  (value) => {
    expect(endpointFault(value)).toBeDefined()
  },
)
