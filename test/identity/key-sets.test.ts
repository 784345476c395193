import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, generateSecret } from 'jose'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { mayReach } from '#identity/addresses.ts'
import { createFetchJwks } from '#identity/jwks-fetch.ts'
import { parseKeySet } from '#identity/key-set.ts'
import { createKeySets, type KeySets } from '#identity/key-sets.ts'
import { createVerify, type Verify } from '#identity/verify.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import {
  bearer,
  claims,
  gateway,
  ISSUER,
  issuer,
  makeKey,
  request,
  type SigningKey,
  sign,
  tenantWith,
} from '../support/tokens.ts'

const MINUTE = 60_000
const DAY = 24 * 60 * MINUTE
let one: SigningKey
let two: SigningKey

beforeAll(async () => {
  ;[one, two] = await Promise.all([makeKey('ES256', 'one'), makeKey('ES256', 'two')])
})

let server: Server
let url: string
let hits = 0
let answer: (response: ServerResponse, path?: string) => void
let now = 0
let faults: string[] = []
let keys: KeySets
let verify: Verify

function publish(...published: readonly SigningKey[]) {
  answer = (response) => response.end(JSON.stringify({ keys: published.map((key) => key.jwk) }))
}

function fail(status = 500) {
  answer = (response) => response.writeHead(status).end('{}')
}

