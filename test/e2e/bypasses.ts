/** One way to get past a gateway. Sent as the demo's `triage-bot` for alice, who may `GET /repos` and `GET /repos/7`. */
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
  /** Only gateways that send bodies to Warder can be affected. */
  readonly needsBody?: boolean
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
  {
    name: 'body over the limit',
    headers: [JSON_TYPE],
    body: JSON.stringify({ padding: 'x'.repeat(2 * 1024 * 1024) }),
    needsBody: true,
  },
  {
    name: 'chunked body over the limit',
    headers: [JSON_TYPE, ['transfer-encoding', 'chunked']],
    body: `200000\r\n${'x'.repeat(0x20_00_00)}\r\n0\r\n\r\n`,
    needsBody: true,
  },
  {
    name: 'body with `Content-Encoding`',
    headers: [JSON_TYPE, ['content-encoding', 'gzip']],
    body: '{}',
    needsBody: true,
  },
  {
    name: 'JSON body with a key twice',
    headers: [JSON_TYPE],
    body: '{"method":"read","method":"delete"}',
    needsBody: true,
  },
  {
    name: 'JSON body that is not UTF-8',
    headers: [JSON_TYPE],
    body: Uint8Array.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]),
    needsBody: true,
  },
  {
    name: 'JSON body with more behind its end',
    headers: [JSON_TYPE],
    body: '{"method":"read"}{"method":"delete"}',
    needsBody: true,
  },
]
