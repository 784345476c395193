import { describe, expect, test } from 'vitest'
import { readMcpCall } from '#protocols/mcp.ts'

const bytes = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === 'string' ? value : JSON.stringify(value))
const call = (method: string, params: object = {}) => ({ jsonrpc: '2.0', id: 1, method, params })
const post = (body: unknown, headers: Record<string, string> | [string, string][] = {}) =>
  readMcpCall('github', {
    method: 'POST',
    body: body === undefined ? undefined : bytes(body),
    headers: Array.isArray(headers) ? headers : Object.entries(headers),
  })
const sentinel = (text: string): string => `=?base64?${Buffer.from(text).toString('base64')}?=`
const MODERN = { 'mcp-protocol-version': '2026-07-28' }

describe('a body says what is called', () => {
  test.each([
    [
      'a tool',
      call('tools/call', { name: 'read', arguments: { path: '/a' } }),
      'github/read',
      { path: '/a' },
      undefined,
    ],
    ['a tool without arguments', call('tools/call', { name: 'read' }), 'github/read', {}, undefined],
    ['a list', call('tools/list'), 'github/mcp:tools/list', {}, 'read'],
    [
      'a resource',
      call('resources/read', { uri: 'file:///a' }),
      'github/mcp:resources/read',
      { uri: 'file:///a' },
      'read',
    ],
    [
      'a prompt',
      call('prompts/get', { name: 'p', arguments: { a: 'b' } }),
      'github/mcp:prompts/get',
      { name: 'p', arguments: { a: 'b' } },
      'read',
    ],
    [
      'a completion',
      call('completion/complete', { ref: { type: 'ref/prompt' } }),
      'github/mcp:completion/complete',
      { ref: { type: 'ref/prompt' } },
      'read',
    ],
    ['a subscription', call('subscriptions/listen'), 'github/mcp:subscriptions/listen', {}, 'read'],
    [
      'a notification',
      { jsonrpc: '2.0', method: 'notifications/initialized' },
      'github/mcp:notifications/initialized',
      {},
      'read',
    ],
    [
      'the answer to a sampling or elicitation',
      { jsonrpc: '2.0', id: 3, result: { action: 'accept' } },
      'github/mcp:response',
      {},
      'write',
    ],
    ['a method that nobody knows', call('admin/erase'), 'github/mcp:admin/erase', {}, 'write'],
  ])('%s', (_, body, tool, input, effect) => {
    expect(post(body)).toEqual({ ok: true, value: { tool, arguments: input, ...(effect && { effect }) } })
  })

  test('metadata of the protocol is no argument', () => {
    const found = post(call('resources/read', { uri: 'a', _meta: { progressToken: 1 } }))
    expect(found).toMatchObject({ ok: true, value: { arguments: { uri: 'a' } } })
  })
})

describe('headers alone are believed only since 2026-07-28', () => {
  test('the tool of a modern client', () => {
    expect(post(undefined, { ...MODERN, 'mcp-method': 'tools/call', 'mcp-name': 'read' })).toEqual({
      ok: true,
      value: { tool: 'github/read', arguments: {}, argumentsUnknown: true },
    })
  })

  test('the sentinel is decoded before anything is compared', () => {
    const found = post(undefined, {
      ...MODERN,
      'mcp-method': 'tools/call',
      'mcp-name': sentinel('delete_repo'),
    })
    expect(found).toMatchObject({ ok: true, value: { tool: 'github/delete_repo' } })
  })

  test.each([
    [
      'an older revision',
      { 'mcp-protocol-version': '2025-11-25', 'mcp-method': 'tools/call', 'mcp-name': 'read' },
      'mcp.version',
    ],
    ['no revision', { 'mcp-method': 'tools/call', 'mcp-name': 'read' }, 'mcp.version'],
    [
      'a revision that does not exist',
      { 'mcp-protocol-version': '2026-07-29', 'mcp-method': 'tools/call', 'mcp-name': 'read' },
      'mcp.version',
    ],
    ['no method', MODERN, 'rpc.unreadable'],
    ['no name', { ...MODERN, 'mcp-method': 'tools/call' }, 'rpc.unreadable'],
  ])('%s denies', (_, headers, code) => {
    expect(post(undefined, headers)).toMatchObject({ ok: false, failure: { code } })
  })
})

const read = call('tools/call', { name: 'read', arguments: { region: 'eu', count: 2 } })

