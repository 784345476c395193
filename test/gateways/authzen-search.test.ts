import { describe, expect, test } from 'vitest'
import { authzenSearch } from '#gateways/authzen-search.ts'
import type { Decision } from '#model/decision.ts'
import type { ReasonCode } from '#model/reasons.ts'
import type { JsonObject } from '#model/value.ts'
import { readWith } from '../support/ask.ts'
import { decision, obligation } from '../support/fake-decider.ts'

type Open = 'subject' | 'resource' | 'action'

const ALICE = { type: 'user', id: 'alice' }
const RECORD = { type: 'record', id: 'record-1' }
const READ = { name: 'read' }
const url = (open: Open) => `/access/v1/search/${open}?x=1`

/** The request that is read, or the code and message that it is refused with. */
function read(open: Open, body: JsonObject) {
  const asked = readWith(authzenSearch, url(open), body)
  if (!asked.ok) return `${asked.failure.code}: ${asked.failure.message}`
  const [request] = asked.value.requests
  if (request?.search === undefined) throw new Error('nothing was read')
  return request
}

function written(open: Open, body: JsonObject, answer: Partial<Decision>) {
  const asked = readWith(authzenSearch, url(open), body)
  if (!asked.ok) throw new Error(asked.failure.message)
  const wire = { method: 'POST', rawUrl: url(open), rawHeaders: [], body: new Uint8Array(), peer: '' }
  const given = { ...decision('019a' as Decision['id'], 'allow', 'search.answered'), ...answer }
  const { status, headers, body: text } = authzenSearch.write([{ decision: given }], asked.value, wire)
  return { status, headers, text }
}

const UNREADABLE: readonly (readonly [Open, string, JsonObject, string])[] = [
  [
    'subject',
    'no action',
    { subject: { type: 'user' }, resource: RECORD },
    'request.missing_field: `action` is required',
  ],
  [
    'subject',
    'no id of the resource',
    { subject: { type: 'user' }, action: READ, resource: { type: 'record' } },
    'request.missing_field: `resource.id` is required',
  ],
  [
    'subject',
    'no type',
    { subject: {}, action: READ, resource: RECORD },
    'request.missing_field: `subject.type` is required',
  ],
  [
    'resource',
    'no subject',
    { action: READ, resource: { type: 'record' } },
    'request.missing_field: `subject` is required',
  ],
  [
    'resource',
    'no id of the subject',
    { subject: { type: 'user' }, action: READ, resource: { type: 'record' } },
    'request.missing_field: `subject.id` is required',
  ],
  [
    'resource',
    'a type that is no text',
    { subject: ALICE, action: READ, resource: { type: 1 } },
    'request.wrong_type: `resource.type`: must be a text',
  ],
  ['action', 'no resource', { subject: ALICE }, 'request.missing_field: `resource` is required'],
  [
    'action',
    'no id of the subject',
    { subject: { type: 'user' }, resource: RECORD },
    'request.missing_field: `subject.id` is required',
  ],
  [
    'action',
    'a limit below zero',
    { subject: ALICE, resource: RECORD, page: { limit: -1 } },
    'request.wrong_type: `page.limit`: must not be negative',
  ],
  [
    'action',
    'half a limit',
    { subject: ALICE, resource: RECORD, page: { limit: 1.5 } },
    'request.wrong_type: `page.limit`: must be a whole number',
  ],
  [
    'action',
    'a token that is no text',
    { subject: ALICE, resource: RECORD, page: { token: 1 } },
    'request.wrong_type: `page.token`: must be a text',
  ],
  [
    'action',
    'a page that is none',
    { subject: ALICE, resource: RECORD, page: 1 },
    'request.wrong_type: `page`: ',
  ],
  [
    'action',
    'a misspelt restriction',
    { subject: ALICE, resource: RECORD, context: { warder: { rsik: 1 } } },
    'request.unknown_field: in `context.warder`: ',
  ],
]

test.each(UNREADABLE)('a %s search with %s is refused, and told why', (open, _what, body, refusal) => {
  expect(String(read(open, body)).startsWith(refusal), String(read(open, body))).toBe(true)
})

