import fc from 'fast-check'
import type { JWTPayload } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import { mayAssert } from '#identity/assertion.ts'
import { createFetchJwks } from '#identity/jwks-fetch.ts'
import { createKeySets } from '#identity/key-sets.ts'
import { createVerify } from '#identity/verify.ts'
import { systemClock } from '#lib/clock.ts'
import type { AssertionKind, Gateway } from '#model/gateway.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import { REASONS, type ReasonCode } from '#model/reasons.ts'
import type { Release } from '#model/release.ts'
import type { AuthorizationRequest, Dialect } from '#model/request.ts'
import {
  bearer,
  claims,
  gateway,
  ISSUER,
  issuer,
  makeKey,
  named,
  request,
  type SigningKey,
  sign,
  tenantWith,
} from '../support/tokens.ts'

let key: SigningKey
let delegated: string
let autonomous: string
let userOnly: string

beforeAll(async () => {
  key = await makeKey('ES256', 'k1')
  delegated = await sign(key)
  autonomous = await sign(key, claims({ sub: 'agent-1' }))
  userOnly = await sign(key, claims({ client_id: undefined }))
})

const keys = createKeySets({ fetch: createFetchJwks(), clock: systemClock, onFault: () => undefined })
const verify = createVerify({ keys })
const OWN = { vocabulary: 'own' } as Release
const WARDER = { vocabulary: 'warder' } as Release
const NOBODY: ReadonlySet<AssertionKind> = new Set()
const ALL: ReadonlySet<AssertionKind> = new Set(['identity'])
const ALICE = { type: 'user', id: 'alice', properties: { email: 'a@example' } }

function ask(
  more: Partial<AuthorizationRequest>,
  options: { gateway?: Partial<Gateway>; release?: Release; issuer?: Partial<Issuer> } = {},
) {
  const tenant = tenantWith([issuer([key], options.issuer)], { release: options.release ?? WARDER })
  return verify(request(more), gateway(options.gateway), tenant)
}

function stopped(code: ReasonCode) {
  return { ok: false, failure: { code, message: REASONS[code] } }
}

test.each<[Dialect, ReadonlySet<AssertionKind> | undefined, boolean]>([
  ['native', undefined, true],
  ['authzen', undefined, true],
  ['forward-auth', undefined, false],
  ['envoy-http', undefined, false],
  ['native', NOBODY, false],
  ['forward-auth', ALL, true],
  ['native', new Set(['context']), false],
])('in %s a gateway registered for %o may assert identity: %s', (dialect, asserts, expected) => {
  expect(mayAssert(gateway({ asserts }), dialect, 'identity')).toBe(expected)
})

test.each<[string, Partial<AuthorizationRequest>, Partial<Gateway>]>([
  ['the request names another tenant', { tenant: 'globex' }, {}],
  ['the request names a tenant that does not exist', { tenant: 'nowhere' }, {}],
  ['the gateway belongs to another tenant', {}, { tenant: 'globex' as TenantId }],
  [
    'a header names another tenant',
    { dialect: 'forward-auth', identityHeaders: [['x-warder-tenant', 'globex']] },
    { asserts: ALL },
  ],
])('when %s the answer is the same bytes', async (_, more, gatewayMore) => {
  const outcome = await ask({ agent: named('agent-1'), ...more }, { gateway: gatewayMore })
  expect(JSON.stringify(outcome)).toBe(JSON.stringify(stopped('tenant.unknown')))
})

test('parties that a gateway asserts have its provenance and keep their properties', async () => {
  const outcome = await ask({ agent: named('agent-1', { level: 3 }), user: named('alice') })
  expect(outcome).toEqual({
    ok: true,
    value: {
      tenant: 'acme',
      agent: { id: 'agent-1', provenance: 'gateway', properties: { level: 3 } },
      user: { id: 'alice', provenance: 'gateway', properties: {} },
      subject: undefined,
      delegation: { source: 'gateway', chain: [{ issuer: undefined, id: 'agent-1' }] },
      token: undefined,
    },
  })
})

