import { describe, expect, test } from 'vitest'
import { opa } from '#gateways/opa/opa.ts'
import type { Decision } from '#model/decision.ts'
import type { DecisionId } from '#model/ids.ts'
import { decision, GATEWAY, NOW, obligation } from '../support/fake-decider.ts'
import { jsonWire } from '../support/wire.ts'

const PATH = '/v1/data/warder/allow'
const TOKEN = 'Bearer t0ken'
const allow = decision('019a0000-0000-7000-8000-000000000001' as DecisionId, 'allow', 'policy.permit')
const deny = decision('019a0000-0000-7000-8000-000000000002' as DecisionId, 'deny', 'policy.forbid')

const kong = (http: object = {}) => ({
  client_ip: '10.0.0.1',
  service: { name: 'api', port: 80 },
  request: {
    http: {
      host: 'api.test',
      port: 8000,
      tls: {},
      method: 'GET',
      scheme: 'http',
      path: '/todos/7',
      querystring: { page: '2' },
      headers: { authorization: TOKEN, host: 'api.test', 'x-request-id': 'r-1' },
      ...http,
    },
  },
})
const apisix = {
  type: 'http',
  request: {
    scheme: 'http',
    method: 'GET',
    host: 'api.test',
    port: 9080,
    path: '/todos/7',
    headers: { authorization: TOKEN, 'x-request-id': 'r-1' },
    query: { page: '2' },
  },
  var: { server_addr: '10.0.0.2', server_port: '9080', remote_addr: '10.0.0.1', timestamp: 1_700_000_000 },
}
const envoy = (more: object = {}) => ({
  attributes: {
    source: { principal: 'spiffe://acme/a', certificate: '-----BEGIN%20CERTIFICATE-----' },
    request: {
      http: {
        id: '1',
        method: 'GET',
        path: '/todos/7?page=2',
        host: 'api.test',
        headers: { ':method': 'GET', authorization: TOKEN, 'x-request-id': 'r-1' },
        ...more,
      },
    },
  },
  parsed_path: ['todos', '7'],
  version: { ext_authz: 'v3' },
})

const read = (input: unknown, target = PATH) =>
  opa.read(jsonWire(target, target.startsWith('/v1/') ? { input } : input), GATEWAY, NOW)
const one = (input: unknown, target = PATH) => {
  const found = read(input, target)
  if (!found.ok) throw new Error(found.failure.message)
  return found.value.requests[0]
}

describe('three inputs, one request', () => {
  test.each([
    ['Kong', kong(), PATH],
    ['APISIX', apisix, PATH],
    ['opa-envoy', envoy(), PATH],
    ['Kong without the wrapper', kong(), '/v0/data/x'],
    ['APISIX at the root', apisix, '/'],
  ])('%s', (_who, input, target) => {
    expect(one(input, target)).toMatchObject({
      dialect: 'opa',
      requestId: 'r-1',
      credentials: [{ scheme: 'bearer', value: 't0ken' }],
      route: { method: 'GET', path: '/todos/7', host: 'api.test' },
    })
  })

  test('a header that came twice is there twice, and two credentials deny', () => {
    const twice = kong({ headers: { authorization: [TOKEN, 'Bearer other'] } })
    expect(read(twice)).toMatchObject({ ok: false, failure: { code: 'request.header_conflict' } })
  })

  test('the raw body counts, and never what the gateway parsed of it', () => {
    const body = '{"a":1}'
    const request = one(kong({ body, body_size: 7, parsed_body: { a: 2 } }))
    expect(new TextDecoder().decode(request?.original?.body)).toBe(body)
    expect(one(kong({ parsed_body: { a: 2 } }))?.original?.body).toBeUndefined()
  })

  test('the certificate that Envoy passes on is a proof', () => {
    expect(one(envoy())?.proofs?.certificates).toEqual([
      { source: 'envoy', value: '-----BEGIN%20CERTIFICATE-----' },
    ])
  })
})