beforeEach(async () => {
  hits = 0
  now = 10 * DAY
  faults = []
  server = createServer((asked, response) => {
    hits += 1
    answer(response, asked.url)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`
  keys = createKeySets({
    fetch: createFetchJwks(),
    clock: () => now as EpochMilliseconds,
    onFault: (_, cause) => faults.push(cause),
  })
  verify = createVerify({ keys })
})

afterEach(() => {
  keys.close()
  server.closeAllConnections()
  server.close()
})

function ask(token: string, id = 'acme', more: Partial<Issuer> = {}) {
  const tenant = tenantWith([issuer([], { keys: { kind: 'remote', url }, privateNetwork: true, ...more })], {
    id: id as TenantId,
  })
  return verify(request(bearer(token)), gateway({ tenant: id as TenantId }), tenant)
}

const good = { ok: true }
const unavailable = {
  ok: false,
  failure: { code: 'token.keys_unavailable', message: 'the keys of the issuer could not be fetched' },
}
const unknownKey = {
  ok: false,
  failure: { code: 'token.key_unknown', message: 'the issuer has no key for this token' },
}

test('20 requests at once cause one fetch', async () => {
  publish(one)
  const token = await sign(one)
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => ask(token)))
  expect(outcomes.every((outcome) => outcome.ok)).toBe(true)
  expect(hits).toBe(1)
})

test('each tenant fetches for itself', async () => {
  publish(one)
  const token = await sign(one)
  expect(await ask(token)).toMatchObject(good)
  expect(await ask(token, 'globex')).toMatchObject(good)
  expect(hits).toBe(2)
})

test('a new key is found by its kid after the cool-down, and a retired one stops serving, cached tokens too', async () => {
  publish(one)
  const [old, fresh] = await Promise.all([sign(one), sign(two)])
  expect(await ask(old)).toMatchObject(good)
  publish(two)
  expect(await ask(fresh)).toMatchObject(unknownKey)
  expect(hits).toBe(1)
  now += 31_000
  expect(await ask(fresh)).toMatchObject(good)
  expect(await ask(old)).toMatchObject(unknownKey)
  expect(hits).toBe(2)
})

test('a flood of unknown kids fetches once in 30 seconds', async () => {
  publish(one)
  await ask(await sign(one))
  now += 31_000
  const tokens = await Promise.all(Array.from({ length: 20 }, (_, i) => sign({ ...one, kid: `k${i}` })))
  for (const token of tokens) expect(await ask(token)).toMatchObject(unknownKey)
  expect(hits).toBe(2)
})

test('keys are refreshed in the background while cached tokens go on without waiting', async () => {
  publish(one)
  const token = await sign(one)
  await ask(token)
  publish(two)
  now += 6 * MINUTE
  expect(await ask(token)).toMatchObject(good)
  await expect.poll(() => ask(token)).toMatchObject(unknownKey)
  expect(hits).toBe(2)
})

test('an unreachable issuer keeps its last good keys for 24 hours and not a moment longer', async () => {
  publish(one)
  const token = await sign(one)
  await ask(token)
  fail()
  now += 20 * MINUTE
  expect(await ask(token)).toMatchObject(good)
  now += DAY - 20 * MINUTE - 1
  expect(await ask(token)).toMatchObject(good)
  now += 1
  expect(await ask(token)).toMatchObject(unavailable)
  publish(one)
  now += MINUTE
  expect(await ask(token)).toMatchObject(good)
})

test('the health of keys tells their age, failed fetches and tokens verified with overdue keys, and fetches nothing', async () => {
  const asked = issuer([], { keys: { kind: 'remote', url }, privateNetwork: true })
  const health = () => keys.health('acme' as TenantId, asked)
  expect(health()).toBeUndefined()
  publish(one, two)
  const token = await sign(one)
  await ask(token)
  const fresh = { standing: 'fresh', keys: 2, ageSeconds: 0, failures: 0, servedStale: 0 }
  expect(health()).toEqual(fresh)
  expect(keys.health('globex' as TenantId, asked)).toBeUndefined()
  fail()
  now += 20 * MINUTE
  expect(health()).toEqual({ ...fresh, standing: 'stale', ageSeconds: 1200 })
  await keys.load('acme' as TenantId, asked)
  expect(health()).toMatchObject({ standing: 'stale', failures: 1, servedStale: 1 })
  now += DAY
  expect(health()).toMatchObject({ standing: 'none', keys: 0, failures: 1, servedStale: 1 })
  expect(hits).toBe(2)
})

test('the health of keys that were given with the issuer is known once they were used', async () => {
  const given = issuer([one])
  expect(keys.health('acme' as TenantId, given)).toBeUndefined()
  await keys.load('acme' as TenantId, given)
  expect(keys.health('acme' as TenantId, given)).toMatchObject({ standing: 'fresh', keys: 1 })
})

test('after a failure requests deny at once until the back-off has passed', async () => {
  fail()
  const token = await sign(one)
  for (let i = 0; i < 5; i++) expect(await ask(token)).toMatchObject(unavailable)
  expect(hits).toBe(1)
  publish(one)
  now += 1_001
  expect(await ask(token)).toMatchObject(good)
  expect(faults).toEqual(['the JWKS URL answered 500'])
})

test.each<[string, (response: ServerResponse) => void, RegExp]>([
  ['an empty set', (response) => response.end('{"keys":[]}'), /no usable signature key/],
  ['something else', (response) => response.end('[]'), /`keys` is not an array/],
  ['no JSON', (response) => response.end('<html>'), /JSON/],
  ['a redirect', (response) => response.writeHead(302, { location: url }).end(), /answered 302/],
  ['more than 64 KiB', (response) => response.end(`{"keys":[],"x":"${'x'.repeat(70_000)}"}`), /64 KiB/],
  ['a cut answer', (response) => response.writeHead(200, { 'content-length': '500' }).destroy(), /./],
])('%s never replaces good keys', async (_, broken, cause) => {
  publish(one)
  const token = await sign(one)
  await ask(token)
  answer = broken
  now += 11 * MINUTE
  expect(await ask(token)).toMatchObject(good)
  await expect.poll(() => faults.join()).toMatch(cause)
  expect(await ask(await sign(one, undefined, { cty: 'x' }))).toMatchObject(good)
})

test.each([
  ['http to another host', 'http://idp.example/jwks', true, /not https/],
  ['http to this machine without leave', 'http://127.0.0.1:1/jwks', false, /not https/],
  ['a file', 'file:///etc/passwd', true, /not https/],
  ['this machine by number', 'https://127.0.0.1:1/', false, /not public/],
  ['this machine by name', 'https://localhost:1/', false, /not public/],
  ['this machine in IPv6', 'https://[::1]:1/', false, /not public/],
  ['this machine as a mapped address', 'https://[::ffff:127.0.0.1]:1/', false, /not public/],
  ['this machine in one number', 'https://2130706433/', false, /not public/],
  ['a private network', 'https://10.1.2.3/', false, /not public/],
  ['credentials of the cloud', 'https://169.254.169.254/latest/', true, /not public/],
])('%s is never fetched', async (_, target, privateNetwork, message) => {
  const asked = issuer([], { keys: { kind: 'remote', url: target }, privateNetwork })
  await expect(createFetchJwks()(asked, new AbortController().signal)).rejects.toThrow(message)
})

test.each([
  ['8.8.8.8', false, true],
  ['2606:4700::1111', false, true],
  ['::ffff:8.8.8.8', false, true],
  ['::ffff:7f00:1', false, false],
  ['100.64.0.1', false, false],
  ['192.168.0.1', false, false],
  ['fd00::1', false, false],
  ['64:ff9b::7f00:1', false, false],
  ['192.168.0.1', true, true],
  ['::1', true, true],
  ['fe80::1', true, false],
  ['169.254.1.1', true, false],
  ['::ffff:169.254.1.1', true, false],
  ['::ffff:a9fe:a9fe', true, false],
  ['224.0.0.1', true, false],
  ['localhost', true, false],
])('the address %s with private networks %s may be reached: %s', (address, privateNetwork, expected) => {
  expect(mayReach(address, privateNetwork)).toBe(expected)
})

test('a raised revision forgets the keys that every server had, cached tokens too', async () => {
  publish(one)
  const token = await sign(one)
  expect(await ask(token)).toMatchObject(good)
  publish(two)
  expect(await ask(token)).toMatchObject(good)
  expect(await ask(token, 'acme', { keysRevision: 1 })).toMatchObject(unknownKey)
  fail()
  expect(await ask(token, 'acme', { keysRevision: 2 })).toMatchObject(unavailable)
})

test('an empty bundle revokes every key of a SPIFFE trust domain', async () => {
  const svid = (key: SigningKey) => ({ ...key.jwk, use: 'jwt-svid' })
  answer = (response) => response.end(JSON.stringify({ keys: [svid(one), { ...two.jwk, use: 'x509-svid' }] }))
  const domain = {
    issuer: 'spiffe://example.org',
    profile: 'spiffe',
    types: ['', 'jwt', 'jose'],
    claims: { tenant: undefined, agent: 'sub', user: 'sub' },
  } as const
  const spoken = claims({ sub: 'spiffe://example.org/agent', iss: undefined as never, client_id: undefined })
  const token = await sign(one, spoken, { typ: 'JWT' })
  expect(await ask(token, 'acme', domain)).toMatchObject(good)
  expect(await ask(await sign(two, spoken, { typ: 'JWT' }), 'acme', domain)).toMatchObject(unknownKey)
  answer = (response) => response.end('{"keys":[]}')
  now += 11 * MINUTE
  await ask(token, 'acme', domain)
  await expect.poll(() => ask(token, 'acme', domain)).toMatchObject(unknownKey)
})

const SPIFFE = {
  issuer: 'spiffe://example.org',
  profile: 'spiffe',
  types: ['', 'jwt', 'jose'],
  claims: { tenant: undefined, agent: 'sub', user: 'sub' },
} as const

/** A JWT-SVID that `key` has signed. */
function svidBy(key: SigningKey): Promise<string> {
  const spoken = claims({ sub: 'spiffe://example.org/agent', iss: undefined as never, client_id: undefined })
  return sign(key, spoken, { typ: 'JWT' })
}

/** Publishes a SPIFFE bundle with the key of `key`. */
function publishBundle(key: SigningKey, facts: object = {}) {
  const keySet = { keys: [{ ...key.jwk, use: 'jwt-svid' }], ...facts }
  answer = (response) => response.end(JSON.stringify(keySet))
}

test.each<[string, object, object, boolean]>([
  ['a higher sequence', { spiffe_sequence: 7 }, { spiffe_sequence: 8 }, true],
  ['the same sequence', { spiffe_sequence: 7 }, { spiffe_sequence: 7 }, true],
  ['a sequence where there was none', {}, { spiffe_sequence: 1 }, true],
  ['a lower sequence', { spiffe_sequence: 7 }, { spiffe_sequence: 6 }, false],
  ['no sequence where there was one', { spiffe_sequence: 7 }, {}, false],
  ['a sequence that is no number', { spiffe_sequence: 7 }, { spiffe_sequence: '8' }, false],
])('a SPIFFE bundle with %s takes the place of the one before: %s', async (_what, before, after, isTaken) => {
  publishBundle(one, before)
  expect(await ask(await svidBy(one), 'acme', SPIFFE)).toMatchObject(good)
  publishBundle(two, after)
  now += 11 * MINUTE
  const outcome = await ask(await svidBy(two), 'acme', SPIFFE)
  expect(outcome).toMatchObject(isTaken ? good : unknownKey)
  // What was refused revokes nothing either.
  expect(await ask(await svidBy(one), 'acme', SPIFFE)).toMatchObject(isTaken ? unknownKey : good)
  expect(faults.some((fault) => fault.includes('the sequence of the bundle fell from 7'))).toBe(!isTaken)
})

test('the sequence of an issuer that is no trust domain says nothing', async () => {
  answer = (response) => response.end(JSON.stringify({ keys: [one.jwk], spiffe_sequence: 7 }))
  expect(await ask(await sign(one))).toMatchObject(good)
  answer = (response) => response.end(JSON.stringify({ keys: [two.jwk], spiffe_sequence: 6 }))
  now += 11 * MINUTE
  expect(await ask(await sign(two))).toMatchObject(good)
})

test.each<[unknown, number, number]>([
  [60, 59, 60],
  [1, 29, 30],
  [0, 29, 30],
  [86_400, 299, 300],
  [undefined, 299, 300],
  ['60', 299, 300],
])(
  'a SPIFFE bundle with the refresh hint %s is kept for %i seconds, and fetched again after %i',
  async (hint, kept, due) => {
    publishBundle(one, hint === undefined ? {} : { spiffe_refresh_hint: hint })
    const trusted = issuer([], { ...SPIFFE, keys: { kind: 'remote', url }, privateNetwork: true })
    await keys.load('acme' as TenantId, trusted)
    expect(hits).toBe(1)
    now += kept * 1000
    await keys.load('acme' as TenantId, trusted)
    expect(hits).toBe(1)
    now += (due - kept) * 1000
    await keys.load('acme' as TenantId, trusted)
    await expect.poll(() => hits, { timeout: 10_000 }).toBe(2)
  },
)

test.each<[string, (at: string) => object, boolean]>([
  ['names this issuer', (at) => ({ issuer: ISSUER, jwks_uri: at }), true],
  ['names another', (at) => ({ issuer: 'https://evil.example', jwks_uri: at }), false],
  ['spells it with a slash', (at) => ({ issuer: `${ISSUER}/`, jwks_uri: at }), false],
  ['has no keys', () => ({ issuer: ISSUER }), false],
  ['leads elsewhere', () => ({ issuer: ISSUER, jwks_uri: 'http://idp.example/jwks' }), false],
])('discovered metadata that %s is believed: %s', async (_, metadata, expected) => {
  answer = (response, path) =>
    response.end(JSON.stringify(path === '/jwks' ? { keys: [one.jwk] } : metadata(url)))
  const discovered = { kind: 'remote', url: url.replace('/jwks', '/metadata'), discovered: true } as const
  const outcome = await ask(await sign(one), 'acme', { keys: discovered })
  expect(outcome).toMatchObject(expected ? good : unavailable)
})

test('an issuer whose configuration changed verifies anew', async () => {
  const token = await sign(one)
  const asked = (more: object) => verify(request(bearer(token)), gateway(), tenantWith([issuer([one], more)]))
  expect(await asked({})).toMatchObject(good)
  expect(await asked({ audience: ['https://other.example'] })).toMatchObject({
    ok: false,
    failure: { code: 'token.audience' },
  })
  expect(await asked({})).toMatchObject(good)
  const removed = await verify(request(bearer(token)), gateway(), tenantWith([]))
  expect(removed).toMatchObject({ ok: false, failure: { code: 'token.issuer_unknown' } })
})

test('a cached token still expires', async () => {
  const tenant = tenantWith([issuer([one])])
  const token = await sign(one)
  const at = (seconds: number) =>
    verify(
      request({ ...bearer(token), now: ((1_800_000_000 + seconds) * 1000) as EpochMilliseconds }),
      gateway(),
      tenant,
    )
  expect(await at(0)).toMatchObject(good)
  expect(await at(629)).toMatchObject(good)
  expect(await at(630)).toMatchObject({
    ok: false,
    failure: { code: 'token.expired', message: 'the token has expired' },
  })
  expect(await at(-91)).toMatchObject({ ok: false, failure: { code: 'token.not_yet_valid' } })
})

test('key sets that should never have been published are refused as a whole', async () => {
  const secret = await exportJWK(await generateSecret('HS256', { extractable: true }))
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  const leaked = { ...(await exportJWK(privateKey)), kid: 'leaked' }
  const weak = await crypto.subtle.generateKey(
    {
      name: 'RSASSA-PKCS1-v1_5',
      modulusLength: 1024,
      publicExponent: new Uint8Array([1, 0, 1]),
      hash: 'SHA-256',
    },
    true,
    ['sign', 'verify'],
  )
  const short = { ...(await crypto.subtle.exportKey('jwk', weak.publicKey)), kid: 'weak' }
  const refused = (key: object) => parseKeySet({ keys: [one.jwk, key] })
  expect(refused(secret)).toEqual({ ok: false, failure: 'keys[1]: a symmetric key can not verify tokens' })
  expect(refused(leaked)).toEqual({ ok: false, failure: 'keys[1]: the key has private members' })
  expect(refused(short)).toEqual({ ok: false, failure: 'keys[1]: the RSA key has fewer than 2048 bits' })
  expect(refused({ ...short, e: 'AQ' })).toEqual({
    ok: false,
    failure: 'keys[1]: the RSA exponent is not 65537',
  })
  expect(refused({ ...two.jwk, kid: 'one' })).toEqual({
    ok: false,
    failure: 'keys[1]: the `kid` occurs twice',
  })
  expect(parseKeySet({ keys: [{ ...one.jwk, use: 'enc' }] })).toEqual({
    ok: false,
    failure: 'no usable signature key',
  })
  expect(parseKeySet({ keys: [{ ...one.jwk, crv: 'P-384' }] })).toEqual({
    ok: false,
    failure: 'no usable signature key',
  })
  expect(parseKeySet({ keys: [one.jwk, { kty: 'AKP', kid: 'pq' }] })).toMatchObject({
    ok: true,
    value: { size: 1 },
  })
})