test.each<[string, Partial<AuthorizationRequest>, Partial<Gateway>, ReasonCode]>([
  ['names nobody', {}, {}, 'identity.missing'],
  [
    'names somebody through a gateway without that right',
    { agent: named('a') },
    { asserts: NOBODY },
    'identity.unasserted',
  ],
  ['comes in headers without a token', { dialect: 'forward-auth' }, {}, 'credentials.missing'],
  ['comes in headers and names nobody', { dialect: 'forward-auth' }, { asserts: ALL }, 'identity.missing'],
  ['has an AuthZEN subject that is no party', { dialect: 'authzen', subject: ALICE }, {}, 'identity.missing'],
  ['carries what is no token', { credentials: [{ scheme: 'dpop', value: 'x' }] }, {}, 'token.malformed'],
  ['carries a password', { credentials: [{ scheme: 'basic', value: 'x' }] }, {}, 'credentials.unsupported'],
  [
    'carries something without a scheme',
    { credentials: [{ scheme: 'none', value: 'x' }] },
    {},
    'credentials.unsupported',
  ],
  [
    'carries two tokens',
    {
      credentials: [
        { scheme: 'bearer', value: 'x' },
        { scheme: 'bearer', value: 'x' },
      ],
    },
    {},
    'credentials.multiple',
  ],
  [
    'carries a good party beside an unknown credential',
    { agent: named('agent-1'), credentials: [{ scheme: 'basic', value: 'x' }] },
    {},
    'credentials.unsupported',
  ],
])('a request that %s denies', async (_, more, gatewayMore, code) => {
  expect(await ask(more, { gateway: gatewayMore })).toMatchObject(stopped(code))
})

test('a forged identity header denies even beside a valid token', async () => {
  for (const dialect of ['forward-auth', 'envoy-http'] as const)
    for (const name of ['x-warder-agent', 'x-warder-user', 'x-warder-tenant', 'x-warder-subject'])
      expect(
        await ask({ dialect, ...bearer(delegated), identityHeaders: [[name, 'agent-1']] }),
      ).toMatchObject({
        ...stopped('identity.forged_header'),
        failure: { detail: name },
      })
})

test('identity headers from a gateway that may assert identity are claims', async () => {
  const headers = {
    dialect: 'forward-auth' as const,
    identityHeaders: [
      ['x-warder-agent', 'a1'],
      ['x-warder-user', 'bob'],
    ] as const,
  }
  expect(await ask(headers, { gateway: { asserts: ALL } })).toMatchObject({
    ok: true,
    value: { agent: { id: 'a1', provenance: 'gateway' }, user: { id: 'bob', provenance: 'gateway' } },
  })
  const beside = { ...headers, ...bearer(delegated) }
  expect(await ask(beside, { gateway: { asserts: ALL } })).toMatchObject(stopped('identity.mismatch'))
  const twice = {
    dialect: 'forward-auth' as const,
    identityHeaders: [
      ['x-warder-agent', 'a1'],
      ['x-warder-agent', 'a2'],
    ] as const,
  }
  expect(await ask(twice, { gateway: { asserts: ALL } })).toMatchObject(stopped('identity.mismatch'))
})

test.each<[string, Partial<AuthorizationRequest>]>([
  ['another user', { user: named('mallory') }],
  ['another agent', { agent: named('agent-2') }],
  ['a subject that is neither', { subject: { ...ALICE, id: 'mallory' } }],
  ['a user whose name differs by case', { user: named('Alice') }],
])('a token and a request that names %s deny', async (_, more) => {
  expect(await ask({ ...bearer(delegated), ...more })).toMatchObject(stopped('identity.mismatch'))
})

test('claims that agree with the token add their properties and nothing else', async () => {
  const outcome = await ask({
    ...bearer(delegated),
    agent: named('agent-1', { a: 1 }),
    user: named('alice', { b: 2 }),
  })
  expect(outcome).toMatchObject({
    ok: true,
    value: {
      agent: { id: 'agent-1', provenance: 'verified', properties: { a: 1 } },
      user: { id: 'alice', provenance: 'verified', properties: { b: 2 } },
    },
  })
})

test('a client credentials token is an autonomous agent, and a claim can not put a user behind it', async () => {
  expect(await ask(bearer(autonomous))).toMatchObject({
    ok: true,
    value: { agent: { id: 'agent-1' }, user: undefined, delegation: { source: 'none', chain: [] } },
  })
  expect(await ask({ ...bearer(autonomous), user: named('alice') })).toMatchObject(
    stopped('identity.mismatch'),
  )
})

test('a token without an agent gets one only from a gateway that asserts identity', async () => {
  const asked = { ...bearer(userOnly), agent: named('agent-9') }
  expect(await ask(asked, { gateway: { asserts: NOBODY } })).toMatchObject(stopped('identity.unasserted'))
  expect(await ask(asked)).toMatchObject({
    ok: true,
    value: {
      agent: { id: 'agent-9', provenance: 'gateway' },
      user: { id: 'alice', provenance: 'verified' },
      delegation: { source: 'gateway', chain: [{ issuer: undefined, id: 'agent-9' }] },
    },
  })
})

