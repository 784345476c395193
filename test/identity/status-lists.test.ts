import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { deflateSync } from 'node:zlib'
import { SignJWT } from 'jose'
import { beforeAll, describe, expect, test } from 'vitest'
import { guardStatus } from '#guards/revoked.ts'
import { parseIssuer } from '#identity/issuer.ts'
import { createKeySets } from '#identity/key-sets.ts'
import { type OutboundRequest, sendOutbound } from '#identity/outbound.ts'
import { createStatusLists } from '#identity/status-lists.ts'
import { createVerify } from '#identity/verify.ts'
import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'
import { statusOf as httpStatusOf } from '#model/challenge.ts'
import type { VerifiedToken } from '#model/identity.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import {
  bearer,
  claims,
  gateway,
  ISSUER,
  issuer,
  makeKey,
  NOW_SECONDS,
  request,
  type SigningKey,
  sign,
  tenantWith,
} from '../support/tokens.ts'

const LISTS = 'https://idp.example/lists/'
const URI = `${LISTS}1`

let key: SigningKey
let other: SigningKey
beforeAll(async () => {
  ;[key, other] = await Promise.all([makeKey('ES256', 'k1'), makeKey('ES256', 'k1')])
})

const listOf = (bits: number, bytes: readonly number[]) => ({
  bits,
  lst: deflateSync(Buffer.from(bytes)).toString('base64url'),
})

/** A status list token; undefined removes a claim. The list says 0 1 at the indexes 0 1 unless told otherwise. */
function signList(more: object = {}, header: object = {}, signer = key): Promise<string> {
  const all = {
    sub: URI,
    iat: NOW_SECONDS - 5,
    exp: NOW_SECONDS + 86_400,
    ttl: 60,
    status_list: listOf(1, [2]),
    ...more,
  }
  return new SignJWT(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)))
    .setProtectedHeader({ alg: signer.alg, kid: signer.kid, typ: 'statuslist+jwt', ...header })
    .sign(signer.privateKey)
}

function tokenAt(index: number, uri = URI): VerifiedToken {
  const rest = { issuedAt: NOW_SECONDS as EpochSeconds, expiresAt: (NOW_SECONDS + 600) as EpochSeconds }
  return { issuer: ISSUER, subject: 'alice', id: 'token-1', scopes: [], ...rest, status: { index, uri } }
}

/** Lists over a clock that the test sets; `answer` is what the issuer's server says. */
function world(answer: () => Promise<string>, more: Partial<Issuer> = {}) {
  const asked: OutboundRequest[] = []
  const faults: string[] = []
  const time = { seconds: NOW_SECONDS }
  const clock = () => (time.seconds * 1000) as EpochMilliseconds
  const fetch = () => Promise.reject(new Error('no network'))
  const lists = createStatusLists({
    send: async (sent) => {
      asked.push(sent)
      return { status: 200, contentType: '', body: await answer() }
    },
    keys: createKeySets({ clock, fetch, onFault: () => undefined }),
    clock,
    onFault: (_, cause) => faults.push(cause),
  })
  const trusted = issuer([key], { statusLists: [LISTS], ...more })
  const state = (id = 'acme') => tenantWith([trusted], { id: id as TenantId })
  const ask = (token = tokenAt(0), tenant = state()) => lists.statusOf(token, tenant, clock())
  /** Asks, lets the fetch end, and asks again. */
  const settled = async (token = tokenAt(0), tenant = state()) => {
    ask(token, tenant)
    await lists.refresh()
    return ask(token, tenant)
  }
  return { asked, faults, time, lists, ask, settled, state, clock }
}

