/**
 * One way to get past a gateway. Sent as the demo's `triage-bot` for alice, who may `GET /repos` and `GET /repos/7`, and at the MCP
 * server `/mcp` the tool `read_file`, but not `delete_repo`.
 */
export interface Bypass {
  /** The row of the table in docs/gateways/README.md. */
  readonly name: string
  readonly method?: string
  /** The request target, byte for byte. Default `/repos`. */
  readonly target?: string
  /** Beside Host, Connection and the bearer token. */
  readonly headers?: readonly (readonly [string, string])[]
  readonly body?: string | Uint8Array
  /** The connection is closed after these bytes of the body, before its end. */
  readonly isCutOff?: boolean
  /** The request itself is allowed; what must not reach the API is the text `forged-value`. */
  readonly isAllowed?: boolean
}

const JSON_TYPE = ['content-type', 'application/json'] as const
const FORGED = 'forged-value'

/** Every bypass whose attempt is a request. */
export const BYPASSES: readonly Bypass[] = [
  ...[
    '/repos/../admin',
    '/repos/%2e%2e/admin',
    '/repos/..;/admin',
    '/repos/..%2fadmin',
    '/repos/7%2f..%2f..%2fadmin',
    '/repos/%252e%252e/admin',
    '/repos/7%5c..%5c..%5cadmin',
    '/repos\\..\\admin',
    '//admin',
    '/%61dmin',
    'http://pdp.test/admin',
    'http://pdp.test/repos/../admin',
    '/g/wgk_0123456789abcdef0123456789abcdef0123456789/repos',
  ].map((target): Bypass => ({ name: `path \`${target}\``, target })),
  {
    name: 'two `Authorization` headers',
    method: 'DELETE',
    target: '/repos/7',
    headers: [['authorization', 'Bearer second']],
  },
  { name: 'forged `X-Warder-User`', headers: [['x-warder-user', 'alice']] },
  { name: 'forged `X-Warder-Agent`', headers: [['x-warder-agent', 'release-bot']] },
  { name: 'forged `x_warder_user`', headers: [['x_warder_user', FORGED]] },
  { name: 'forged `X-Warder-Reason` on an allow', headers: [['x-warder-reason', FORGED]], isAllowed: true },
  {
    name: 'forged `X-Decision-Id` on an allow',
    headers: [['x-decision-id', FORGED]],
    isAllowed: true,
  },
  {
    name: 'forged header of a policy on an allow',
    headers: [['x-agent-purpose', FORGED]],
    isAllowed: true,
  },
  {
    name: 'forged `X-Forwarded-Method` and `-Uri`',
    method: 'DELETE',
    target: '/repos/7',
    headers: [
      ['x-forwarded-method', 'GET'],
      ['x-forwarded-uri', '/repos'],
    ],
  },
  {
    name: 'forged `X-Original-Method` and `-URL`',
    method: 'DELETE',
    target: '/repos/7',
    headers: [
      ['x-original-method', 'GET'],
      ['x-original-url', '/repos'],
    ],
  },
  {
    name: 'forged `x_forwarded_uri`',
    method: 'DELETE',
    target: '/repos/7',
    headers: [['x_forwarded_uri', '/repos']],
  },
  {
    name: '`X-HTTP-Method-Override: DELETE`',
    target: '/repos/7',
    headers: [['x-http-method-override', 'DELETE']],
  },
  {
    name: 'WebSocket upgrade of a denied call',
    target: '/admin',
    headers: [
      ['upgrade', 'websocket'],
      ['sec-websocket-version', '13'],
      ['sec-websocket-key', 'AAAAAAAAAAAAAAAAAAAAAA=='],
    ],
  },
  {
    name: 'chunked body that breaks off',
    headers: [['transfer-encoding', 'chunked']],
    body: 'ff\r\nabc',
    isCutOff: true,
  },
  {
    name: 'two framings of one body',
    method: 'GET',
    headers: [
      ['content-length', '5'],
      ['transfer-encoding', 'chunked'],
    ],
    body: '0\r\n\r\nGET /admin HTTP/1.1\r\nHost: pdp.test\r\n\r\n',
  },
  ...Object.entries({
    'body over the limit': { body: rpc('read_file', 'x'.repeat(2 * 1024 * 1024)) },
    'chunked body over the limit': {
      headers: [['transfer-encoding', 'chunked']],
      body: chunked(rpc('read_file', 'x'.repeat(2 * 1024 * 1024))),
    },
    'body with `Content-Encoding`': { headers: [['content-encoding', 'gzip']], body: rpc('read_file') },
    'body that is marked as a part': {
      headers: [['x-envoy-auth-partial-body', 'false']],
      body: rpc('delete_repo'),
    },
    'JSON with a key twice': {
      body: `${rpc('read_file').slice(0, -1)},"params":{"name":"delete_repo","arguments":{}}}`,
    },
    'JSON that is not UTF-8': { body: Buffer.from(rpc('read_file', '\u00ff'), 'latin1') },
    'JSON with more behind its end': { body: rpc('read_file') + rpc('delete_repo') },
    'MCP batch': { body: `[${rpc('read_file')},${rpc('delete_repo')}]` },
    'MCP header that lies, under an old version': {
      headers: lying('2025-11-25', 'read_file'),
      body: rpc('delete_repo'),
    },
    'MCP header that lies, under no version': {
      headers: lying(undefined, 'read_file'),
      body: rpc('delete_repo'),
    },
    'MCP header twice': {
      headers: [...lying('2026-07-28', 'read_file'), ['mcp-name', 'delete_repo']],
      body: rpc('delete_repo'),
    },
    'MCP header in Base64': {
      headers: lying('2026-07-28', '=?base64?ZGVsZXRlX3JlcG8=?='),
      body: rpc('delete_repo'),
    },
  } satisfies Readonly<Record<string, Partial<Bypass>>>).map(
    ([name, parts]): Bypass => ({
      name,
      ...parts,
      method: 'POST',
      target: '/mcp',
      headers: [...(parts.headers ?? []), JSON_TYPE],
    }),
  ),
]

/** A call of a tool as MCP 2025-11-25 has it. */
export function rpc(tool: string, padding = ''): string {
  const params = { name: tool, arguments: padding === '' ? {} : { padding } }
  return JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params })
}

function chunked(text: string): string {
  return `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n0\r\n\r\n`
}

/** Headers since MCP 2026-07-28 that repeat what is in the body, or say that they do. */
function lying(version: string | undefined, name: string): readonly (readonly [string, string])[] {
  return [
    ...(version === undefined ? [] : [['mcp-protocol-version', version] as const]),
    ['mcp-method', 'tools/call'],
    ['mcp-name', name],
  ]
}
