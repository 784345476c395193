import { describe, expect, test } from 'vitest'
import { forwardAuth } from '#gateways/forward-auth.ts'
import type { Decision } from '#model/decision.ts'
import type { ReasonCode } from '#model/reasons.ts'
import { decision, GATEWAY, NOW, obligation } from '../support/fake-decider.ts'
import { wire } from '../support/wire.ts'

type Headers = readonly (readonly [string, string])[]
const CALL: Headers = [
  ['X-Forwarded-Method', 'GET'],
  ['X-Forwarded-Uri', '/todos?x=1'],
  ['X-Forwarded-Host', 'API.acme.test'],
]

const read = (headers: Headers, body = '') =>
  forwardAuth.read(wire({ method: 'GET', target: '/forward-auth', headers, body }), GATEWAY, NOW)

describe('the original call', () => {
  test.each([
    ['X-Forwarded-*', CALL, 'api.acme.test'],
    [
      'X-Original-URI',
      [
        ['X-Original-Method', 'GET'],
        ['X-Original-URI', '/todos?x=1'],
      ],
      undefined,
    ],
    [
      'X-Original-URL',
      [
        ['X-Original-Method', 'GET'],
        ['X-Original-URL', 'https://api.acme.test/todos?x=1'],
      ],
      'api.acme.test',
    ],
  ] as const)('is read from %s', (_name, headers, host) => {
    const found = read(headers)
    expect(found.ok && found.value.requests[0]?.route).toEqual({
      method: 'GET',
      path: '/todos',
      host,
      query: '?x=1',
    })
  })

  test('credentials and identity headers are claims', () => {
    const found = read([
      ...CALL,
      ['Authorization', 'DPoP abc.def'],
      ['X-Warder-Agent', 'a'],
      ['x-warder-tenant', 't'],
    ])
    expect(found.ok && found.value.requests[0]).toMatchObject({
      agent: undefined,
      tenant: undefined,
      credentials: [{ scheme: 'dpop', value: 'abc.def' }],
      identityHeaders: [
        ['x-warder-agent', 'a'],
        ['x-warder-tenant', 't'],
      ],
    })
  })

  test('a token without a scheme is never taken for a scheme', () => {
    const found = read([...CALL, ['Authorization', 'eyJhbGciOi.e30.sig']])
    expect(found.ok && found.value.requests[0]?.credentials).toEqual([
      { scheme: 'none', value: 'eyJhbGciOi.e30.sig' },
    ])
  })
})

test.each([
  ['nothing about the original call', [], 'request.missing_field'],
  ['a method without a path', [['X-Forwarded-Method', 'GET']], 'request.missing_field'],
  ['a path without a method', [['X-Original-URI', '/']], 'request.missing_field'],
  ['both families', [...CALL, ['X-Original-URI', '/public']], 'request.header_conflict'],
  [
    'both original forms',
    [
      ['X-Original-Method', 'GET'],
      ['X-Original-URI', '/a'],
      ['X-Original-URL', 'http://h/b'],
    ],
    'request.header_conflict',
  ],
  ['two paths', [...CALL, ['x-forwarded-uri', '/public']], 'request.header_conflict'],
  ['two methods', [...CALL, ['x-forwarded-method', 'HEAD']], 'request.header_conflict'],
  [
    'an underscore alias of a path header',
    [...CALL, ['X_Forwarded_Uri', '/public']],
    'request.header_conflict',
  ],
  [
    'an underscore alias of an identity header',
    [...CALL, ['X_Warder_User', 'root']],
    'request.header_conflict',
  ],
  [
    'a name with our prefix that is none of ours',
    [...CALL, ['X-Warder-Anything', 'x']],
    'request.header_conflict',
  ],
  ['a mixed alias', [...CALL, ['X-Warder_User', 'root']], 'request.header_conflict'],
  [
    'two Authorization headers',
    [...CALL, ['Authorization', 'Bearer a'], ['authorization', 'Bearer b']],
    'request.header_conflict',
  ],
  ['two joined bearer tokens', [...CALL, ['Authorization', 'Bearer a, Bearer b']], 'request.header_conflict'],
  [
    'two identity headers',
    [...CALL, ['X-Warder-User', 'a'], ['X-WARDER-USER', 'b']],
    'request.header_conflict',
  ],
  [
    'a climbing path',
    [
      ['X-Forwarded-Method', 'GET'],
      ['X-Forwarded-Uri', '/public/../admin'],
    ],
    'request.path_ambiguous',
  ],
  [
    'an encoded slash',
    [
      ['X-Forwarded-Method', 'GET'],
      ['X-Forwarded-Uri', '/public%2fadmin'],
    ],
    'request.path_ambiguous',
  ],
  [
    'a method in lower case',
    [
      ['X-Forwarded-Method', 'get'],
      ['X-Forwarded-Uri', '/'],
    ],
    'request.wrong_type',
  ],
  ['a host that is none', [...CALL.slice(0, 2), ['X-Forwarded-Host', 'a b']], 'request.wrong_type'],
] as const)('must deny: %s', (_name, headers, code) => {
  expect(read(headers)).toMatchObject({ ok: false, failure: { code } })
})

test('must deny: an encoded body', () => {
  expect(read([...CALL, ['Content-Encoding', 'gzip']], 'x')).toMatchObject({
    failure: { code: 'request.unsupported_encoding' },
  })
  expect(read([...CALL, ['Content-Encoding', 'gzip']]).ok).toBe(true)
})

const asked = read(CALL)
if (!asked.ok) throw new Error('unreadable')
const allow = {
  ...decision('d' as never, 'allow', 'policy.permit'),
  identity: { agent: 'a1', user: 'Zoë' },
}
const write = (made: Decision) => forwardAuth.write([{ decision: made }], asked.value, wire({}))

