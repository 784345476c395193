import fc from 'fast-check'
import { expect, test } from 'vitest'
import { canonicalJson, sealRow } from '#decision-log/chain.ts'
import { type EntryInput, makeEntry } from '#decision-log/entry.ts'
import { createMask, createMaskReport } from '#decision-log/mask.ts'
import type { LogRow } from '#decision-log/port.ts'
import { requestFromRow } from '#decision-log/replay.ts'
import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'
import type { VerifiedIdentity } from '#model/identity.ts'
import type { DecisionId, ReleaseId } from '#model/ids.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { JsonObject } from '#model/value.ts'
import { opened } from '../support/append-rows.ts'
import { gateway, ISSUER, NOW_SECONDS, request, TENANT } from '../support/tokens.ts'

const mask = createMask(new Uint8Array(32).fill(7))
const JWT = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJlLXNpZ25hdHVyZQ'
const PEM = '-----BEGIN EC PRIVATE KEY-----\nMHcCAQEEIabc\n-----END EC PRIVATE KEY-----'

const IDENTITY: VerifiedIdentity = {
  tenant: TENANT,
  agent: { id: 'agent-1', provenance: 'verified', properties: { level: 3 } },
  user: { id: 'alice', provenance: 'verified', properties: {} },
  subject: undefined,
  delegation: { source: 'token', chain: [{ issuer: ISSUER, id: 'agent-1' }] },
  token: {
    issuer: ISSUER,
    subject: 'alice',
    id: 'jti-1',
    expiresAt: (NOW_SECONDS + 600) as EpochSeconds,
    issuedAt: NOW_SECONDS as EpochSeconds,
    scopes: ['tools.call'],
  },
  staleKeys: [ISSUER],
}

const FULL: Partial<AuthorizationRequest> = {
  requestId: 'r-1',
  traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  tenant: TENANT,
  agent: { id: 'agent-1', properties: { level: 3 } },
  user: { id: 'alice', properties: {} },
  route: { method: 'GET', path: '/a/../b', host: 'tools.example' },
  action: { name: 'read', properties: { deep: [1, { x: null }] } },
  resource: { type: 'doc', id: '7', properties: { sensitivity: 2 } },
  arguments: { path: '/tmp/x', max_tokens: 100, list: [true, 1.5, 'ü'] },
  session: { id: 's-1' },
  risk: { score: 12 },
  context: { ip: '10.0.0.1' },
  mapped: { case: 'k-1' },
  declared: { goal: 'summarise' },
  supportedObligations: ['redact'],
}

function input(more: Partial<AuthorizationRequest> = {}, rest: Partial<EntryInput> = {}): EntryInput {
  return {
    request: request(more),
    identity: IDENTITY,
    judgement: {
      effect: 'allow',
      reasons: [],
      obligations: [],
      advice: [],
      expiresAt: undefined,
      trace: {
        evaluations: [{ party: 'agent', satisfied: ['p1'], errored: [] }],
        provenance: { 'risk.score': 'gateway' },
      },
    },
    decision: {
      id: '0199d000-0000-7000-8000-00000000000a' as DecisionId,
      tenant: TENANT,
      identity: { agent: 'agent-1', user: 'alice' },
      upstreamHeaders: [],
      effect: 'allow',
      reasons: [{ code: 'policy.permit', policy: 'p1', message: 'every party is permitted by policy' }],
      obligations: [{ type: 'redact', properties: { fields: ['iban'] }, policies: ['p2', 'p1'] }],
      advice: [],
      release: `sha256:${'a'.repeat(64)}` as ReleaseId,
      stateVersion: 7,
      decidedAt: (NOW_SECONDS * 1000 + 5) as EpochMilliseconds,
      expiresAt: (NOW_SECONDS + 60) as EpochSeconds,
    },
    gateway: gateway({ asserts: new Set(['identity']), obligations: new Set(['redact']) }),
    durationMicroseconds: 123.4,
    ...rest,
  }
}

/** The row as the database gives it back. */
function stored(more?: Partial<AuthorizationRequest>, rest?: Partial<EntryInput>): LogRow {
  return opened(sealRow(makeEntry(input(more, rest), mask), 'w', undefined))
}

test('an entry is made in canonical order, so that it is written without sorting', () => {
  const entry = makeEntry(input(FULL), mask)
  for (const part of [entry.facts, entry.trace, entry.reasons])
    expect(JSON.stringify(part)).toBe(canonicalJson(part as never))
})

