import { describe, expect, test } from 'vitest'
import { envoyGrpc } from '#gateways/envoy-grpc/envoy-grpc.ts'
import { writeStruct } from '#gateways/protobuf/struct.ts'
import { bytes, integer, join, message, text } from '#gateways/protobuf/write.ts'
import type { Decision } from '#model/decision.ts'
import type { Gateway } from '#model/gateway.ts'
import type { DecisionId } from '#model/ids.ts'
import type { JsonObject } from '#model/value.ts'
import { decision, GATEWAY, NOW, obligation } from '../support/fake-decider.ts'

const ALLOW = decision('019a0000-0000-7000-8000-000000000001' as DecisionId, 'allow', 'policy.permit')
const DENY = decision('019a0000-0000-7000-8000-000000000002' as DecisionId, 'deny', 'policy.forbid')
const ASSERTING: Gateway = { ...GATEWAY, asserts: new Set(['identity']) }

interface Parts {
  readonly path?: string
  readonly headers?: readonly (readonly [string, string])[]
  readonly raw?: readonly (readonly [string, string])[]
  readonly http?: Uint8Array
  readonly extensions?: Readonly<Record<string, string>>
  readonly metadata?: Readonly<Record<string, JsonObject>>
  readonly certificate?: string
}

function check({
  path = '/todos',
  headers = [],
  raw = [],
  extensions = {},
  metadata = {},
  ...parts
}: Parts = {}): Uint8Array {
  const http = join(
    text(2, 'POST'),
    text(4, path),
    text(5, 'api.test'),
    ...headers.map(([name, value]) => message(3, text(1, name), text(2, value))),
    ...(raw.length === 0
      ? []
      : [
          message(
            13,
            ...raw.map(([name, value]) => message(1, text(1, name), bytes(3, Buffer.from(value, 'latin1')))),
          ),
        ]),
    parts.http ?? new Uint8Array(),
  )
  return message(
    1,
    message(1, text(5, parts.certificate ?? '')),
    message(4, message(2, http)),
    ...Object.entries(extensions).map(([key, value]) => message(10, text(1, key), text(2, value))),
    message(
      11,
      ...Object.entries(metadata).map(([key, value]) =>
        message(1, text(1, key), message(2, writeStruct(value))),
      ),
    ),
  )
}

const read = (parts?: Parts, gateway = GATEWAY) => envoyGrpc.read(check(parts), gateway, NOW)
const one = (parts?: Parts, gateway = GATEWAY) => {
  const found = read(parts, gateway)
  if (!found.ok) throw new Error(found.failure.message)
  return found.value.requests[0]
}
const bodyOf = (parts?: Parts) => new TextDecoder().decode(one(parts)?.original?.body)
const AUTHORIZATION = ['authorization', 'Bearer t0ken'] as const

describe('what is read', () => {
  test.each([
    ['headers as Envoy joins them', { headers: [[':path', '/other'], AUTHORIZATION] }],
    ['headers as they came', { raw: [[':path', '/other'], AUTHORIZATION] }],
  ] satisfies [string, Parts][])('%s', (_name, parts) => {
    expect(one({ ...parts, path: '/todos?x=1' })).toMatchObject({
      dialect: 'envoy-grpc',
      credentials: [{ scheme: 'bearer', value: 't0ken' }],
      route: { method: 'POST', path: '/todos', query: '?x=1', host: 'api.test' },
    })
  })

  test.each([
    ['body', text(11, 'abc')],
    ['raw_body', bytes(12, Buffer.from('abc'))],
  ])('the body in %s', (_field, body) => {
    expect(bodyOf({ http: join(body, integer(9, 3)) })).toBe('abc')
  })

  test('the certificate of the client, as a proof from Envoy', () => {
    expect(one({ certificate: 'PEM' })?.proofs?.certificates).toEqual([{ source: 'envoy', value: 'PEM' }])
  })

  test('tenant and tool of the configuration', () => {
    expect(one({ extensions: { tenant: 'acme', tool: 's/t' } })).toMatchObject({
      tenant: 'acme',
      tool: 's/t',
    })
  })

  test('the message that the MCP filter read, with unknown arguments', () => {
    const mcp = { method: 'tools/call', params: { name: 'read_file' } }
    const parts = { metadata: { mcp_proxy: mcp } }
    expect(JSON.parse(bodyOf(parts))).toEqual({ jsonrpc: '2.0', id: 0, ...mcp })
    expect(one(parts)?.argumentsUnknown).toBe(true)
  })

  test('a body counts more than what a filter says of it', () => {
    const metadata = { mcp_proxy: { method: 'tools/call', params: { name: 'read_file' } } }
    const request = one({ metadata, http: join(text(11, '{}'), integer(9, 2)) })
    expect(new TextDecoder().decode(request?.original?.body)).toBe('{}')
    expect(request?.argumentsUnknown).toBeUndefined()
  })
})