describe('a status lies where the specification puts it:', () => {
  test.each<[bits: number, bytes: readonly number[], index: number, expected: string]>([
    // draft-ietf-oauth-status-list section 4.1: 1 0 0 1 1 1 0 1, 1 1 0 0 0 1 0 1 in the bytes b9 a3.
    [1, [0xb9, 0xa3], 0, 'invalid'],
    [1, [0xb9, 0xa3], 1, 'valid'],
    [1, [0xb9, 0xa3], 7, 'invalid'],
    [1, [0xb9, 0xa3], 10, 'valid'],
    [1, [0xb9, 0xa3], 15, 'invalid'],
    [1, [0xb9, 0xa3], 16, 'unknown'],
    // 1 2 0 3, 0 1 0 1, 1 2 3 3 in the bytes c9 44 f9.
    [2, [0xc9, 0x44, 0xf9], 0, 'invalid'],
    [2, [0xc9, 0x44, 0xf9], 1, 'suspended'],
    [2, [0xc9, 0x44, 0xf9], 2, 'valid'],
    [2, [0xc9, 0x44, 0xf9], 3, 'invalid'],
    [2, [0xc9, 0x44, 0xf9], 9, 'suspended'],
    [2, [0xc9, 0x44, 0xf9], 12, 'unknown'],
    [4, [0x20, 0x0b], 0, 'valid'],
    [4, [0x20, 0x0b], 1, 'suspended'],
    [4, [0x20, 0x0b], 2, 'invalid'],
    [4, [0x20, 0x0b], 4, 'unknown'],
    [8, [0, 2, 1, 255], 0, 'valid'],
    [8, [0, 2, 1, 255], 1, 'suspended'],
    [8, [0, 2, 1, 255], 3, 'invalid'],
    [8, [0, 2, 1, 255], 4, 'unknown'],
  ])('%i bits, bytes %j, index %i: %s', async (bits, bytes, index, expected) => {
    const list = await signList({ status_list: listOf(bits, bytes) })
    expect(await world(async () => list).settled(tokenAt(index))).toBe(expected)
  })
})

test('a list that does not compress is read up to the size of an answer', async () => {
  const bytes = randomBytes(580_000)
  bytes[579_999] = 2
  const list = await signList({
    status_list: { bits: 8, lst: deflateSync(bytes).toString('base64url') },
  })
  expect(list.length).toBeGreaterThan(1_000_000)
  const { settled, faults } = world(async () => list)
  expect(await settled(tokenAt(579_999))).toBe('suspended')
  expect(faults).toEqual([])
})

describe('a list is not believed', () => {
  test.each<[string, object, object, RegExp]>([
    ['of another type', {}, { typ: 'at+jwt' }, /`typ`/],
    ['of another URL', { sub: `${LISTS}2` }, {}, /`sub`/],
    ['without `sub`', { sub: undefined }, {}, /`sub`/],
    ['of another issuer', { iss: 'https://else.example' }, {}, /`iss`/],
    ['that is expired', { exp: NOW_SECONDS }, {}, /expired/],
    ['without `iat`', { iat: undefined }, {}, /`iat`/],
    ['from the future', { iat: NOW_SECONDS + 31 }, {}, /`iat`/],
    ['that is old and has no end', { iat: NOW_SECONDS - 86_401, exp: undefined }, {}, /no `exp`/],
    ['with a `ttl` of 0', { ttl: 0 }, {}, /`ttl`/],
    ['with 3 bits', { status_list: listOf(3, [0]) }, {}, /`bits`/],
    ['without a list', { status_list: undefined }, {}, /`bits`/],
    ['that is not compressed', { status_list: { bits: 1, lst: 'AAAA' } }, {}, /`lst`/],
    ['that inflates to too much', { status_list: listOf(1, new Array(1_048_577).fill(0)) }, {}, /`lst`/],
    ['with a header that names its own key', {}, { jku: 'https://else.example' }, /header/],
  ])('%s', async (_, more, header, cause) => {
    const list = await signList(more, header)
    const { settled, faults } = world(async () => list)
    expect([await settled(), faults[0]]).toEqual(['unknown', expect.stringMatching(cause)])
  })

  test('signed with another key', async () => {
    const list = await signList({}, {}, other)
    const { settled, faults } = world(async () => list)
    expect([await settled(), faults[0]]).toEqual(['unknown', expect.stringMatching(/signature/)])
  })

  test('older than the one before: what was revoked stays so', async () => {
    let list = await signList({ status_list: listOf(1, [1]) })
    const { settled, time, faults } = world(async () => list)
    expect(await settled()).toBe('invalid')
    list = await signList({ iat: NOW_SECONDS - 6, status_list: listOf(1, [0]) })
    time.seconds += 61
    expect(await settled()).toBe('invalid')
    expect(faults).toEqual(['the list is older than the one before'])
  })
})

test.each([
  'https://idp.example/lists/../admin',
  'https://idp.example/lists/%2e%2e/admin',
  'https://idp.example/lists',
  'https://idp.example/other/1',
  'https://idp.example.evil.example/lists/1',
  'https://user@idp.example/lists/1',
  'https://idp.example/lists/1#x',
  'HTTPS://idp.example/lists/1',
  'http://169.254.169.254/latest',
  'not a URL',
  '',
])('a token that points to %s makes nobody fetch it', async (uri) => {
  const { settled, asked } = world(() => signList())
  expect([await settled(tokenAt(0, uri)), asked]).toEqual(['unknown', []])
})