test('a row holds the answer, the verified parties and where every fact came from', () => {
  const { facts, ...row } = makeEntry(input(FULL), mask)
  expect(row).toEqual({
    decision_id: '0199d000-0000-7000-8000-00000000000a',
    tenant: 'acme',
    decided_at: '2027-01-15T08:00:00.005Z',
    decision: 'allow',
    reason: 'policy.permit',
    reasons: [{ code: 'policy.permit', policy: 'p1', message: 'every party is permitted by policy' }],
    obligations: [{ type: 'redact', properties: { fields: ['iban'] }, policies: ['p2', 'p1'] }],
    gateway: '0199d000-0000-7000-8000-000000000001',
    dialect: 'native',
    request_id: 'r-1',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    agent: 'agent-1',
    user: 'alice',
    subject: null,
    tool: 'crm/read',
    action: 'read',
    resource: 'doc::7',
    policies: ['p1', 'p2'],
    release: `sha256:${'a'.repeat(64)}`,
    state_version: 7,
    duration_us: 123,
    trace: {
      replayable: true,
      evaluations: [{ party: 'agent', satisfied: ['p1'], errored: [] }],
      provenance: { 'risk.score': 'gateway' },
      expires_at: NOW_SECONDS + 60,
    },
  })
  expect(facts).toMatchObject({ version: 1, identity: { user: { id: 'alice', provenance: 'verified' } } })
})

test('columns never name a party that was merely claimed', () => {
  expect(makeEntry(input(FULL, { identity: undefined }), mask)).toMatchObject({
    agent: null,
    user: null,
    subject: null,
  })
})

test('a row gives back exactly the request, identity and gateway that were decided', () => {
  const given = input(FULL)
  expect(requestFromRow(stored(FULL))).toEqual({
    ok: true,
    value: { request: given.request, identity: IDENTITY, gateway: given.gateway },
  })
})

test('a minimal request and an own-vocabulary subject come back as well', () => {
  expect(requestFromRow(stored())).toMatchObject({ ok: true, value: { request: request() } })
  const subject = { type: 'user', id: 'rick', properties: { email: 'rick@example' } }
  const { type, id, properties } = subject
  const identity: VerifiedIdentity = {
    ...IDENTITY,
    agent: undefined,
    user: undefined,
    subject: { uid: { type, id }, provenance: 'gateway', properties },
    token: undefined,
    delegation: { source: 'none', chain: [] },
  }
  const row = stored({ dialect: 'authzen', subject }, { identity })
  expect(row.subject).toBe('user::rick')
  expect(requestFromRow(row)).toMatchObject({ ok: true, value: { identity, request: { subject } } })
})

test('any JSON without secrets survives the way through a row', () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.string({ unit: 'grapheme-ascii', maxLength: 5 }), fc.jsonValue({ maxDepth: 3 })),
      (context) => {
        const plain = JSON.parse(JSON.stringify(context)) as JsonObject
        const row = stored({ context: plain })
        const replay = requestFromRow(row)
        if (replay.ok) expect(canonicalJson(replay.value.request.context)).toBe(canonicalJson(plain))
        else expect(row.trace['altered']).toBeDefined()
      },
    ),
  )
})

test.each<[string, Partial<AuthorizationRequest>, Partial<EntryInput>]>([
  ['a masked argument', { arguments: { password: 'hunter2' } }, {}],
  ['a refused credential', { credentials: [{ scheme: 'bearer', value: JWT }] }, { identity: undefined }],
  [
    'a request that could not be read',
    {},
    {
      identity: undefined,
      decision: { ...input().decision, effect: 'deny', reasons: [{ code: 'request.malformed_json' }] },
    },
  ],
])('%s makes a row that says it can not be replayed', (_, more, rest) => {
  const row = stored(more, rest)
  expect(row.trace['replayable']).toBe(false)
  expect(requestFromRow(row)).toEqual({
    ok: false,
    failure: 'the row does not hold everything that decided it',
  })
})

test('facts of an unknown layout are refused', () => {
  expect(requestFromRow({ ...stored(), facts: { version: 2 } })).toEqual({
    ok: false,
    failure: 'the facts have an unknown layout',
  })
})

const SECRETS: JsonObject = {
  password: 'hunter2-value',
  Passwd: 'hunter3-value',
  client_secret: 'sekret-value',
  'access-token': 'opaque-value-1',
  refreshToken: 'opaque-value-2',
  Authorization: 'opaque-value-3',
  'X-API-Key': 'opaque-value-4',
  cookie: 'sid=opaque-value-5',
  db: { credentials: { user: 'opaque-value-6', pin: 1234567 } },
  list: [{ private_key: 'opaque-value-7' }],
  note: `please use ${JWT} now`,
  header: 'Bearer opaque-value-8-abcdef',
  pem: PEM,
  aws: 'AKIAIOSFODNN7EXAMPLE',
  github: 'ghp_abcdefghijklmnopqrstuvwxyz0123456789',
  gateway: 'wgk_abcdefghijklmnopqrstuvwxyz0123456789',
  [`key ${JWT}`]: 1,
}
const NEEDLES = [
  'hunter2',
  'hunter3',
  'sekret',
  'opaque-value',
  '1234567',
  JWT,
  'MHcCAQEE',
  'IOSFODNN7',
  'ghp_abc',
  'wgk_abc',
  'iban-value',
]

