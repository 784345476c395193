import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { createIntrospect } from '#identity/introspect.ts'
import { parseIssuer } from '#identity/issuer.ts'
import { createFetchJwks } from '#identity/jwks-fetch.ts'
import { createKeySets, type KeySets } from '#identity/key-sets.ts'
import { sendOutbound } from '#identity/outbound.ts'
import { createVerify, type Verify } from '#identity/verify.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { Issuer } from '#model/issuer.ts'
import {
  type AuthorizationServer,
  RESOURCE,
  startAuthorizationServer,
} from '../support/authorization-server.ts'
import { bearer, gateway, request, tenantWith } from '../support/tokens.ts'

let as: AuthorizationServer
let later = 0
let faults: string[] = []
let keys: KeySets
let verify: Verify
const clock = () => (Date.now() + later) as EpochMilliseconds

beforeAll(async () => {
  as = await startAuthorizationServer()
})
afterAll(() => as.close())

beforeEach(() => {
  later = 0
  faults = []
  const onFault = (_: string, cause: string) => faults.push(cause)
  keys = createKeySets({ fetch: createFetchJwks(), clock, onFault })
  const openSecret = (_: unknown, issuer: Issuer) => issuer.introspection?.secret
  verify = createVerify({
    keys,
    introspect: createIntrospect({ send: sendOutbound, openSecret, keys, onFault }),
  })
})
afterEach(() => {
  as.break(undefined)
  keys.close()
})

function registered(introspection: object = {}, more: object = {}): Issuer {
  const parsed = parseIssuer({
    issuer: as.issuer,
    audience: RESOURCE,
    discovery: true,
    private_network: true,
    introspection: {
      url: `${as.issuer}/token/introspection`,
      client_id: 'resource',
      secret: as.resourceKey,
      signed: true,
      ...introspection,
    },
    ...more,
  })
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.failure))
  return parsed.value
}

function ask(token: string, issuer = registered()) {
  return verify(request({ ...bearer(token), now: clock() }), gateway(), tenantWith([issuer]))
}

const GOOD = {
  ok: true,
  value: {
    agent: { id: 'agent-1', provenance: 'verified' },
    user: undefined,
    token: { scopes: ['tools.call'], id: expect.any(String) },
  },
}
const stopped = (code: string) => ({ ok: false, failure: { code } })

test.each(['jwt', 'opaque'] as const)('a %s token of a real server proves its agent', async (format) => {
  expect(await ask(await as.token(format))).toMatchObject(GOOD)
})

test('keys are rotated while requests run, and no good token is denied', async () => {
  const before = await as.token('jwt')
  expect(await ask(before)).toMatchObject(GOOD)
  await as.rotate()
  later = 31_000
  const fresh = await Promise.all(Array.from({ length: 10 }, () => as.token('jwt')))
  const outcomes = await Promise.all([...fresh, before, before].map((token) => ask(token)))
  expect(outcomes.map(({ ok }) => ok)).toEqual(outcomes.map(() => true))
})

test('an opaque token is asked about once within its cache time, and again after it', async () => {
  const token = await as.token('opaque')
  const before = as.introspections
  await Promise.all([ask(token), ask(token), ask(token)])
  later = 29_000
  expect(await ask(token)).toMatchObject(GOOD)
  expect(as.introspections - before).toBe(1)
  later = 31_000
  expect(await ask(token)).toMatchObject(GOOD)
  expect(as.introspections - before).toBe(2)
})

test('a token that was revoked at the server denies when the cache time is over; with none, at once', async () => {
  const token = await as.token('opaque')
  const uncached = registered({ cache_seconds_max: 0 })
  expect(await ask(token)).toMatchObject(GOOD)
  expect(await ask(token, uncached)).toMatchObject(GOOD)
  await as.revoke(token)
  expect(await ask(token, uncached)).toMatchObject(stopped('token.inactive'))
  later = 31_000
  expect(await ask(token)).toMatchObject(stopped('token.inactive'))
})

test('an unknown token is remembered as inactive for 5 seconds', async () => {
  const before = as.introspections
  for (let i = 0; i < 3; i++) expect(await ask('u'.repeat(43))).toMatchObject(stopped('token.inactive'))
  expect(as.introspections - before).toBe(1)
  later = 5_001
  await ask('u'.repeat(43))
  expect(as.introspections - before).toBe(2)
})

