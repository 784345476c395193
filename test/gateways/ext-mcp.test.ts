import { describe, expect, test } from 'vitest'
import { extMcpRequest, extMcpResponse } from '#gateways/ext-mcp/ext-mcp.ts'
import type { GrpcDialect } from '#gateways/grpc.ts'
import {
  bytesField,
  decodeMessage,
  messageField,
  messagesField,
  textField,
  textsField,
  varintField,
} from '#gateways/protobuf/read.ts'
import { readStruct, writeStruct } from '#gateways/protobuf/struct.ts'
import { bytes, join, message, text } from '#gateways/protobuf/write.ts'
import type { Decision } from '#model/decision.ts'
import type { DecisionId } from '#model/ids.ts'
import type { JsonObject } from '#model/value.ts'
import { decision, GATEWAY, NOW, obligation } from '../support/fake-decider.ts'

const ID = '019a0000-0000-7000-8000-000000000001' as DecisionId
const ALLOW = decision(ID, 'allow', 'policy.permit')
const DENY = decision(ID, 'deny', 'policy.forbid')

interface Parts {
  readonly services?: readonly string[]
  readonly method?: string
  readonly content?: unknown
  readonly context?: JsonObject
  readonly headers?: readonly (readonly [string, string])[]
}

function mcp({
  services = ['github'],
  method = 'tools/call',
  content,
  context = {},
  headers = [],
}: Parts): Uint8Array {
  return join(
    ...services.map((service) => text(1, service)),
    text(2, method),
    message(3, writeStruct(context)),
    content === undefined
      ? new Uint8Array()
      : bytes(4, Buffer.from(typeof content === 'string' ? content : JSON.stringify(content))),
    ...headers.map(([name, value]) => message(5, text(1, name), bytes(2, Buffer.from(value)))),
  )
}

const CALL = { content: { name: 'create_issue', arguments: { title: 'x', iban: 'DE' } } }
const TOKEN = { headers: [['authorization', 'Bearer t']] } satisfies Parts

const tools = (dialect: GrpcDialect, parts: Parts) => {
  const read = dialect.read(mcp(parts), GATEWAY, NOW)
  if (!read.ok) throw new Error(`${read.failure.code}: ${read.failure.message}`)
  return read.value.requests
}

/** The answer as agentgateway would read it. */
function answer(dialect: GrpcDialect, decisions: readonly Decision[], parts: Parts) {
  const given = dialect.write(
    decisions.map((each) => ({ decision: each })),
    decisions,
    mcp(parts),
  )
  const read = decodeMessage(given, (found) => {
    const failure = messageField(found, 3)
    const json = (content: Uint8Array | undefined): unknown =>
      content && JSON.parse(new TextDecoder().decode(content))
    return {
      members: [1, 2, 3].filter((field) => found.has(field)),
      mutated: json(bytesField(found, 2)),
      code: Number(varintField(failure, 1)),
      reason: textField(failure, 2),
      rpc: json(bytesField(failure, 3)),
      set: Object.fromEntries(
        messagesField(messageField(found, 4), 1).map((header) => [
          textField(header, 1),
          new TextDecoder().decode(bytesField(header, 2)),
        ]),
      ),
      removed: textsField(messageField(found, 4), 2),
      metadata: readStruct(messageField(found, 5)),
    }
  })
  if (!read.ok) throw new Error(read.failure.message)
  return read.value
}

describe('before the call', () => {
  test('the backend and the parameters name tool and arguments; the token is the client’s', () => {
    expect(tools(extMcpRequest, { ...CALL, ...TOKEN })).toMatchObject([
      {
        dialect: 'ext-mcp',
        tool: 'github/create_issue',
        arguments: { title: 'x', iban: 'DE' },
        credentials: [{ scheme: 'bearer', value: 't' }],
      },
    ])
  })

  test('a list that goes to several backends is a question about each', () => {
    const asked = tools(extMcpRequest, { services: ['a', 'b'], method: 'tools/list' })
    expect(asked.map(({ tool }) => tool)).toEqual(['a/mcp:tools/list', 'b/mcp:tools/list'])
  })

  test('an allow passes with headers set and removed', () => {
    const obliged = {
      ...ALLOW,
      upstreamHeaders: ['x-team', 'x-other'],
      obligations: [
        obligation('set_header', { name: 'X-Team', value: 'blue' }),
        obligation('strip_authorization', {}),
      ],
    }
    const told = answer(extMcpRequest, [obliged], CALL)
    expect(told).toMatchObject({
      members: [1],
      set: { 'x-team': 'blue', 'x-decision-id': ID, 'x-warder-user': 'none' },
    })
    expect(told.removed).toEqual(['x-warder-gateway-key', 'x-warder-subject', 'authorization', 'x-other'])
    expect(told.metadata).toEqual({ decision_id: ID, reason: 'policy.permit' })
  })

  test('redacted arguments are gone from what reaches the server', () => {
    const obligations = [obligation('redact', { fields: ['iban'], in: 'arguments' })]
    expect(answer(extMcpRequest, [{ ...ALLOW, obligations }], CALL)).toMatchObject({
      members: [2],
      mutated: { name: 'create_issue', arguments: { title: 'x' } },
    })
  })

  test('backends with different obligations deny: one call has one set of headers', () => {
    const obligations = [obligation('strip_authorization', {})]
    const told = answer(extMcpRequest, [ALLOW, { ...ALLOW, obligations }], {
      services: ['a', 'b'],
      method: 'tools/list',
    })
    expect(told).toMatchObject({ members: [3], reason: 'obligation.conflict' })
  })

  test.each([
    ['a deny', DENY, 1, -32001, 'policy.forbid'],
    ['a deny for a while', { ...DENY, retryAfterSeconds: 7 }, 2, -32003, 'policy.forbid'],
  ] as const)('%s is an error with a code of its own', (_what, given, code, rpc, reason) => {
    expect(answer(extMcpRequest, [given], CALL)).toMatchObject({
      members: [3],
      code,
      reason,
      rpc: { code: rpc, data: { reason, decision_id: ID } },
      set: {},
    })
  })
})

