import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { native } from '#gateways/native.ts'
import { GATEWAY, NOW } from '../support/fake-decider.ts'
import { jsonWire, wire } from '../support/wire.ts'

const read = (body: unknown, headers: readonly (readonly [string, string])[] = []) =>
  native.read(jsonWire('/v1/decide', body, headers), GATEWAY, NOW)

describe('a question', () => {
  test('is read field by field, and what the agent says about itself is declared', () => {
    const found = read({
      agent: { id: 'triage', properties: { team: 'x' } },
      user: 'alice',
      tenant: 'acme',
      tool: { server: 'github', name: 'create_issue' },
      resource: { type: 'repo', id: 'warder' },
      action: 'create',
      arguments: { title: 't' },
      task: { id: 't-1', goal: 'sort issues' },
      session: { id: 's-1' },
      risk: { score: 30, declared: 5 },
      context: { ip: '10.0.0.1' },
      declared: { approved: true },
      credentials: { access_token: 'e30.e30.sig' },
      request: { id: 'r-1' },
    })
    expect(found).toEqual({
      ok: true,
      value: {
        semantic: 'single',
        itemErrors: new Map(),
        requests: [
          {
            dialect: 'native',
            now: NOW,
            requestId: 'r-1',
            traceparent: undefined,
            tenant: 'acme',
            agent: { id: 'triage', properties: { team: 'x' } },
            user: { id: 'alice', properties: {} },
            subject: undefined,
            credentials: [{ scheme: 'bearer', value: 'e30.e30.sig' }],
            identityHeaders: [],
            tool: 'github/create_issue',
            route: undefined,
            action: { name: 'create', properties: {} },
            resource: { type: 'repo', id: 'warder', properties: {} },
            arguments: { title: 't' },
            session: { id: 's-1' },
            risk: { score: 30 },
            context: { ip: '10.0.0.1' },
            declared: { approved: true, goal: 'sort issues', task: 't-1', riskScore: 5 },
            supportedObligations: undefined,
          },
        ],
      },
    })
  })

  test('takes the request id and the trace from headers when the body has none', () => {
    const trace = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const found = read({ tool: 'a/b' }, [
      ['X-Request-ID', 'r-2'],
      ['traceparent', trace],
    ])
    expect(found.ok && found.value.requests[0]).toMatchObject({ requestId: 'r-2', traceparent: trace })
  })
})

test.each([
  [{ tool: 'a/b', agents: 'x' }, 'request.unknown_field', '`agents` is not a field; did you mean `agent`?'],
  [
    { tool: 'a/b', risk: { scor: 1 } },
    'request.unknown_field',
    '`risk.scor` is not a field; did you mean `score`?',
  ],
  [
    { tool: 'a/b', agent: { id: 'a', propertys: {} } },
    'request.unknown_field',
    '`agent.propertys` is not a field; did you mean `properties`?',
  ],
  [{ agent: 'x' }, 'request.missing_field', '`tool` is required (or `action` for one that is no tool)'],
  [{ tool: 'a/b', resource: { type: 'r' } }, 'request.missing_field', '`resource.id` is required'],
  [{ tool: 'a/b', agent: 7 }, 'request.wrong_type', '`agent`: must be a text or an object'],
  [{ tool: 'a/b', agent: '' }, 'request.wrong_type', '`agent`: must not be empty'],
  [{ tool: 'a/b', agent: { id: 7 } }, 'request.wrong_type', '`agent.id`: must be a text'],
  [{ tool: 'a/b', agent: null }, 'request.wrong_type', '`agent`: must be a text or an object'],
  [{ tool: { server: 'a/b', name: 'c' } }, 'request.wrong_type', '`tool.server`: must not contain `/`'],
  [
    { tool: 'a/b', risk: { score: 101 } },
    'request.wrong_type',
    '`risk.score`: must be an integer from 0 to 100',
  ],
  [
    { tool: 'a/b', risk: { score: 0.5 } },
    'request.wrong_type',
    '`risk.score`: must be an integer from 0 to 100',
  ],
  [{ tool: 'a/b', context: [] }, 'request.wrong_type', '`context`: must be an object'],
  [[], 'request.wrong_type', 'the body must be a JSON object'],
  ['', 'request.malformed_json', 'the body is empty; a JSON object is needed'],
  ['{"tool":"a/b"', 'request.malformed_json', 'the body is not valid JSON'],
  ['\ufeff{"tool":"a/b"}', 'request.malformed_json', 'the body is not valid JSON'],
  ['{"tool":"a/b","tool":"c/d"}', 'request.duplicate_key', '`tool`: the key occurs twice in one object'],
  [
    '{"tool":"a/b","context":{"__entity":{}}}',
    'request.reserved_key',
    '`context.__entity`: the key is reserved',
  ],
])('a question that can not be read is refused with a code, a path and a hint: %j', (body, code, message) => {
  expect(read(body)).toEqual({ ok: false, failure: { code, message } })
})