test.each<[string, unknown, Record<string, string> | [string, string][], string]>([
  ['a batch', [read, call('tools/call', { name: 'delete' })], {}, 'rpc.batch'],
  ['a batch of one', [read], {}, 'rpc.batch'],
  [
    'a member twice',
    '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"read","name":"delete"}}',
    {},
    'request.duplicate_key',
  ],
  ['bytes after the message', `${JSON.stringify(read)}{}`, {}, 'request.malformed_json'],
  ['a cut message', JSON.stringify(read).slice(0, -2), {}, 'request.malformed_json'],
  ['a byte order mark', `\u{feff}${JSON.stringify(read)}`, {}, 'request.malformed_json'],
  ['another member', { ...read, tool: 'delete' }, {}, 'rpc.unreadable'],
  ['another version of JSON-RPC', { ...read, jsonrpc: '1.0' }, {}, 'rpc.unreadable'],
  ['a call that is a response too', { ...read, result: {} }, {}, 'rpc.unreadable'],
  ['params as a list', { ...read, params: ['read'] }, {}, 'rpc.unreadable'],
  [
    'arguments that are no object',
    call('tools/call', { name: 'read', arguments: 'x' }),
    {},
    'rpc.unreadable',
  ],
  ['a name that is no text', call('tools/call', { name: ['read'] }), {}, 'rpc.unreadable'],
  [
    'a name that is that of a protocol method',
    call('tools/call', { name: 'mcp:initialize' }),
    {},
    'rpc.unreadable',
  ],
  ['a name with a slash', call('tools/call', { name: 'x/read' }), {}, 'rpc.unreadable'],
  ['another method in the header', read, { ...MODERN, 'mcp-method': 'tools/list' }, 'mcp.header_mismatch'],
  [
    'another name in the header',
    read,
    { ...MODERN, 'mcp-method': 'tools/call', 'mcp-name': 'delete' },
    'mcp.header_mismatch',
  ],
  [
    'another name behind the sentinel',
    read,
    { ...MODERN, 'mcp-name': sentinel('delete') },
    'mcp.header_mismatch',
  ],
  ['a parameter that differs', read, { ...MODERN, 'mcp-param-region': 'us' }, 'mcp.header_mismatch'],
  ['a number that differs', read, { ...MODERN, 'mcp-param-count': '3' }, 'mcp.header_mismatch'],
  [
    'a revision that the metadata contradicts',
    call('tools/list', { _meta: { 'io.modelcontextprotocol/protocolVersion': '2025-11-25' } }),
    MODERN,
    'mcp.header_mismatch',
  ],
  [
    'a header twice',
    read,
    [
      ['mcp-name', 'read'],
      ['mcp-name', 'read'],
    ],
    'mcp.header_mismatch',
  ],
  ['a header under an alias', read, [['mcp_name', 'read']], 'mcp.header_mismatch'],
  ['a sentinel that is not canonical', read, { 'mcp-name': '=?base64?cmVhZB==?=' }, 'mcp.header_mismatch'],
  [
    'a name header for a response',
    { jsonrpc: '2.0', id: 1, result: {} },
    { 'mcp-method': 'tools/call' },
    'mcp.header_mismatch',
  ],
])('what could be read in two ways denies: %s', (_, body, headers, code) => {
  expect(post(body, headers)).toMatchObject({ ok: false, failure: { code } })
})

test('numbers in headers are compared as numbers', () => {
  expect(post(read, { ...MODERN, 'mcp-param-count': '2.0', 'mcp-param-region': 'eu' })).toMatchObject({
    ok: true,
  })
})

describe('other methods of HTTP', () => {
  test.each([
    ['GET', undefined, { ok: true, value: { tool: 'github/mcp:stream', arguments: {}, effect: 'read' } }],
    ['DELETE', undefined, { ok: true, value: { tool: 'github/mcp:end', arguments: {}, effect: 'read' } }],
    ['PUT', undefined, { ok: false, failure: { code: 'rpc.unreadable' } }],
    ['GET', call('tools/call', { name: 'delete' }), { ok: false, failure: { code: 'rpc.unreadable' } }],
  ])('%s', (method, body, expected) => {
    const wire = { method, body: body === undefined ? undefined : bytes(body), headers: [] }
    expect(readMcpCall('github', wire)).toMatchObject(expected)
  })
})
