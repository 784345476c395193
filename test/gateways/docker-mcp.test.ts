import { expect, test } from 'vitest'
import { dockerMcpAfter, dockerMcpBefore } from '#gateways/docker-mcp.ts'
import type { Obligation } from '#model/obligation.ts'
import type { ReasonCode } from '#model/reasons.ts'
import { decision, GATEWAY, NOW, obligation } from '../support/fake-decider.ts'
import { jsonWire, wire } from '../support/wire.ts'

const PATH = '/docker/before?server=github&agent=desktop&user=alice'
const CALL = { params: { name: 'create_issue', arguments: { title: 'x' } } }
const asked = { requests: [], semantic: 'single', itemErrors: new Map() } as const

test('the configured URL says who asks, the body what', () => {
  const read = dockerMcpBefore.read(jsonWire(PATH, CALL), GATEWAY, NOW)
  expect(read.ok && read.value.requests[0]).toMatchObject({
    dialect: 'docker-mcp',
    agent: { id: 'desktop' },
    user: { id: 'alice' },
    tool: 'github/create_issue',
    arguments: { title: 'x' },
    credentials: [],
  })
})

test('only an allow has an empty body', () => {
  const allow = decision('d' as never, 'allow', 'policy.permit')
  expect(dockerMcpBefore.write([{ decision: allow }], asked, jsonWire(PATH, CALL))).toEqual({
    status: 200,
    headers: [],
    body: '',
  })
})

test.each<ReasonCode>(['policy.forbid', 'internal.fault', 'log.unavailable', 'obligation.unsupported'])(
  'a deny for %s is the result of a tool that failed',
  (code) => {
    const { body } = dockerMcpBefore.write(
      [{ decision: decision('d' as never, 'deny', code) }],
      asked,
      jsonWire(PATH, CALL),
    )
    expect(JSON.parse(body)).toMatchObject({
      isError: true,
      content: [{ type: 'text', text: expect.stringContaining(code) }],
    })
  },
)

test.each([
  ['no server', '/docker/before?agent=a', CALL, 'request.missing_field'],
  ['a server with a slash', '/docker/before?server=a/b', CALL, 'request.missing_field'],
  ['an agent twice', '/docker/before?server=a&agent=a&agent=b', CALL, 'request.duplicate_key'],
  ['another name', '/docker/before?server=a&agnt=a', CALL, 'request.unknown_field'],
  ['no parameters', PATH, { name: 'x' }, 'request.missing_field'],
  ['the tool of another server', PATH, { params: { name: 'other/x' } }, 'request.wrong_type'],
])('must not be read: %s', (_name, target, body, code) => {
  const wire = jsonWire(target, body)
  const read = dockerMcpBefore.read(wire, GATEWAY, NOW)
  expect(read).toMatchObject({ ok: false, failure: { code } })
  expect(dockerMcpBefore.refuse({ code: 'internal.fault', message: 'm' }, wire).body).not.toBe('')
})

const AFTER = '/docker/after?server=github&agent=desktop&user=alice'
const RESULT = {
  content: [
    { type: 'text', text: '{"name":"a","iban":"DE1"}' },
    { type: 'text', text: 'the IBAN is DE1' },
    { type: 'resource', resource: { uri: 'x', text: 'DE1' } },
  ],
  structuredContent: { name: 'a', accounts: [{ iban: 'DE1', bank: 'b' }] },
}
const REDACT = obligation('redact', { fields: ['iban'], in: 'result' })
const allowWith = (...obligations: readonly Obligation[]) => [
  { decision: { ...decision('d' as never, 'allow', 'policy.permit'), obligations } },
]

test('after the call the question is about a result of this server, and nothing in it is believed', () => {
  const read = dockerMcpAfter.read(jsonWire(AFTER, { ...RESULT, agent: 'root' }), GATEWAY, NOW)
  expect(read.ok && read.value.requests).toMatchObject([
    {
      dialect: 'docker-mcp',
      agent: { id: 'desktop' },
      user: { id: 'alice' },
      tool: 'github/mcp:result',
      protocolEffect: 'read',
      arguments: {},
    },
  ])
})

test('a result from which nothing is removed passes as it is: an empty body', () => {
  const { body, status } = dockerMcpAfter.write(allowWith(), asked, jsonWire(AFTER, RESULT))
  expect([status, body]).toEqual([200, ''])
})

test('redacted fields are gone from what takes the place of the result', () => {
  const { body } = dockerMcpAfter.write(allowWith(REDACT), asked, jsonWire(AFTER, RESULT))
  expect(body).not.toContain('DE1')
  expect(JSON.parse(body)).toEqual({
    content: [
      { type: 'text', text: '{"name":"a"}' },
      { type: 'text', text: '[removed]' },
      { type: 'text', text: '[removed]' },
    ],
  })
})

test('a deny takes the place of the result', () => {
  const denied = [{ decision: decision('d' as never, 'deny', 'policy.forbid') }]
  const { body } = dockerMcpAfter.write(denied, asked, jsonWire(AFTER, RESULT))
  expect(body).not.toContain('DE1')
  expect(JSON.parse(body)).toMatchObject({
    isError: true,
    content: [{ text: expect.stringContaining('policy.forbid') }],
  })
})

test('a call that failed has no result: its error stays as it is', () => {
  const failed = wire({ target: AFTER, headers: [['Content-Type', 'application/json']], body: 'null' })
  expect(dockerMcpAfter.read(failed, GATEWAY, NOW)).toMatchObject({ ok: true })
  expect(dockerMcpAfter.write(allowWith(REDACT), asked, failed).body).toBe('')
})

test.each([
  ['a redaction before the call', dockerMcpBefore, REDACT],
  ['a header before the call', dockerMcpBefore, obligation('set_header', { name: 'x-a', value: 'b' })],
  [
    'a redaction of arguments after it',
    dockerMcpAfter,
    obligation('redact', { fields: ['a'], in: 'arguments' }),
  ],
  ['a header after it', dockerMcpAfter, obligation('set_header', { name: 'x-a', value: 'b' })],
])('%s can not be carried out and denies', (_what, dialect, wanted) => {
  const { body } = dialect.write(allowWith(wanted), asked, jsonWire(AFTER, RESULT))
  expect(JSON.parse(body)).toMatchObject({
    isError: true,
    content: [{ text: expect.stringContaining('obligation.unsupported') }],
  })
})

test.each([dockerMcpBefore, dockerMcpAfter])('what Warder meets itself is no obstacle', (dialect) => {
  const { body } = dialect.write(
    allowWith(obligation('audit', { level: 'info' })),
    asked,
    jsonWire(AFTER, RESULT),
  )
  expect(body).toBe('')
})

test.each([
  ['a list', '[]', 'request.wrong_type'],
  ['a field twice', '{"content":[],"content":[]}', 'request.duplicate_key'],
  ['nothing', '', 'request.malformed_json'],
])('a result that can not be read is replaced: %s', (_what, body, code) => {
  const sent = wire({ target: AFTER, headers: [['Content-Type', 'application/json']], body })
  expect(dockerMcpAfter.read(sent, GATEWAY, NOW)).toMatchObject({ ok: false, failure: { code } })
})
