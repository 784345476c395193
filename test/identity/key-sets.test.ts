import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, generateSecret } from 'jose'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createFetchJwks } from '#identity/jwks-fetch.ts'
import { parseKeySet } from '#identity/key-set.ts'
import { createKeySets, type KeySets } from '#identity/key-sets.ts'
import { createVerify, type Verify } from '#identity/verify.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import {
  bearer,
  gateway,
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
let answer: (response: ServerResponse) => void
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
  server = createServer((_, response) => {
    hits += 1
    answer(response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`
  keys = createKeySets({
    fetch: createFetchJwks(true),
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

function ask(token: string, id = 'acme') {
  const tenant = tenantWith([issuer([], { keys: { kind: 'remote', url } })], { id: id as TenantId })
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
  ['a redirect', (response) => response.writeHead(302, { location: url }).end(), /fetch failed/],
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

test('plain http is refused unless loopback is allowed, and never for other hosts', async () => {
  publish(one)
  const signal = new AbortController().signal
  await expect(createFetchJwks()(url, signal)).rejects.toThrow('the JWKS URL is not https')
  await expect(createFetchJwks(true)('http://idp.example/jwks', signal)).rejects.toThrow(
    'the JWKS URL is not https',
  )
  await expect(createFetchJwks(true)('file:///etc/passwd', signal)).rejects.toThrow(
    'the JWKS URL is not https',
  )
  expect(hits).toBe(0)
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