test('an opaque token is held to the same rules as others', async () => {
  const token = await as.token('opaque')
  for (const [more, code] of [
    [{ audience: 'https://other.example' }, 'token.audience'],
    [{ lifetime_seconds_max: 60 }, 'token.lifetime'],
    [{ required_claims: { tid: 'string' } }, 'token.claim_missing'],
  ] as const)
    expect(await ask(token, registered({}, more))).toMatchObject(stopped(code))
  const narrow = gateway({ settings: { audience: ['https://other.example'] } })
  const asked = request({ ...bearer(token), now: clock() })
  expect(await verify(asked, narrow, tenantWith([registered()]))).toMatchObject(stopped('token.audience'))
})

test('what looks like a JWT is never sent to the server', async () => {
  const token = await as.token('jwt')
  const before = as.introspections
  for (const odd of [`${token}==`, ` ${token}`, token.slice(0, -1), `eyJ${'x'.repeat(40)}`, 'a.b.c'])
    expect((await ask(odd)).ok).toBe(false)
  expect(as.introspections).toBe(before)
})

test.each<[string, number, string, string]>([
  ['is down', 503, 'application/json', '{}'],
  ['redirects', 302, 'application/json', '{}'],
  ['answers unsigned', 200, 'application/json', '{"active":true}'],
  ['answers HTML', 200, 'text/html', '<html>'],
  ['signs nothing', 200, 'application/token-introspection+jwt', 'eyJhbGciOiJub25lIn0.e30.AA'],
])('when the server %s, the answer is to come back later', async (_, status, type, body) => {
  const token = await as.token('opaque')
  as.break((response) => response.writeHead(status, { 'content-type': type }).end(body))
  expect(await ask(token)).toMatchObject({
    ok: false,
    failure: { code: 'token.introspection_unavailable', retryAfterSeconds: 1 },
  })
  expect(faults.join()).not.toContain(token)
})

test('a server that fails three times is left alone for a while', async () => {
  const token = await as.token('opaque')
  as.break((response) => response.writeHead(500).end())
  const before = as.introspections
  for (let i = 0; i < 10; i++) expect((await ask(token)).ok).toBe(false)
  expect(as.introspections - before).toBe(3)
  as.break(undefined)
  later = 5_001
  expect(await ask(token)).toMatchObject(GOOD)
})

test.each<[string, Buffer]>([
  ['is too long', Buffer.from(JSON.stringify({ active: true, groups: 'g'.repeat(70_000) }))],
  ['is no text', Buffer.from([0xff, 0xfe])],
])('an answer about one token that %s leaves the others their answers', async (_, body) => {
  const [mine, other] = [await as.token('opaque'), await as.token('opaque')]
  as.break((response) => response.writeHead(200, { 'content-type': 'application/json' }).end(body))
  for (let i = 0; i < 5; i++)
    expect(await ask(mine)).toMatchObject({ failure: { code: 'token.introspection_unavailable' } })
  as.break(undefined)
  expect(await ask(other)).toMatchObject(GOOD)
})

test.each<[string, object, string]>([
  ['active as text', { active: 'true' }, 'token.inactive'],
  ['active as a number', { active: 1 }, 'token.inactive'],
  ['nothing', {}, 'token.inactive'],
  ['another issuer', { active: true, iss: 'https://evil.example' }, 'token.issuer_unknown'],
  ['a refresh token', { active: true, token_type: 'refresh_token' }, 'token.type'],
  ['half a chain', { active: true, chain_complete: false }, 'token.claim_invalid'],
  ['no audience', { active: true, sub: 'a', client_id: 'a', jti: 'j' }, 'token.claim_missing'],
])('an unsigned answer with %s denies', async (_, answer, code) => {
  as.break((response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  })
  expect(await ask('o'.repeat(43), registered({ signed: false }))).toMatchObject(stopped(code))
})

test('a token is shown to no server where two could be meant', async () => {
  const second = { ...registered(), issuer: 'https://second.example' }
  const asked = request({ ...bearer('o'.repeat(43)), now: clock() })
  const before = as.introspections
  const outcome = await verify(asked, gateway(), tenantWith([registered(), second]))
  expect(outcome).toMatchObject(stopped('token.issuer_unknown'))
  expect(as.introspections).toBe(before)
})
