import { expect, test } from 'vitest'
import { dockerMcp } from '#gateways/docker-mcp.ts'
import type { ReasonCode } from '#model/reasons.ts'
import { decision, GATEWAY, NOW } from '../support/fake-decider.ts'
import { jsonWire } from '../support/wire.ts'

const PATH = '/docker/before?server=github&agent=desktop&user=alice'
const CALL = { params: { name: 'create_issue', arguments: { title: 'x' } } }
const asked = { requests: [], semantic: 'single', itemErrors: new Map() } as const

test('the configured URL says who asks, the body what', () => {
  const read = dockerMcp.read(jsonWire(PATH, CALL), GATEWAY, NOW)
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
  expect(dockerMcp.write([{ decision: allow }], asked, jsonWire(PATH, CALL))).toEqual({
    status: 200,
    headers: [],
    body: '',
  })
})

test.each<ReasonCode>(['policy.forbid', 'internal.fault', 'log.unavailable', 'obligation.unsupported'])(
  'a deny for %s is the result of a tool that failed',
  (code) => {
    const { body } = dockerMcp.write(
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
  const read = dockerMcp.read(wire, GATEWAY, NOW)
  expect(read).toMatchObject({ ok: false, failure: { code } })
  expect(dockerMcp.refuse({ code: 'internal.fault', message: 'm' }, wire).body).not.toBe('')
})
