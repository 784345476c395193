import { describe, expect, test } from 'vitest'
import { envoyHttp } from '#gateways/envoy-http.ts'
import { decision, GATEWAY, NOW, obligation } from '../support/fake-decider.ts'
import { wire } from '../support/wire.ts'

type Headers = readonly (readonly [string, string])[]
const read = (target: string, headers: Headers = [], body = '') =>
  envoyHttp.read(
    wire({ method: 'DELETE', target, headers: [['Host', 'api.acme.test'], ...headers], body }),
    GATEWAY,
    NOW,
  )

test('method, path and host of the check are those of the original call', () => {
  const found = read('/repos/7?force=1', [['Authorization', 'Bearer t']])
  expect(found.ok && found.value.requests[0]).toMatchObject({
    dialect: 'envoy-http',
    route: { method: 'DELETE', path: '/repos/7', host: 'api.acme.test' },
    credentials: [{ scheme: 'bearer', value: 't' }],
  })
})

describe('must deny', () => {
  test.each([
    ['a partial body', '/', [['x-envoy-auth-partial-body', 'true']], 'request.too_large'],
    ['a partial body, said in another way', '/', [['X-Envoy-Auth-Partial-Body', '1']], 'request.too_large'],
    [
      'a partial body, said twice',
      '/',
      [
        ['x-envoy-auth-partial-body', 'false'],
        ['x-envoy-auth-partial-body', 'true'],
      ],
      'request.too_large',
    ],
    ['a climbing path', '/../livez', [], 'request.path_ambiguous'],
    ['an encoded climbing path', '/%2e%2e/livez', [], 'request.path_ambiguous'],
    ['an absolute target', 'http://other/x', [], 'request.path_ambiguous'],
    ['two hosts', '/', [['host', 'other']], 'request.header_conflict'],
    [
      'two credentials',
      '/',
      [
        ['authorization', 'Bearer a'],
        ['authorization', 'Bearer b'],
      ],
      'request.header_conflict',
    ],
  ] as const)('%s', (_name, target, headers, code) => {
    expect(read(target, headers)).toMatchObject({ ok: false, failure: { code } })
  })
})

test('an allow is exactly 200 and tells Envoy to remove the credential when it must go', () => {
  const asked = read('/')
  if (!asked.ok) throw new Error('unreadable')
  const allow = decision('d' as never, 'allow', 'policy.permit')
  const plain = envoyHttp.write([{ decision: allow }], asked.value, wire({}))
  const stripped = { ...allow, obligations: [obligation('strip_authorization', {})] }
  const strip = envoyHttp.write([{ decision: stripped }], asked.value, wire({}))
  expect([plain.status, strip.status]).toEqual([200, 200])
  expect(plain.headers.map(([name]) => name)).not.toContain('x-envoy-auth-headers-to-remove')
  expect(strip.headers).toContainEqual(['x-envoy-auth-headers-to-remove', 'authorization'])
})

test('an allow removes what a client sent under a name that a policy could have set', () => {
  const asked = read('/')
  if (!asked.ok) throw new Error('unreadable')
  const made = {
    ...decision('d' as never, 'allow', 'policy.permit'),
    upstreamHeaders: ['x-tag', 'x-team'],
    obligations: [
      obligation('strip_authorization', {}),
      obligation('set_header', { name: 'X-Team', value: 'a' }),
    ],
  }
  const { headers } = envoyHttp.write([{ decision: made }], asked.value, wire({}))
  expect(headers).toContainEqual(['x-envoy-auth-headers-to-remove', 'authorization, x-tag'])
})

test('a fault is 403', () => {
  expect(envoyHttp.refuse({ code: 'internal.fault', message: 'm' }, wire({})).status).toBe(403)
})