test.each([
  ['no content type', [], 'request.unsupported_media_type'],
  ['another one', [['content-type', 'text/plain']], 'request.unsupported_media_type'],
  [
    'two of them',
    [
      ['content-type', 'application/json'],
      ['content-type', 'text/plain'],
    ],
    'request.unsupported_media_type',
  ],
  [
    'another charset',
    [['content-type', 'application/json; charset=latin1']],
    'request.unsupported_media_type',
  ],
  [
    'a content encoding',
    [
      ['content-type', 'application/json'],
      ['content-encoding', 'gzip'],
    ],
    'request.unsupported_encoding',
  ],
  [
    'two content encodings',
    [
      ['content-type', 'application/json'],
      ['content-encoding', 'identity'],
      ['content-encoding', 'gzip'],
    ],
    'request.unsupported_encoding',
  ],
] as const)(
  'a question that can not be read is refused with a code, a path and a hint: %s',
  (_name, headers, code) => {
    expect(native.read(wire({ headers, body: '{"tool":"a/b"}' }), GATEWAY, NOW)).toMatchObject({
      failure: { code },
    })
  },
)

test('a question that can not be read is refused with a code, a path and a hint: bytes that are not UTF-8', () => {
  const body = new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])
  const found = native.read(wire({ headers: [['content-type', 'application/json']], body }), GATEWAY, NOW)
  expect(found).toEqual({
    ok: false,
    failure: { code: 'request.invalid_unicode', message: 'the body is not valid UTF-8' },
  })
})

describe('a batch', () => {
  const batch = (body: unknown) => native.read(jsonWire('/v1/decide/batch', body), GATEWAY, NOW)

  test('keeps a broken item at its place and reads the others', () => {
    const found = batch({ requests: [{ tool: 'a/b' }, { tol: 'x' }, { tool: 'c/d' }] })
    expect(found.ok && found.value.requests.map(({ tool }) => tool)).toEqual(['a/b', 'c/d'])
    expect(found.ok && [...found.value.itemErrors]).toEqual([
      [1, { code: 'request.unknown_field', message: '`tol` is not a field; did you mean `tool`?' }],
    ])
  })

  test.each([
    [{}, 'request.missing_field', '`requests` is required'],
    [{ requests: [] }, 'request.wrong_type', '`requests` must be a list with at least one item'],
    [
      { requests: [{}], more: 1 },
      'request.unknown_field',
      '`more` is not a field; a batch has only `requests`',
    ],
    [{ requests: Array(101).fill({}) }, 'request.batch_too_large', '`requests` may have 100 items'],
  ])('%j is refused', (body, code, message) => {
    expect(batch(body)).toEqual({ ok: false, failure: { code, message } })
  })
})

test('no JSON makes the reader throw', () => {
  fc.assert(
    fc.property(fc.json(), fc.constantFrom('/v1/decide', '/v1/decide/batch'), (body, target) => {
      native.read(jsonWire(target, body), GATEWAY, NOW)
    }),
  )
})

test('a refusal is never a 2xx and says deny', () => {
  for (const code of [
    'request.malformed_json',
    'request.too_large',
    'internal.fault',
    'log.unavailable',
  ] as const) {
    const answer = native.refuse({ code, message: 'm' }, wire({}))
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(JSON.parse(answer.body)).toEqual({ decision: 'deny', error: { code, message: 'm' } })
  }
})