test('without `status_lists` a token with a status is unknown, and nothing is fetched', async () => {
  const { settled, asked } = world(() => signList(), { statusLists: [] })
  expect([await settled(), asked]).toEqual(['unknown', []])
})

test('an allowed URL without a slash at its end allows itself alone', async () => {
  const { settled, asked } = world(() => signList(), { statusLists: [URI] })
  expect(await settled(tokenAt(0, `${URI}0`))).toBe('unknown')
  expect(asked).toEqual([])
  expect(await settled()).toBe('valid')
})

test('the first token is unknown while one fetch under the guard is under way', async () => {
  const { ask, asked, settled } = world(() => signList())
  expect([ask(), ask(), ask()]).toEqual(['unknown', 'unknown', 'unknown'])
  expect(await settled()).toBe('valid')
  expect(asked).toHaveLength(1)
  expect(asked[0]).toMatchObject({
    url: URI,
    privateNetwork: false,
    bytesMax: 1_048_576,
    headers: { accept: 'application/statuslist+jwt' },
  })
})

test.each([
  [true, 'valid', 1],
  [false, 'unknown', 0],
])('over HTTP on this machine, with `private_network` %s: %s', async (privateNetwork, expected, times) => {
  let calls = 0
  let uri = ''
  const server = createServer((incoming, outgoing) => {
    calls += 1
    expect(incoming.headers.accept).toBe('application/statuslist+jwt')
    void signList({ sub: uri }).then((list) => outgoing.end(list))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  try {
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    uri = `${base}1`
    const { clock } = world(() => signList())
    const fetch = () => Promise.reject(new Error('no network'))
    const keys = createKeySets({ clock, fetch, onFault: () => undefined })
    const lists = createStatusLists({ send: sendOutbound, keys, clock, onFault: () => undefined })
    const tenant = tenantWith([issuer([key], { statusLists: [base], privateNetwork })])
    expect(lists.statusOf(tokenAt(0, uri), tenant, clock())).toBe('unknown')
    await lists.refresh()
    expect([lists.statusOf(tokenAt(0, uri), tenant, clock()), calls]).toEqual([expected, times])
    lists.close()
  } finally {
    server.close()
  }
})

test('lists of one tenant do not serve another', async () => {
  const { settled, ask, state } = world(() => signList())
  expect(await settled()).toBe('valid')
  expect(ask(tokenAt(0), state('globex'))).toBe('unknown')
})

test('a list serves for twice its `ttl` when it can not be fetched again, then nobody knows', async () => {
  let list: string | undefined = await signList()
  const { settled, time, asked } = world(async () => list ?? Promise.reject(new Error('down')))
  expect(await settled()).toBe('valid')
  list = undefined
  const seen: string[] = []
  for (const seconds of [59, 60, 119, 120]) {
    time.seconds = NOW_SECONDS + seconds
    seen.push(await settled())
  }
  expect(seen).toEqual(['valid', 'valid', 'valid', 'unknown'])
  expect(asked.length).toBeGreaterThan(1)
})

test('a list never serves beyond its `exp`, whatever its `ttl` says', async () => {
  const { settled, time, ask } = world(() => signList({ exp: NOW_SECONDS + 10, ttl: 3_600 }))
  expect(await settled()).toBe('valid')
  time.seconds += 10
  expect(ask()).toBe('unknown')
})

test.each([
  [1, 29, 1],
  [1, 30, 2],
  [1_000_000, 3_599, 1],
  [1_000_000, 3_600, 2],
  [undefined, 299, 1],
  [undefined, 300, 2],
])(
  'with a `ttl` of %s, %i s later the list was fetched %i times without being asked',
  async (ttl, seconds, times) => {
    const { settled, time, lists, asked } = world(() => signList({ ttl }))
    await settled()
    time.seconds += seconds
    await lists.refresh()
    expect(asked).toHaveLength(times)
  },
)

test('a server that fails is asked again later each time, not by each token', async () => {
  const { settled, time, asked } = world(() => Promise.reject(new Error('down')))
  for (let i = 0; i < 5; i++) await settled()
  expect(asked).toHaveLength(1)
  time.seconds += 1
  for (let i = 0; i < 3; i++) await settled()
  time.seconds += 1
  await settled()
  expect(asked).toHaveLength(2)
})

test('a tenant that uses more than 64 lists forgets the one that was not asked about for longest', async () => {
  const { ask, asked } = world(() => signList())
  for (let i = 0; i < 64; i++) ask(tokenAt(0, `${LISTS}${i}`))
  ask(tokenAt(0, `${LISTS}0`))
  ask(tokenAt(0, `${LISTS}64`))
  expect(asked).toHaveLength(65)
  ask(tokenAt(0, `${LISTS}0`))
  expect(asked).toHaveLength(65)
  ask(tokenAt(0, `${LISTS}1`))
  expect(asked).toHaveLength(66)
})

test('a raised revision of the keys forgets the lists', async () => {
  const { settled, ask, state } = world(() => signList())
  expect(await settled()).toBe('valid')
  const raised = issuer([key], { statusLists: [LISTS], keysRevision: 7 })
  expect(ask(tokenAt(0), { ...state(), issuers: [raised] })).toBe('unknown')
})

describe('the guard', () => {
  test.each([
    [0, undefined, undefined],
    [1, 'revoked.authority', 401],
    [9, 'revoked.status_unknown', 503],
  ])('index %i: %s, %s', async (index, code, status) => {
    const { settled, lists, state, clock } = world(() => signList())
    await settled()
    const stop = guardStatus([tokenAt(index)], lists, state(), clock())
    expect(stop?.code).toBe(code)
    expect(stop && httpStatusOf(stop.code, stop.challenge)).toBe(status)
  })

  test('denies what points to a list where no lists are read, and nothing else', () => {
    const tenant = tenantWith([issuer([key])])
    const now = (NOW_SECONDS * 1000) as EpochMilliseconds
    const { status: _, ...plain } = tokenAt(0)
    expect(guardStatus([tokenAt(0)], undefined, tenant, now)).toMatchObject({
      code: 'revoked.status_unknown',
      retryAfterSeconds: 1,
    })
    expect([
      guardStatus([plain], undefined, tenant, now),
      guardStatus([undefined], undefined, tenant, now),
    ]).toEqual([undefined, undefined])
  })
})

describe('the claim `status`', () => {
  test.each<[string, unknown, object | string | undefined]>([
    ['with a place', { status_list: { idx: 7, uri: URI } }, { index: 7, uri: URI }],
    ['of another mechanism', { other: {} }, undefined],
    ['that is a text', 'active', undefined],
    ['without an index', { status_list: { uri: URI } }, 'token.claim_invalid'],
    ['with a negative index', { status_list: { idx: -1, uri: URI } }, 'token.claim_invalid'],
    ['with a broken index', { status_list: { idx: 0.5, uri: URI } }, 'token.claim_invalid'],
    ['with an index as text', { status_list: { idx: '0', uri: URI } }, 'token.claim_invalid'],
    ['without a URL', { status_list: { idx: 0 } }, 'token.claim_invalid'],
    ['that is no object', { status_list: 'x' }, 'token.claim_invalid'],
  ])('%s', async (_, status, expected) => {
    const keys = createKeySets({
      clock: () => (NOW_SECONDS * 1000) as EpochMilliseconds,
      fetch: () => Promise.reject(new Error('no network')),
      onFault: () => undefined,
    })
    const token = await sign(key, claims({ status }))
    const outcome = await createVerify({ keys })(
      request(bearer(token)),
      gateway(),
      tenantWith([issuer([key])]),
    )
    expect(outcome.ok ? outcome.value.token?.status : outcome.failure.code).toEqual(expected)
  })
})

test.each<[string, unknown, readonly string[] | RegExp]>([
  ['one URL', 'https://idp.example/lists/', ['https://idp.example/lists/']],
  [
    'a list',
    ['https://idp.example/a', 'https://idp.example/b/'],
    ['https://idp.example/a', 'https://idp.example/b/'],
  ],
  ['dot segments', 'https://idp.example/x/../a/', ['https://idp.example/a/']],
  ['http', 'http://idp.example/', /https/],
  ['a number', 5, /URL/],
  ['an empty list', [], /1 to 16/],
])('`status_lists` that is %s', (_, given, expected) => {
  const file = { issuer: ISSUER, audience: 'a', jwks_uri: 'https://idp.example/jwks', status_lists: given }
  const parsed = parseIssuer(file)
  if (expected instanceof RegExp) expect(!parsed.ok && parsed.failure[0]?.message).toMatch(expected)
  else expect(parsed.ok && parsed.value.statusLists).toEqual(expected)
})
