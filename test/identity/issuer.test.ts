import { beforeAll, expect, test } from 'vitest'
import { parseIssuer } from '#identity/issuer.ts'
import { makeKey, type SigningKey } from '../support/tokens.ts'

let key: SigningKey
beforeAll(async () => {
  key = await makeKey('ES256', 'k')
})

const good = {
  issuer: 'https://idp.example',
  audience: 'https://tools.example',
  jwks_uri: 'https://idp.example/jwks',
}

test('an issuer file with the least it needs gets safe defaults', () => {
  expect(parseIssuer(good)).toEqual({
    ok: true,
    value: {
      issuer: 'https://idp.example',
      audience: ['https://tools.example'],
      algorithms: ['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519'],
      types: ['at+jwt'],
      required: { client_id: 'string', jti: 'string' },
      keys: { kind: 'remote', url: 'https://idp.example/jwks' },
      claims: { tenant: undefined, agent: undefined, user: 'sub' },
      clockToleranceSeconds: 30,
      lifetimeSecondsMax: 3_600,
    },
  })
})

test('an issuer file with everything is read as it stands', () => {
  const parsed = parseIssuer({
    issuer: 'i',
    audience: ['a', 'b'],
    algorithms: ['ES256'],
    types: ['application/AT+JWT', 'JWT'],
    required_claims: { email: 'string' },
    jwks: { keys: [key.jwk] },
    claims: { tenant: 'tid', agent: 'bot.id', user: 'email' },
    clock_tolerance_seconds: 0,
    lifetime_seconds_max: 86_400,
  })
  expect(parsed).toEqual({
    ok: true,
    value: {
      issuer: 'i',
      audience: ['a', 'b'],
      algorithms: ['ES256'],
      types: ['at+jwt', 'jwt'],
      required: { email: 'string' },
      keys: { kind: 'static', keys: [key.jwk] },
      claims: { tenant: 'tid', agent: 'bot.id', user: 'email' },
      clockToleranceSeconds: 0,
      lifetimeSecondsMax: 86_400,
    },
  })
})

test.each<[string, object, string, RegExp]>([
  ['no issuer', { issuer: undefined }, 'issuer', /is required/],
  ['no audience', { audience: undefined }, 'audience', /is required/],
  ['an empty audience', { audience: [] }, 'audience', /must not be empty/],
  ['an empty name as audience', { audience: [''] }, 'audience[0]', /must be a string/],
  ['the algorithm none', { algorithms: ['none'] }, 'algorithms', /can not be accepted: `none`/],
  ['an HMAC algorithm', { algorithms: ['ES256', 'HS256'] }, 'algorithms', /can not be accepted: `HS256`/],
  ['no algorithm', { algorithms: [] }, 'algorithms', /must not be empty/],
  ['an unknown field', { audiance: 'x' }, 'audiance', /unknown field; did you mean `audience`\?/],
  ['an unknown claim', { claims: { role: 'x' } }, 'claims.role', /unknown field/],
  ['claims that are text', { claims: 'sub' }, 'claims', /must be an object/],
  ['neither keys nor URL', { jwks_uri: undefined }, 'jwks', /give either/],
  ['both keys and URL', { jwks: { keys: [] } }, 'jwks', /give either/],
  ['keys that are empty', { jwks_uri: undefined, jwks: { keys: [] } }, 'jwks', /no usable/],
  [
    'a symmetric key',
    { jwks_uri: undefined, jwks: { keys: [{ kty: 'oct', k: 'AA' }] } },
    'jwks',
    /symmetric/,
  ],
  ['a URL without TLS', { jwks_uri: 'http://idp.example/jwks' }, 'jwks_uri', /must be an https URL/],
  ['a file URL', { jwks_uri: 'file:///etc/passwd' }, 'jwks_uri', /must be an https URL/],
  ['a URL with a password', { jwks_uri: 'https://u:p@idp.example' }, 'jwks_uri', /credentials/],
  ['no URL at all', { jwks_uri: 'jwks' }, 'jwks_uri', /must be a URL/],
  ['a tolerance of an hour', { clock_tolerance_seconds: 3_600 }, 'clock_tolerance_seconds', /from 0 to 300/],
  ['a lifetime of a month', { lifetime_seconds_max: 2_592_000 }, 'lifetime_seconds_max', /from 1 to 86400/],
  ['a lifetime as text', { lifetime_seconds_max: '60' }, 'lifetime_seconds_max', /whole number/],
])('an issuer file with %s is refused', (_, more, path, message) => {
  const parsed = parseIssuer({ ...good, ...more })
  expect(parsed).toMatchObject({ ok: false, failure: [{ path, message: expect.stringMatching(message) }] })
})

test('every problem is reported at once', () => {
  const parsed = parseIssuer({ algorithms: ['none'], extra: 1 })
  expect(parsed.ok ? [] : parsed.failure.map((problem) => problem.path)).toEqual([
    'extra',
    'issuer',
    'audience',
    'algorithms',
    'jwks',
  ])
  for (const odd of [null, [], 'x', 1, undefined])
    expect(parseIssuer(odd)).toEqual({ ok: false, failure: [{ path: '', message: 'must be a JSON object' }] })
})

const exchange = { url: 'https://idp.example/token', client_id: 'warder', secret: 'hunter2-hunter2' }

test('a token exchange is read with safe defaults', () => {
  const parsed = parseIssuer({ ...good, token_exchange: exchange })
  expect(parsed).toMatchObject({
    ok: true,
    value: {
      tokenExchange: {
        url: 'https://idp.example/token',
        clientId: 'warder',
        authentication: 'private_key_jwt',
        secret: 'hunter2-hunter2',
        actorToken: false,
      },
    },
  })
})

test.each<[string, unknown, string, RegExp]>([
  ['that is a URL', 'https://idp.example/token', '', /must be an object/],
  ['without TLS', { ...exchange, url: 'http://idp.example/token' }, '.url', /must be an https URL/],
  ['without a client', { ...exchange, client_id: undefined }, '.client_id', /is required/],
  ['without a secret', { ...exchange, secret: undefined }, '.secret', /is required/],
  ['with another way in', { ...exchange, authentication: 'none' }, '.authentication', /must be one of/],
  ['with a word for its flag', { ...exchange, actor_token: 'yes' }, '.actor_token', /true or false/],
  [
    'that revokes in the clear',
    { ...exchange, revocation_url: 'http://idp.example/revoke' },
    '.revocation_url',
    /must be an https URL/,
  ],
  [
    'with an unknown field',
    { ...exchange, revocation_uri: 'https://idp.example/revoke' },
    '.revocation_uri',
    /did you mean `revocation_url`\?/,
  ],
])('a token exchange %s is refused, and its secret is not repeated', (_, odd, path, message) => {
  const parsed = parseIssuer({ ...good, token_exchange: odd })
  expect(parsed).toMatchObject({
    ok: false,
    failure: [{ path: `token_exchange${path}`, message: expect.stringMatching(message) }],
  })
  expect(JSON.stringify(parsed)).not.toContain('hunter2')
})

test('an issuer that makes no access tokens exchanges none', () => {
  const file = { ...good, profile: 'txn-token', token_exchange: exchange }
  expect(parseIssuer(file)).toMatchObject({ ok: false, failure: [{ path: 'token_exchange' }] })
})
