import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { authzen } from '#gateways/authzen.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { JsonObject } from '#model/value.ts'
import { decision, GATEWAY, NOW, obligation } from '../support/fake-decider.ts'
import { jsonWire, wire } from '../support/wire.ts'

const SUBJECT = { type: 'user', id: 'alice' }
const ACTION = { name: 'read' }
const RESOURCE = { type: 'record', id: 'record-1' }
const BASE = { subject: SUBJECT, action: ACTION, resource: RESOURCE }

const read = (body: unknown, target = '/access/v1/evaluation') =>
  authzen.read(jsonWire(target, body), GATEWAY, NOW)

function readOne(body: unknown): AuthorizationRequest {
  const found = read(body)
  if (!found.ok || found.value.requests[0] === undefined) throw new Error(JSON.stringify(found))
  return found.value.requests[0]
}

test('an evaluation: keeps subject, action, resource and context verbatim', () => {
  const body = {
    subject: { type: 'identity', id: 'alice', properties: { role: 'admin' } },
    action: { name: 'delete', properties: { soft: true } },
    resource: { type: 'storage object', id: '7', properties: { owner: 'bob' } },
    context: { time: 'now' },
    unknown: [1, 2],
  }
  expect(readOne(body)).toMatchObject({
    dialect: 'authzen',
    subject: body.subject,
    user: { id: 'alice', properties: { role: 'admin' } },
    agent: undefined,
    action: body.action,
    resource: body.resource,
    context: body.context,
    tool: undefined,
  })
})

test('an evaluation: counts null properties and a null context as absent', () => {
  const body = {
    subject: { ...SUBJECT, properties: null },
    action: ACTION,
    resource: RESOURCE,
    context: null,
  }
  expect(readOne(body)).toMatchObject({ subject: { properties: {} }, context: {} })
})

test.each([
  [
    'the agent as subject with a delegator',
    { subject: { type: 'agent', id: 'a', properties: { delegation: { delegator_id: 'u' } } } },
    'a',
    'u',
  ],
  [
    'the agent as subject with a user in context',
    { subject: { type: 'Warder::Agent', id: 'a' }, context: { user: 'u' } },
    'a',
    'u',
  ],
  ['the agent alone', { subject: { type: 'agent', id: 'a' } }, 'a', undefined],
  ['the user with an agent in context', { context: { agent: 'a' } }, 'a', 'alice'],
  ['the user with an agent object in context', { context: { agent: { id: 'a' } } }, 'a', 'alice'],
  ['the user with an actor', { subject: { ...SUBJECT, properties: { act: { sub: 'a' } } } }, 'a', 'alice'],
  ['another type of subject', { subject: { type: 'device', id: 'd' } }, undefined, undefined],
])('an evaluation: %s', (_name, parts, agent, user) => {
  const request = readOne({ ...BASE, ...parts })
  expect([request.agent?.id, request.user?.id]).toEqual([agent, user])
})

test.each([
  [
    { subject: { ...SUBJECT, properties: { act: { sub: 'a' } } }, context: { agent: 'b' } },
    '`subject.properties.act.sub` and `context.agent` name different agents',
  ],
  [
    {
      subject: { type: 'agent', id: 'a', properties: { delegation: { delegator_id: 'u' } } },
      context: { user: 'v' },
    },
    '`subject.properties.delegation.delegator_id` and `context.user` name different users',
  ],
])('an evaluation: parties that contradict each other are refused', (parts, message) => {
  expect(read({ ...BASE, ...parts })).toEqual({
    ok: false,
    failure: { code: 'request.wrong_type', message },
  })
})

test.each([
  ['tools/call', 'tool', 'github/x', 'github/x'],
  ['github/x', 'Warder::Tool', 'github/x', 'github/x'],
  ['invoke', 'tool', 'github/x', 'github/x'],
  ['read', 'record', '1', undefined],
])('an evaluation: action %s on %s %s asks for tool %s', (name, type, id, tool) => {
  expect(readOne({ ...BASE, action: { name }, resource: { type, id } }).tool).toBe(tool)
})

test('an evaluation: takes our extension out of the context, and it is strict', () => {
  const own = {
    tenant: 'acme',
    session: { id: 's' },
    risk: { score: 9 },
    task: { goal: 'g' },
    credentials: { access_token: 'e30.e30.x' },
  }
  expect(readOne({ ...BASE, context: { ip: '::1', warder: own } })).toMatchObject({
    context: { ip: '::1' },
    tenant: 'acme',
    session: { id: 's' },
    risk: { score: 9 },
    declared: { goal: 'g' },
    credentials: [{ scheme: 'bearer', value: 'e30.e30.x' }],
  })
  expect(read({ ...BASE, context: { warder: { sesion: {} } } })).toEqual({
    ok: false,
    failure: {
      code: 'request.unknown_field',
      message: 'in `context.warder`: `sesion` is not a field; did you mean `session`?',
    },
  })
})

test('an evaluation: reads which obligations the gateway supports, by our names', () => {
  const context = { supported_obligations: ['step-up', 'notification', 'custom', 7] }
  expect(readOne({ ...BASE, context }).supportedObligations).toEqual(['step_up', 'notify', 'custom'])
})

test.each(['step-up', {}, 7, true])('an evaluation: support that is no list is none: %j', (value) => {
  const read = (context: JsonObject) => readOne({ ...BASE, context }).supportedObligations
  expect(read({ supported_obligations: value })).toEqual([])
  expect(read({ supported_obligations: null })).toBeUndefined()
})