describe('a token that Envoy verified', () => {
  const metadata = {
    'envoy.filters.http.jwt_authn': {
      jwt_payload: { sub: 'alice', client_id: 'bot', act: { sub: 'outer' } },
    },
  }

  test('names nobody from a gateway that may not assert identity', () => {
    expect(one({ metadata })).toMatchObject({ agent: undefined, user: undefined })
  })

  test('names agent and user from one that may', () => {
    expect(one({ metadata }, ASSERTING)).toMatchObject({ agent: { id: 'outer' }, user: { id: 'alice' } })
  })

  test.each(['x-warder-user', 'x-warder-agent', 'x-warder-tenant', 'x-warder-subject'])(
    'has no %s of the client’s beside it, not even one that agrees',
    (name) => {
      const parts = { metadata, headers: [[name, 'alice']] as [string, string][] }
      expect(read(parts, ASSERTING)).toMatchObject({
        ok: false,
        failure: { code: 'request.header_conflict' },
      })
    },
  )

  test('names nobody where a token came along that can be verified here', () => {
    expect(one({ metadata, headers: [AUTHORIZATION] }, ASSERTING)).toMatchObject({ agent: undefined })
  })
})

test.each([
  [
    'a body that Envoy marks as a part',
    { headers: [['x-envoy-auth-partial-body', 'true']] },
    'request.too_large',
  ],
  ['a body of which Envoy counted more', { http: join(text(11, 'abc'), integer(9, 9)) }, 'request.too_large'],
  [
    'a body in two forms',
    { http: join(text(11, 'abc'), bytes(12, Buffer.from('abd'))) },
    'request.malformed_protobuf',
  ],
  ['headers in two forms', { headers: [AUTHORIZATION], raw: [['a', 'b']] }, 'request.malformed_protobuf'],
  ['a header key twice', { headers: [AUTHORIZATION, AUTHORIZATION] }, 'request.malformed_protobuf'],
  ['two credentials', { raw: [AUTHORIZATION, AUTHORIZATION] }, 'request.header_conflict'],
  [
    'two credentials that Envoy joined',
    { headers: [['authorization', 'Bearer a,Bearer b']] },
    'request.header_conflict',
  ],
  ['a path twice', { http: text(4, '/other') }, 'request.malformed_protobuf'],
  ['a climbing path', { path: '/a/../b' }, 'request.path_ambiguous'],
  [
    'two filters with a message of MCP',
    { metadata: { mcp_proxy: { method: 'a' }, 'envoy.filters.http.mcp': { method: 'b' } } },
    'request.header_conflict',
  ],
] satisfies [string, Parts, string][])('must not be read: %s', (_name, parts, code) => {
  expect(read(parts)).toMatchObject({ ok: false, failure: { code } })
})

test.each([
  ['an empty message', new Uint8Array()],
  ['bytes that are none', Uint8Array.of(255, 255, 255)],
])('%s is never an allow', (_name, encoded) => {
  const found = envoyGrpc.read(encoded, GATEWAY, NOW)
  expect(found.ok).toBe(false)
})

const OBLIGED: Decision = {
  ...ALLOW,
  identity: { agent: 'spiffe://acme/a', user: 'Zoë' },
  upstreamHeaders: ['x-other', 'x-team'],
  proofNonce: 'n-1',
  obligations: [
    obligation('set_header', { name: 'X-Team', value: 'blue' }),
    obligation('strip_authorization', {}),
  ],
}

// Readable bytes: hex of each answer. `vitest run -u` writes them anew.
test.each([
  ['allow', () => envoyGrpc.write([{ decision: ALLOW }], [ALLOW], new Uint8Array())],
  ['allow-with-obligations', () => envoyGrpc.write([{ decision: OBLIGED }], [OBLIGED], new Uint8Array())],
  ['deny', () => envoyGrpc.write([{ decision: DENY }], [DENY], new Uint8Array())],
  ['nothing-decided', () => envoyGrpc.write([], [], new Uint8Array())],
  ['refused', () => envoyGrpc.refuse({ code: 'http.overloaded', message: 'full' }, undefined)],
])('the bytes of %s stay as they are', async (name, answer) => {
  const hex = Buffer.from(answer()).toString('hex').replace(/.{96}/g, '$&\n')
  expect(hex.length).toBeGreaterThan(100)
  await expect(`${hex}\n`).toMatchFileSnapshot(`../golden/envoy-grpc/${name}.hex`)
})

test('one deny of several is a deny', () => {
  const answers = [{ decision: ALLOW }, { decision: DENY }]
  const first = envoyGrpc.write(answers, [ALLOW, DENY], new Uint8Array())
  expect(first).toEqual(envoyGrpc.write([{ decision: DENY }], [DENY], new Uint8Array()))
})