describe('asks', () => {
  test.each<[Open, JsonObject]>([
    [
      'subject',
      { subject: { type: 'agent' }, action: { name: 'tools/call' }, resource: { type: 'tool', id: 's/t' } },
    ],
    [
      'resource',
      { subject: { type: 'agent', id: 'a' }, action: { name: 'tools/call' }, resource: { type: 'tool' } },
    ],
    ['action', { subject: { type: 'agent', id: 'a' }, resource: { type: 'tool', id: 's/t' } }],
  ])('a %s search as the evaluation with each id in the open place', (open, body) => {
    const request = read(open, { ...body, page: { limit: 3, token: '', more: 1 }, more: 1 })
    if (typeof request === 'string' || request.search === undefined) throw new Error(String(request))
    expect(request[open]).toBeUndefined()
    expect(request.search).toMatchObject({ open, token: undefined, limit: 3 })
    const name = open === 'action' ? 'tools/call' : 'x/y'
    const asked = request.search.ask(name)
    expect(open === 'action' ? asked?.action?.name : asked?.[open]?.id).toBe(name)
    expect(asked?.tool).toBe(open === 'resource' ? 'x/y' : 's/t')
    expect(asked?.agent?.id).toBe(open === 'subject' ? 'x/y' : 'a')
    expect(asked?.search).toBeUndefined()
  })

  test('an id and an action that are there already are ignored', () => {
    const questions = [
      [
        read('subject', { subject: ALICE, action: READ, resource: RECORD }),
        read('subject', { subject: { type: 'user', id: 'bob' }, action: READ, resource: RECORD }),
      ],
      [
        read('action', { subject: ALICE, resource: RECORD }),
        read('action', {
          subject: ALICE,
          resource: RECORD,
          action: { name: 'x', properties: { soft: true } },
        }),
      ],
    ]
    for (const [one, other] of questions) {
      if (typeof one !== 'object' || typeof other !== 'object') throw new Error('refused')
      expect(one.search?.question).toEqual(other.search?.question)
      expect(other.search?.ask('z')?.action?.properties).toEqual({})
    }
  })
})

describe('tells apart', () => {
  test('where an action is a tool, another tool as resource can not be asked about', () => {
    const request = read('resource', {
      subject: { type: 'agent', id: 'a' },
      action: { name: 's/t' },
      resource: { type: 'tool' },
    })
    if (typeof request === 'string') throw new Error(request)
    expect(request.search?.ask('s/t')?.tool).toBe('s/t')
    expect(request.search?.ask('s/other')).toBeUndefined()
  })

  test('what is new for each request is no part of what a page token is bound to; whose it is checked anew', () => {
    const body = (warder: JsonObject) => ({ subject: ALICE, resource: RECORD, context: { a: 1, warder } })
    const question = (warder: JsonObject) => {
      const request = read('action', body(warder))
      if (typeof request === 'string') throw new Error(request)
      return request.search?.question
    }
    const one = question({ credentials: { access_token: 'one' }, tenant: 't' })
    expect(JSON.stringify(one)).not.toContain('one')
    expect(question({ credentials: { access_token: 'two' }, tenant: 't' })).toEqual(one)
    expect(question({ tenant: 'u' })).not.toEqual(one)
  })
})

describe('writes', () => {
  const BODY = { subject: ALICE, action: READ, resource: { type: 'record' } }
  const results = [
    { id: 'r1', obligations: [] },
    { id: 'r2', obligations: [obligation('audit', { level: 'info' })] },
  ]

  test('results alone where that is all, with obligations where there are any', () => {
    expect(written('resource', BODY, { found: { results, nextToken: '' } })).toMatchObject({
      status: 200,
      headers: [['content-type', 'application/json']],
      text: '{"results":[{"type":"record","id":"r1"},{"type":"record","id":"r2","obligations":[{"id":"1","type":"audit","properties":{"level":"info"}}]}]}',
    })
    const action = { subject: ALICE, resource: RECORD }
    expect(written('action', action, { found: { results: results.slice(0, 1), nextToken: '' } }).text).toBe(
      '{"results":[{"name":"r1"}]}',
    )
  })

  test.each<[string, JsonObject, string]>([
    ['there is more', BODY, 'next'],
    ['a page was asked for', { ...BODY, page: { limit: 5 } }, ''],
    ['it is a later page', { ...BODY, page: { token: 'before' } }, ''],
  ])('the page first, where %s', (_why, body, nextToken) => {
    const { text } = written('resource', body, { found: { results: [], nextToken } })
    expect(text).toBe(`{"page":{"next_token":"${nextToken}","count":0},"results":[]}`)
  })

  const denied = (code: ReasonCode): Partial<Decision> => ({
    effect: 'deny',
    reasons: [{ code, message: 'm' }],
  })

  test.each<[ReasonCode, number]>([
    ['search.page_token', 400],
    ['internal.fault', 500],
    ['log.unavailable', 503],
    ['log.overflow', 503],
    ['state.stale', 503],
    ['state.rolled_back', 503],
  ])('%s is an error, never an empty list', (code, status) => {
    expect(written('resource', BODY, denied(code))).toMatchObject({
      status,
      text: JSON.stringify(`${code}: m`),
    })
  })

  test.each<ReasonCode>([
    'tenant.unknown',
    'agent.suspended',
    'identity.unasserted',
    'policy.no_release',
    'token.expired',
  ])('%s is an empty list, whatever was found', (code) => {
    const found = { results, nextToken: 'next' }
    expect(written('resource', BODY, { ...denied(code), found })).toMatchObject({
      status: 200,
      text: '{"results":[]}',
    })
  })

  test('a challenge tells what the caller of the gateway must bring', () => {
    const challenge = { scheme: 'Bearer', error: 'invalid_token' } as const
    const { text, headers } = written('resource', BODY, {
      ...denied('token.expired'),
      challenge,
      proofNonce: 'n',
    })
    expect(JSON.parse(text)).toMatchObject({
      context: { challenge: { status: 401, error: 'invalid_token' } },
      results: [],
    })
    expect(headers).toContainEqual(['dpop-nonce', 'n'])
  })
})