test('the outermost act is the agent, and the chain keeps its order', async () => {
  const act = { sub: 'c', act: { sub: 'b', iss: ISSUER, act: { sub: 'a' } } }
  const outcome = await ask(bearer(await sign(key, claims({ act }))))
  expect(outcome).toMatchObject({
    ok: true,
    value: {
      agent: { id: 'c', provenance: 'verified' },
      user: { id: 'alice' },
      delegation: { source: 'token', chain: ['c', 'b', 'a'].map((id) => ({ issuer: ISSUER, id })) },
    },
  })
})

test('with act the subject stays a party even when it is the client', async () => {
  const token = await sign(key, claims({ sub: 'agent-1', act: { sub: 'agent-2' } }))
  expect(await ask(bearer(token))).toMatchObject({
    ok: true,
    value: { agent: { id: 'agent-2' }, user: { id: 'agent-1' } },
  })
})

test.each<[string, unknown, ReasonCode]>([
  ['is text', 'agent-2', 'token.claim_invalid'],
  ['is a list', [{ sub: 'a' }], 'token.claim_invalid'],
  ['is null', null, 'token.claim_invalid'],
  ['has no sub', { iss: ISSUER }, 'token.claim_invalid'],
  ['has an empty sub', { sub: '' }, 'token.claim_invalid'],
  ['has a numeric iss', { sub: 'a', iss: 1 }, 'token.claim_invalid'],
  [
    'is from an issuer that the tenant does not trust',
    { sub: 'a', iss: 'https://evil' },
    'token.issuer_unknown',
  ],
  [
    'hides an untrusted issuer inside',
    { sub: 'a', act: { sub: 'b', iss: 'https://evil' } },
    'token.issuer_unknown',
  ],
  ...['scope', 'cnf', 'exp', 'nbf', 'iat', 'aud', 'authorization_details', 'may_act'].flatMap(
    (name): [string, unknown, ReasonCode][] => [
      [`carries \`${name}\``, { sub: 'a', [name]: {} }, 'token.claim_invalid'],
      [`hides \`${name}\` inside`, { sub: 'a', act: { sub: 'b', [name]: {} } }, 'token.claim_invalid'],
    ],
  ),
  ['has a profile that is no text', { sub: 'a', sub_profile: ['ai_agent'] }, 'token.claim_invalid'],
  [
    'is deeper than any tenant accepts',
    [...'abcdefghi'].reduceRight((act: object | undefined, sub) => ({ sub, ...(act && { act }) }), undefined),
    'token.claim_invalid',
  ],
])('a chain that %s denies', async (_, act, code) => {
  expect(await ask(bearer(await sign(key, claims({ act }))))).toMatchObject(stopped(code))
})

test('may_act gives nothing', async () => {
  const token = await sign(key, claims({ may_act: { sub: 'agent-7' } }))
  expect(await ask(bearer(token))).toMatchObject({ ok: true, value: { agent: { id: 'agent-1' } } })
})

test.each<[string, JWTPayload, Partial<Issuer['claims']>, object]>([
  ['azp when there is no client_id', { client_id: undefined, azp: 'app-2' }, {}, { agent: { id: 'app-2' } }],
  ['the mapped agent claim', { bot: { name: 'b1' } }, { agent: 'bot.name' }, { agent: { id: 'b1' } }],
  [
    'a claim whose name has dots',
    { 'https://x.y/agent': 'b2' },
    { agent: 'https://x.y/agent' },
    { agent: { id: 'b2' } },
  ],
  ['the mapped user claim', { email: 'al@example' }, { user: 'email' }, { user: { id: 'al@example' } }],
  ['the tenant claim', { tid: 'acme' }, { tenant: 'tid' }, { tenant: 'acme' }],
])('a token is read by %s', async (_, payload, mapping, expected) => {
  const mapped = { claims: { tenant: undefined, agent: undefined, user: 'sub', ...mapping } }
  const outcome = await ask(bearer(await sign(key, claims(payload))), { issuer: mapped })
  expect(outcome).toMatchObject({ ok: true, value: expected })
})

test.each<[string, JWTPayload, ReasonCode]>([
  ['another tenant', { tid: 'globex' }, 'token.tenant'],
  ['its tenant as a list', { tid: ['acme'] }, 'token.tenant'],
  ['no tenant', {}, 'token.claim_missing'],
  ['an agent that is a number', { tid: 'acme', client_id: 7 }, 'token.claim_invalid'],
  ['an empty agent', { tid: 'acme', client_id: '' }, 'token.claim_invalid'],
])('where the tenant claim is mapped, a token with %s denies', async (_, payload, code) => {
  const mapped = { claims: { tenant: 'tid', agent: undefined, user: 'sub' } }
  expect(await ask(bearer(await sign(key, claims(payload))), { issuer: mapped })).toMatchObject(stopped(code))
})

