import { beforeAll, describe, expect, test } from 'vitest'
import { createFetchJwks } from '#identity/jwks-fetch.ts'
import { createKeySets } from '#identity/key-sets.ts'
import { PROFILES } from '#identity/profiles.ts'
import { createVerify } from '#identity/verify.ts'
import { systemClock } from '#lib/clock.ts'
import type { Issuer, IssuerProfile } from '#model/issuer.ts'
import type { JsonObject } from '#model/value.ts'
import {
  bearer,
  claims,
  gateway,
  issuer,
  makeKey,
  request,
  type SigningKey,
  sign,
  tenantWith,
} from '../support/tokens.ts'

let key: SigningKey
beforeAll(async () => {
  key = await makeKey('ES256', 'k1')
})

const verify = createVerify({
  keys: createKeySets({ fetch: createFetchJwks(), clock: systemClock, onFault: () => undefined }),
})

async function codeOf(header: object, payload: object, more: Partial<Issuer> = {}): Promise<string> {
  const token = await sign(key, claims({ ...payload }), header)
  const found = await verify(request(bearer(token)), gateway(), tenantWith([issuer([key], more)]))
  return found.ok ? 'allowed' : found.failure.code
}

/** Kinds of signed tokens that are no access tokens (RFC 8725 section 3.12), with what each has beside its type. */
const KINDS: Readonly<Record<string, JsonObject>> = {
  'logout+jwt': { events: {} },
  'secevent+jwt': { events: {} },
  'token-introspection+jwt': { token_introspection: {} },
  'statuslist+jwt': { status_list: {} },
  'dpop+jwt': { htm: 'POST', htu: 'https://api.example.com' },
  'wit+jwt': { cnf: { jwk: {} } },
  'wpt+jwt': { wth: 'x' },
  'txntoken+jwt': { txn: 't', req_wl: 'w' },
  'oauth-id-jag+jwt': {},
  'actor-proof+jwt': { target: { aud: 'x' } },
  'actor-receipt+jwt': { prh: 'x' },
  'aa-agent+jwt': {},
  'aa-auth+jwt': {},
}

const ORDINARY = (Object.keys(PROFILES) as IssuerProfile[]).filter((profile) => profile !== 'spiffe')

describe.each(Object.entries(KINDS))('%s is no access token', (typ, payload) => {
  test.each(ORDINARY)('of an issuer of profile %s', async (profile) => {
    const { types } = PROFILES[profile]
    expect(await codeOf({ typ }, payload, { profile, types })).toBe('token.type')
  })

  test('even where the issuer file lists its type', async () => {
    expect(await codeOf({ typ }, {}, { types: [typ] })).toBe('token.type')
    expect(await codeOf({ typ: `application/${typ}`.toUpperCase() }, {}, { types: [typ] })).toBe('token.type')
  })
})

test('a type of its own that an issuer file lists is that of its access tokens', async () => {
  expect(await codeOf({ typ: 'acme+jwt' }, {}, { types: ['acme+jwt'] })).toBe('allowed')
})

test.each([
  ['nonce', 'n'],
  ['at_hash', 'h'],
  ['c_hash', 'h'],
  ['s_hash', 'h'],
  ['events', {}],
  ['txn', 't'],
  ['token_introspection', {}],
])('a token with `%s` is another kind of token, whatever its type says', async (name, value) => {
  expect(await codeOf({ typ: 'at+jwt' }, { [name]: value })).toBe('token.type')
  expect(await codeOf({ typ: 'JWT' }, { [name]: value }, { types: ['jwt'], profile: 'legacy' })).toBe(
    'token.type',
  )
})

test.each(['basic', 'digest', 'negotiate', 'gnap', 'hoba', 'mutual', 'vapid', 'privatetoken', 'signature'])(
  'a credential under the scheme %s is refused, never ignored',
  async (scheme) => {
    const credentials = [{ scheme, value: await sign(key, claims()) }]
    const found = await verify(request({ credentials }), gateway(), tenantWith([issuer([key])]))
    expect(found).toMatchObject({ ok: false, failure: { code: 'credentials.unsupported' } })
  },
)