test.each([
  ['a body without `input`', jsonWire(PATH, kong()), 'request.missing_field'],
  ['an input of nobody', jsonWire(PATH, { input: { user: 'x' } }), 'request.wrong_type'],
  ['an empty input', jsonWire(PATH, { input: {} }), 'request.wrong_type'],
  ['no method', jsonWire(PATH, { input: kong({ method: 7 }) }), 'request.missing_field'],
  ['a key twice', jsonWire(PATH, '{"input":{},"input":{}}'), 'request.duplicate_key'],
  [
    'a body that was cut',
    jsonWire(PATH, { input: kong({ body: 'abc', body_size: 9 }) }),
    'request.too_large',
  ],
  [
    'a body with an encoding',
    jsonWire(PATH, { input: kong({ body: 'a', headers: { 'content-encoding': 'br' } }) }),
    'request.unsupported_encoding',
  ],
  [
    'a body that Envoy cut',
    jsonWire(PATH, { input: { ...envoy({ body: 'a' }), truncated_body: true } }),
    'request.too_large',
  ],
  ['a climbing path', jsonWire(PATH, { input: kong({ path: '/a/../b' }) }), 'request.path_ambiguous'],
  [
    'a decoded `?` from Kong',
    jsonWire(PATH, { input: kong({ path: '/todos?/secret' }) }),
    'request.path_ambiguous',
  ],
  [
    'a decoded `?` from APISIX',
    jsonWire(PATH, { input: { ...apisix, request: { ...apisix.request, path: '/todos?/secret' } } }),
    'request.path_ambiguous',
  ],
  ['a header that is no text', jsonWire(PATH, { input: kong({ headers: { a: 1 } }) }), 'request.wrong_type'],
])('must not be read: %s', (_name, wire, code) => {
  const found = opa.read(wire, GATEWAY, NOW)
  expect(found).toMatchObject({ ok: false, failure: { code } })
  if (found.ok) return
  const { status, body } = opa.refuse(found.failure, wire)
  expect(status).toBe(403)
  expect(JSON.parse(body)).toMatchObject({ result: { allow: false, allowed: false } })
})

describe('the answer', () => {
  const answer = (given: Decision, target = PATH): unknown => {
    const asked = { requests: [], semantic: 'single', itemErrors: new Map() } as const
    const { status, body } = opa.write([{ decision: given }], asked, jsonWire(target, {}))
    expect(status).toBe(200)
    return JSON.parse(body)
  }

  test('is a real boolean under every name, with everything that an upstream may rely on', () => {
    expect(answer(allow)).toEqual({
      decision_id: allow.id,
      result: {
        allow: true,
        allowed: true,
        status: 200,
        status_code: 200,
        http_status: 200,
        headers: {
          'x-warder-agent': 'none',
          'x-warder-user': 'none',
          'x-warder-tenant': 'acme',
          'x-warder-obligations': 'none',
          'x-warder-authorization': 'keep',
          'x-warder-reason': 'policy.permit',
          'x-decision-id': allow.id,
        },
      },
    })
  })

  test('says why it denies, for the client and in every place where a gateway looks', () => {
    const denial = { decision: 'deny', error: { code: 'policy.forbid' } }
    expect(answer(deny)).toMatchObject({
      decision_id: deny.id,
      result: {
        allow: false,
        allowed: false,
        status: 403,
        status_code: 403,
        headers: { 'x-warder-reason': 'policy.forbid', 'x-decision-id': deny.id },
        message: denial,
        reason: denial,
      },
    })
  })

  test('has no wrapper where the request had none', () => {
    expect(answer(allow, '/')).toMatchObject({ allow: true })
    expect(answer(deny, '/v0/data/x')).toMatchObject({ allow: false })
  })

  test('overwrites what it can not remove', () => {
    const obligations = [
      obligation('strip_authorization', {}),
      obligation('set_header', { name: 'X-A', value: 'b' }),
    ]
    expect(answer({ ...allow, obligations, upstreamHeaders: ['x-a', 'x-b'] })).toMatchObject({
      result: { headers: { authorization: 'none', 'x-a': 'b', 'x-b': 'none' } },
    })
  })
})