test('no secret reaches a row, wherever it stands in the request', () => {
  for (const field of ['arguments', 'context', 'declared'] as const) expectClean(stored({ [field]: SECRETS }))
  expectClean(stored({ agent: { id: 'a', properties: SECRETS }, user: { id: 'u', properties: SECRETS } }))
  expectClean(stored({ subject: { type: 't', id: 's', properties: SECRETS } }))
  expectClean(stored({ resource: { type: 't', id: JWT, properties: SECRETS } }))
  expectClean(stored({ action: { name: JWT, properties: SECRETS } }))
  expectClean(
    stored({
      requestId: JWT,
      tool: JWT,
      session: { id: JWT },
      route: { method: 'GET', path: `/reset/${JWT}`, host: JWT },
    }),
  )
  expectClean(
    stored({
      credentials: [
        { scheme: 'bearer', value: JWT },
        { scheme: 'basic', value: 'hunter2' },
      ],
    }),
  )
  expectClean(stored({ identityHeaders: [['x-warder-user', JWT]], tenant: JWT, supportedObligations: [JWT] }))
  expectClean(stored({ credentials: [{ scheme: JWT, value: '' }] }))
  const { judgement } = input()
  expectClean(stored({}, { judgement: { ...judgement, trace: { detail: `bad header: Bearer ${JWT}` } } }))
  expectClean(stored({ arguments: { iban: 'iban-value' } }, { sensitiveArguments: new Set(['iban']) }))
})

function expectClean(row: LogRow) {
  const text = JSON.stringify(row)
  expect(NEEDLES.filter((needle) => text.includes(needle))).toEqual([])
}

test('equal secrets can be recognised in one installation and not guessed in another', () => {
  const masked = (key: number, value: string) =>
    createMask(new Uint8Array(32).fill(key)).json({ password: value }, 'arguments', createMaskReport())
  expect(masked(1, 'a')).toEqual(masked(1, 'a'))
  expect(masked(1, 'a')).not.toEqual(masked(1, 'b'))
  expect(masked(1, 'a')).not.toEqual(masked(2, 'a'))
  expect(masked(1, 'a')).toEqual({
    password: { masked: true, digest: expect.stringMatching(/^[0-9a-f]{32}$/) },
  })
})

test.each([
  ['max_tokens', 4096],
  ['total_tokens', 12],
  ['token_count', 3],
  ['has_password', true],
  ['secret', null],
  ['author', 'somebody'],
  ['keyboard', 'qwerty'],
  ['tool', 'risk-assessment-of-the-whole-portfolio'],
])('an ordinary fact such as %s: %s is kept', (name, value) => {
  const report = createMaskReport()
  expect(mask.json({ [name]: value }, 'arguments', report)).toEqual({ [name]: value })
  expect(report.altered).toEqual([])
})

test('long texts and large facts are cut where one can see it', () => {
  const report = createMaskReport()
  expect(mask.json({ text: 'x'.repeat(5_000) }, 'arguments', report)).toEqual({
    text: { truncated: 5_000, digest: expect.any(String) },
  })
  expect(report.altered).toEqual(['arguments.text'])

  const many = Array.from({ length: 100_000 }, (_, i) => i)
  const row = stored({ arguments: { many }, context: { more: many } })
  expect(JSON.stringify(row).length).toBeLessThan(150_000)
  expect(row.trace['replayable']).toBe(false)
  expect(JSON.stringify(row.facts)).toContain('"omitted"')
})

test('text that a database can not store is replaced, not refused', () => {
  const row = stored({ arguments: { a: 'x\u0000y', b: '\ud800' }, tool: 'a\u0000b' })
  expect(JSON.stringify(row)).not.toMatch(/\\u0000|\\ud800/)
  expect(row.tool).toBe('a\uFFFDb')
  expect(row.trace['replayable']).toBe(false)
})

test('an indexed column holds no more than 512 characters', () => {
  const id = 'ä'.repeat(4_000)
  const row = stored({ resource: { type: 't', id, properties: {} } })
  expect(row.resource?.length).toBe(512)
  expect(row.facts).toMatchObject({ request: { resource: { id } } })
})