test('the answer: of an allow carries every upstream header, none of them empty', () => {
  expect(write(allow)).toEqual({
    status: 200,
    body: '',
    headers: [
      ['x-warder-agent', 'a1'],
      ['x-warder-user', 'Zo%C3%AB'],
      ['x-warder-tenant', 'acme'],
      ['x-warder-obligations', 'none'],
      ['x-warder-authorization', 'keep'],
      ['x-warder-reason', 'policy.permit'],
    ],
  })
  expect(write({ ...allow, identity: {} }).headers).toContainEqual(['x-warder-agent', 'none'])
})

test('the answer: overwrites every header that a policy could have set and did not', () => {
  const { headers } = write({
    ...allow,
    upstreamHeaders: ['x-tag', 'x-team'],
    obligations: [obligation('set_header', { name: 'X-Team', value: 'blue' })],
  })
  expect(headers).toContainEqual(['x-tag', 'none'])
  expect(headers.filter(([name]) => name === 'x-team')).toEqual([['x-team', 'blue']])
})

test('the answer: carries obligations as header JSON, sets headers and says that Authorization must go', () => {
  const obligations = [
    obligation('set_header', { name: 'X-Team', value: 'blue team' }),
    obligation('strip_authorization', {}),
  ]
  const { headers } = write({ ...allow, obligations })
  expect(headers).toContainEqual(['x-team', 'blue team'])
  expect(headers).toContainEqual(['x-warder-authorization', 'strip'])
  expect(headers).toContainEqual([
    'x-warder-obligations',
    '[{"type":"set_header","properties":{"name":"X-Team","value":"blue team"}},{"type":"strip_authorization","properties":{}}]',
  ])
})

test.each([
  [
    'a name that steers the gateway',
    [obligation('set_header', { name: 'X-Envoy-Auth-Headers-To-Remove', value: 'a' })],
  ],
  ['a name of our own', [obligation('set_header', { name: 'x-warder-user', value: 'root' })]],
  [
    'the same header twice',
    [
      obligation('set_header', { name: 'a', value: '1' }),
      obligation('set_header', { name: 'A', value: '2' }),
    ],
  ],
  ['a value that is no text', [obligation('set_header', { name: 'a', value: 1 })]],
  ['more than a header can hold', [obligation('notify', { to: ['x'], body: 'b'.repeat(3_000) })]],
])('the answer: an obligation that can not be carried denies: %s', (_name, obligations) => {
  const answer = write({ ...allow, obligations })
  expect(answer.status).toBe(403)
  expect(answer.headers).toContainEqual(['x-warder-reason', 'obligation.unsupported'])
})

test('the answer: a header value with line breaks is encoded', () => {
  const { headers } = write({
    ...allow,
    obligations: [obligation('set_header', { name: 'a', value: 'x\r\ny: z' })],
  })
  expect(headers).toContainEqual(['a', 'x%0D%0Ay:%20z'])
})

test.each<[ReasonCode, number, string | undefined]>([
  ['credentials.missing', 401, 'Bearer realm="warder"'],
  ['identity.missing', 401, 'Bearer realm="warder"'],
  ['token.expired', 401, 'Bearer realm="warder", error="invalid_token"'],
  ['token.signature', 401, 'Bearer realm="warder", error="invalid_token"'],
  ['credentials.unsupported', 401, 'Bearer realm="warder", error="invalid_request"'],
  ['token.keys_unavailable', 403, undefined],
  ['policy.forbid', 403, undefined],
  ['identity.forged_header', 403, undefined],
  ['log.unavailable', 403, undefined],
  ['state.stale', 403, undefined],
  ['internal.fault', 403, undefined],
])('the answer: of a deny for %s is %i', (code, status, challenge) => {
  const answer = write(decision('d' as never, 'deny', code))
  expect(answer.status).toBe(status)
  expect(answer.headers.find(([name]) => name === 'www-authenticate')?.[1]).toBe(challenge)
  expect(answer.headers).toContainEqual(['x-warder-reason', code])
})

test('the answer: to a fault, an unreadable call or nothing at all is 403', () => {
  expect(forwardAuth.refuse({ code: 'internal.fault', message: 'm' }, wire({})).status).toBe(403)
  expect(forwardAuth.refuse({ code: 'request.too_large', message: 'm' }, wire({})).status).toBe(403)
  expect(forwardAuth.write([], asked.value, wire({})).status).toBe(403)
})

test('a gateway that asks for it never gets 401', () => {
  const answers = [{ decision: decision('d' as never, 'deny', 'token.expired') }]
  const statusAt = (target: string) => forwardAuth.write(answers, asked.value, wire({ target })).status
  expect(statusAt('/forward-auth')).toBe(401)
  expect(statusAt('/forward-auth?deny=403')).toBe(403)
  expect(statusAt('/forward-auth?a=b&deny=403')).toBe(403)
  expect(statusAt('/forward-auth?deny=4030')).toBe(401)
})

test('a body that is shorter than the client’s denies', () => {
  const length = (value: string): Headers => [...CALL, ['X-Original-Content-Length', value]]
  expect(read(length('3'), 'abc').ok).toBe(true)
  expect(read(length('300'), 'abc')).toMatchObject({ ok: false, failure: { code: 'request.too_large' } })
  expect(read(length('3, 300'), 'abc').ok).toBe(false)
})

test('the body of a check by GET is the body of the call', () => {
  const found = read(CALL, '{"jsonrpc":"2.0"}')
  expect(found.ok && new TextDecoder().decode(found.value.requests[0]?.original?.body)).toBe(
    '{"jsonrpc":"2.0"}',
  )
})