test.each([
  [{ action: ACTION, resource: RESOURCE }, 'request.missing_field', '`subject` is required'],
  [{ ...BASE, subject: { type: 'user' } }, 'request.missing_field', '`subject.id` is required'],
  [{ ...BASE, action: { name: 7 } }, 'request.wrong_type', '`action.name`: must be a text'],
  [
    { ...BASE, resource: { ...RESOURCE, properties: [] } },
    'request.wrong_type',
    '`resource.properties`: must be an object',
  ],
  [{ ...BASE, context: 'x' }, 'request.wrong_type', '`context`: must be an object'],
  [
    { ...BASE, action: { name: 'github/read' }, resource: { type: 'tool', id: 'github/delete' } },
    'request.wrong_type',
    '`action.name` and `resource.id` name different tools',
  ],
  [[BASE], 'request.wrong_type', 'the body must be a JSON object'],
])('an evaluation: %j is refused', (body, code, message) => {
  expect(read(body)).toEqual({ ok: false, failure: { code, message } })
})

describe('evaluations', () => {
  const batch = (body: unknown) => read(body, '/access/v1/evaluations')

  test('an item with a context of its own keeps the token and the obligations of the whole batch', () => {
    const found = batch({
      ...BASE,
      context: {
        warder: { credentials: { access_token: 't.t.t' } },
        supported_obligations: ['audit'],
        other: 1,
      },
      evaluations: [{ context: { mine: 1 } }],
    })
    expect(found.ok && found.value.requests[0]).toMatchObject({
      credentials: [{ scheme: 'bearer', value: 't.t.t' }],
      supportedObligations: ['audit'],
      context: { mine: 1 },
    })
    expect(found.ok && found.value.requests[0]?.context).not.toHaveProperty('other')
  })

  test.each([[{}], [{ evaluations: [] }]])('without items it is a single evaluation: %j', (items) => {
    expect(batch({ ...BASE, ...items })).toMatchObject({ value: { semantic: 'single' } })
  })

  test("an item's own member replaces the whole default; only a missing type is inherited", () => {
    const found = batch({
      subject: { ...SUBJECT, properties: { role: 'admin' } },
      action: ACTION,
      resource: { type: 'record', properties: { owner: 'bob' } },
      evaluations: [
        { resource: { id: '1' } },
        { subject: { id: 'bob' }, resource: { type: 'doc', id: '2' } },
      ],
    })
    expect(found.ok && found.value.requests.map(({ subject, resource }) => [subject, resource])).toEqual([
      [
        { ...SUBJECT, properties: { role: 'admin' } },
        { type: 'record', id: '1', properties: {} },
      ],
      [
        { type: 'user', id: 'bob', properties: {} },
        { type: 'doc', id: '2', properties: {} },
      ],
    ])
  })

  test('a default that no item uses may be incomplete, a broken item stands at its place', () => {
    const found = batch({ ...BASE, resource: {}, evaluations: [{ resource: RESOURCE }, {}, 7] })
    expect(found.ok && [...found.value.itemErrors]).toEqual([
      [1, { code: 'request.missing_field', message: '`resource.type` is required' }],
      [2, { code: 'request.wrong_type', message: '`evaluations[2]` must be an object' }],
    ])
  })

  test.each([
    [{ evaluations: 7 }, 'request.wrong_type', '`evaluations` must be a list'],
    [{ evaluations: Array(101).fill(BASE) }, 'request.batch_too_large', '`evaluations` may have 100 items'],
    [
      { evaluations: [BASE], options: { evaluations_semantic: 'any' } },
      'request.wrong_type',
      '`options.evaluations_semantic` must be one of execute_all, deny_on_first_deny, permit_on_first_permit',
    ],
    [{ evaluations: [BASE], options: 7 }, 'request.wrong_type', '`options` must be an object'],
  ])('%j is refused', (body, code, message) => {
    expect(batch(body)).toEqual({ ok: false, failure: { code, message } })
  })

  test('unknown options are ignored', () => {
    expect(batch({ evaluations: [BASE], options: { other: 1 } })).toMatchObject({
      value: { semantic: 'execute_all' },
    })
  })
})

describe('an answer', () => {
  const found = read({ ...BASE, context: { decision_subject: 'mailto:owner@acme.test' } })
  if (!found.ok) throw new Error('unreadable')
  const allow = decision('d1' as never, 'allow', 'policy.permit')
  const write = (obligations: (typeof allow)['obligations']): unknown =>
    JSON.parse(authzen.write([{ decision: { ...allow, obligations } }], found.value, wire({})).body)

  test('has no context when there is nothing to say', () => {
    expect(write([])).toEqual({ decision: true })
  })

  test('carries obligations by the names of the profile', () => {
    expect(
      write([obligation('step_up', { acr_value: 'phr' }), obligation('redact', { fields: ['a'] })]),
    ).toEqual({
      decision: true,
      context: {
        obligations: [
          { id: '1', type: 'step-up', properties: { acr_value: 'phr' } },
          { id: '2', type: 'redact', properties: { fields: ['a'] } },
        ],
      },
    })
  })

  test("adds the request's decision subject to every notification", () => {
    expect(write([obligation('notify', { to: ['a'], body: 'b' })])).toMatchObject({
      context: {
        obligations: [{ type: 'notification', properties: { to: ['a', 'mailto:owner@acme.test'] } }],
      },
    })
  })

  test('to what can not be read is one JSON string', () => {
    const answer = authzen.refuse({ code: 'request.malformed_json', message: 'm' }, wire({}))
    expect([answer.status, answer.body]).toEqual([400, '"request.malformed_json: m"'])
  })
})

test('no JSON makes the reader throw', () => {
  fc.assert(
    fc.property(
      fc.json(),
      fc.constantFrom('/access/v1/evaluation', '/access/v1/evaluations'),
      (body, target) => {
        read(body, target)
      },
    ),
  )
})