test('a token that lacks the mapped user claim denies', async () => {
  const mapped = { claims: { tenant: undefined, agent: undefined, user: 'email' } }
  expect(await ask(bearer(delegated), { issuer: mapped })).toMatchObject(stopped('token.claim_missing'))
})

test('a tenant with its own vocabulary gets the subject verbatim', async () => {
  const subject = { type: 'user', id: 'alice' }
  const asserted = await ask({ dialect: 'authzen', subject: ALICE }, { release: OWN })
  expect(asserted).toMatchObject({
    ok: true,
    value: { subject: { uid: subject, provenance: 'gateway', properties: ALICE.properties } },
  })
  const proven = await ask({ dialect: 'authzen', subject: ALICE, ...bearer(delegated) }, { release: OWN })
  expect(proven).toMatchObject({ ok: true, value: { subject: { uid: subject, provenance: 'verified' } } })
  const unasserted = await ask(
    { dialect: 'authzen', subject: ALICE },
    { release: OWN, gateway: { asserts: NOBODY } },
  )
  expect(unasserted).toMatchObject(stopped('identity.unasserted'))
})

const party = fc.option(fc.constantFrom(named('agent-1'), named('alice'), named('mallory')), {
  nil: undefined,
})
const anyRequest = fc.record({
  dialect: fc.constantFrom<Dialect>('native', 'authzen', 'forward-auth', 'envoy-http'),
  agent: party,
  user: party,
  subject: fc.option(fc.constantFrom(ALICE, { ...ALICE, id: 'agent-1' }, { ...ALICE, id: 'mallory' }), {
    nil: undefined,
  }),
  token: fc.constantFrom('none', 'delegated', 'autonomous', 'userOnly'),
  asserts: fc.constantFrom(undefined, NOBODY, ALL),
  release: fc.constantFrom(OWN, WARDER),
})

interface Asked {
  readonly dialect: Dialect
  readonly agent: AuthorizationRequest['agent']
  readonly user: AuthorizationRequest['user']
  readonly subject: AuthorizationRequest['subject']
  readonly token: string
  readonly asserts: ReadonlySet<AssertionKind> | undefined
  readonly release: Release
}

function askAny({ token, asserts, release, ...more }: Asked) {
  const text = new Map([
    ['delegated', delegated],
    ['autonomous', autonomous],
    ['userOnly', userOnly],
  ]).get(token)
  return ask({ ...more, ...(text === undefined ? {} : bearer(text)) }, { gateway: { asserts }, release })
}

test('claims beside a token never add a party that the token settles, and never change one', async () => {
  await fc.assert(
    fc.asyncProperty(anyRequest, async (asked) => {
      if (asked.token === 'none') return
      const bare = await askAny({ ...asked, agent: undefined, user: undefined, subject: undefined })
      const full = await askAny(asked)
      if (!full.ok) return
      if (!bare.ok) throw new Error('the token alone must do')
      expect(full.value.user?.id).toBe(bare.value.user?.id)
      if (bare.value.agent !== undefined) expect(full.value.agent?.id).toBe(bare.value.agent.id)
      expect(full.value.delegation.source === 'token').toBe(bare.value.delegation.source === 'token')
    }),
    { numRuns: 300 },
  )
})

test('leaving fields out never makes anybody verified who was not', async () => {
  await fc.assert(
    fc.asyncProperty(
      anyRequest,
      fc.constantFrom('agent', 'user', 'subject', 'token'),
      async (asked, field) => {
        const dropped = { ...asked, [field]: field === 'token' ? 'none' : undefined }
        const [full, less] = await Promise.all([askAny(asked), askAny(dropped)])
        if (!less.ok || !full.ok) return
        for (const name of ['agent', 'user', 'subject'] as const)
          if (less.value[name]?.provenance === 'verified')
            expect(full.value[name]?.provenance).toBe('verified')
      },
    ),
    { numRuns: 300 },
  )
})

test('nobody is verified without a token, and nobody is believed whom nobody may assert', async () => {
  await fc.assert(
    fc.asyncProperty(anyRequest, async (asked) => {
      const outcome = await askAny({ ...asked, token: 'none', asserts: NOBODY })
      expect(outcome.ok).toBe(false)
    }),
    { numRuns: 200 },
  )
})