describe('before the answer', () => {
  const context = { tool: 'get_customer', authorization: 'Bearer t' }

  test('the tool and the token are what the gateway’s metadata says', () => {
    expect(tools(extMcpResponse, { context, content: {} })).toMatchObject([
      { tool: 'github/get_customer', argumentsUnknown: true, credentials: [{ value: 't' }] },
    ])
  })

  test('redacted fields are gone from what is structured and from text, and other text is gone', () => {
    const obligations = [obligation('redact', { fields: ['iban'], in: 'result' })]
    const content = {
      structuredContent: { name: 'a', accounts: [{ iban: 'DE1', bank: 'b' }] },
      content: [
        { type: 'text', text: '{"name":"a","iban":"DE1"}' },
        { type: 'text', text: 'the IBAN is DE1' },
        { type: 'image', data: 'DE1' },
      ],
    }
    const { mutated, members } = answer(extMcpResponse, [{ ...ALLOW, obligations }], { context, content })
    expect(members).toEqual([2])
    expect(JSON.stringify(mutated)).not.toContain('DE1')
    expect(mutated).toMatchObject({ content: [{ text: '{"name":"a"}' }, { text: '[removed]' }, {}] })
  })

  test('a list is one question with a candidate for each backend and each tool', () => {
    const list = {
      tools: [{ name: 'a', title: 'A' }, { name: 'b' }, { name: 7 }, { name: 'c' }],
      nextCursor: 'n',
    }
    const parts = { method: 'tools/list', content: list }
    const [asked, ...others] = tools(extMcpResponse, parts)
    expect(others).toEqual([])
    expect(asked?.tool).toBe('github/mcp:tools/list')
    expect(asked?.candidates).toEqual([
      { tool: 'github/mcp:tools/list', arguments: {}, protocolEffect: 'read' },
      { tool: 'github/a', arguments: {}, argumentsOpen: true },
      { tool: 'github/b', arguments: {}, argumentsOpen: true },
      { tool: 'github/c', arguments: {}, argumentsOpen: true },
    ])
    expect(answer(extMcpResponse, [{ ...ALLOW, permitted: [0, 1, 3] }], parts)).toMatchObject({
      members: [2],
      mutated: { tools: [{ name: 'a', title: 'A' }, { name: 'c' }], nextCursor: 'n', cacheScope: 'private' },
    })
    expect(answer(extMcpResponse, [{ ...ALLOW, permitted: [1, 3] }], parts)).toMatchObject({
      mutated: { tools: [] },
    })
    expect(answer(extMcpResponse, [ALLOW], parts)).toMatchObject({ mutated: { tools: [] } })
    expect(answer(extMcpResponse, [DENY], parts)).toMatchObject({ members: [3] })
  })

  test('a list of several backends is taken apart by their names', () => {
    const content = { tools: [{ name: 'a_x' }, { name: 'a_b_x' }, { name: 'c_x' }] }
    const [asked] = tools(extMcpResponse, { services: ['a', 'a_b'], method: 'tools/list', content })
    expect(asked?.tool).toBeUndefined()
    expect(asked?.candidates?.map(({ tool }) => tool).slice(2)).toEqual(['a/x', 'a_b/x'])
  })
})

test.each([
  ['no backend', extMcpRequest, { ...CALL, services: [] }, 'request.missing_field'],
  ['a backend with a slash', extMcpRequest, { ...CALL, services: ['a/b'] }, 'request.missing_field'],
  ['a tool of another backend', extMcpRequest, { content: { name: 'other/x' } }, 'request.wrong_type'],
  ['parameters that are no JSON', extMcpRequest, { content: '{' }, 'request.malformed_json'],
  ['a parameter twice', extMcpRequest, { content: '{"name":"a","name":"b"}' }, 'request.duplicate_key'],
  [
    'two credentials',
    extMcpRequest,
    { ...CALL, headers: [...TOKEN.headers, ...TOKEN.headers] },
    'request.header_conflict',
  ],
  [
    'another token in metadata',
    extMcpRequest,
    { ...CALL, ...TOKEN, context: { authorization: 'Bearer u' } },
    'request.header_conflict',
  ],
  ['the answer of a tool that nobody names', extMcpResponse, { content: {} }, 'request.missing_field'],
  [
    'a list without end',
    extMcpResponse,
    { method: 'tools/list', content: { tools: Array.from({ length: 1_001 }, () => ({ name: 'a' })) } },
    'request.batch_too_large',
  ],
] satisfies [string, GrpcDialect, Parts, string][])('must not be read: %s', (_name, dialect, parts, code) => {
  expect(dialect.read(mcp(parts), GATEWAY, NOW)).toMatchObject({ ok: false, failure: { code } })
})

test.each([
  ['nothing decided', () => extMcpRequest.write([], [], mcp(CALL))],
  ['a refusal', () => extMcpRequest.refuse({ code: 'internal.fault', message: 'x' }, undefined)],
  ['overload', () => extMcpResponse.refuse({ code: 'http.overloaded', message: 'x' }, undefined)],
])('%s is an error, never an empty answer', (_what, given) => {
  const read = decodeMessage(given(), (found) => [...found.keys()])
  expect(read).toEqual({ ok: true, value: [3] })
})
