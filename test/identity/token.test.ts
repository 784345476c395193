import type { JWTPayload } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import { createFetchJwks } from '#identity/jwks-fetch.ts'
import { createKeySets } from '#identity/key-sets.ts'
import { createVerify } from '#identity/verify.ts'
import { systemClock } from '#lib/clock.ts'
import type { Issuer } from '#model/issuer.ts'
import { REASONS, type ReasonCode } from '#model/reasons.ts'
import {
  AUDIENCE,
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

let es: SigningKey
let rs: SigningKey
let ed: SigningKey
let foreign: SigningKey

beforeAll(async () => {
  ;[es, rs, ed, foreign] = await Promise.all([
    makeKey('ES256', 'es'),
    makeKey('RS256', 'rs'),
    makeKey('EdDSA', 'ed'),
    makeKey('ES256', 'foreign'),
  ])
})

const noNetwork = createKeySets({ fetch: createFetchJwks(), clock: systemClock, onFault: () => undefined })

function ask(token: string, more: Partial<Issuer> = {}) {
  const verify = createVerify({ keys: noNetwork })
  return verify(request(bearer(token)), gateway(), tenantWith([issuer([es, rs, ed], more)]))
}

async function expectStop(token: string, code: ReasonCode, more: Partial<Issuer> = {}, detail?: string) {
  const outcome = await ask(token, more)
  expect(outcome).toMatchObject({ ok: false, failure: { code, message: REASONS[code] } })
  if (detail !== undefined) expect(outcome).toMatchObject({ failure: { detail } })
}

function encode(value: unknown): string {
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  return Buffer.from(text).toString('base64url')
}

/** Signs exactly these bytes, which no JWT library would produce. */
async function signRaw(header: string, payload: string, key: SigningKey = es): Promise<string> {
  const input = `${encode(header)}.${encode(payload)}`
  const algorithm = { name: 'ECDSA', hash: 'SHA-256' }
  const signature = await crypto.subtle.sign(algorithm, key.privateKey, new TextEncoder().encode(input))
  return `${input}.${Buffer.from(signature).toString('base64url')}`
}

const HEADER = '{"alg":"ES256","kid":"es","typ":"at+jwt"}'

test.each(['ES256', 'RS256', 'EdDSA'])('a good %s token proves its parties', async (alg) => {
  const key = [es, rs, ed].find((each) => each.alg === alg)
  const outcome = await ask(await sign(key ?? es))
  expect(outcome).toEqual({
    ok: true,
    value: {
      tenant: 'acme',
      agent: { id: 'agent-1', provenance: 'verified', properties: {} },
      user: { id: 'alice', provenance: 'verified', properties: {} },
      subject: undefined,
      delegation: { source: 'token', chain: [{ issuer: ISSUER, id: 'agent-1' }] },
      token: {
        issuer: ISSUER,
        subject: 'alice',
        id: 'token-1',
        expiresAt: NOW_SECONDS + 600,
        issuedAt: NOW_SECONDS - 60,
        scopes: ['tools.call'],
        claims: claims(),
        keyId: key?.kid,
        fingerprint: expect.stringMatching(/^[A-Za-z0-9_-]{43}$/),
      },
    },
  })
})

test.each<[string, JWTPayload, ReasonCode, string?]>([
  ['without iss', { iss: undefined as never }, 'token.claim_missing', '`iss`'],
  ['with a numeric iss', { iss: 7 as never }, 'token.claim_invalid', '`iss`'],
  ['from another issuer', { iss: 'https://evil.example' }, 'token.issuer_unknown'],
  ['whose issuer differs by a slash', { iss: `${ISSUER}/` }, 'token.issuer_unknown'],
  ['whose issuer differs by case', { iss: ISSUER.toUpperCase() }, 'token.issuer_unknown'],
  ['without sub', { sub: undefined as never }, 'token.claim_missing', '`sub`'],
  ['with an empty sub', { sub: '' }, 'token.claim_invalid', '`sub`'],
  ['with a numeric sub', { sub: 1 as never }, 'token.claim_invalid', '`sub`'],
  ['without aud', { aud: undefined as never }, 'token.claim_missing', '`aud`'],
  ['with an empty aud', { aud: [] }, 'token.claim_invalid', '`aud`'],
  ['with a numeric aud', { aud: [1] as never }, 'token.claim_invalid', '`aud`'],
  ['for another audience', { aud: 'https://other.example' }, 'token.audience'],
  ['for us and somebody else', { aud: [AUDIENCE, 'https://other.example'] }, 'token.audience'],
  ['whose audience differs by case', { aud: AUDIENCE.toUpperCase() }, 'token.audience'],
  ['without exp', { exp: undefined as never }, 'token.claim_missing', '`exp`'],
  ['without iat', { iat: undefined as never }, 'token.claim_missing', '`iat`'],
  ['with exp as text', { exp: String(NOW_SECONDS + 60) as never }, 'token.claim_invalid', '`exp`'],
  ['with exp 1e308', { exp: 1e308 }, 'token.claim_invalid', '`exp`'],
  ['with exp in milliseconds', { exp: (NOW_SECONDS + 60) * 1000 }, 'token.claim_invalid', '`exp`'],
  ['with a negative iat', { iat: -1 }, 'token.claim_invalid', '`iat`'],
  ['with nbf null', { nbf: null as never }, 'token.claim_invalid', '`nbf`'],
  ['that expired at the tolerance', { iat: NOW_SECONDS - 90, exp: NOW_SECONDS - 30 }, 'token.expired'],
  ['issued an hour ahead', { iat: NOW_SECONDS + 3600, exp: NOW_SECONDS + 3700 }, 'token.not_yet_valid'],
  ['not valid before the tolerance', { nbf: NOW_SECONDS + 31 }, 'token.not_yet_valid'],
  ['that lives for 30 days', { exp: NOW_SECONDS + 30 * 86_400 }, 'token.lifetime'],
  ['with a numeric jti', { jti: 5 as never }, 'token.claim_invalid', '`jti`'],
  ['that is an ID token', { nonce: 'n' }, 'token.type', '`nonce` marks another kind of token'],
  ['that is a transaction token', { txn: 'n' }, 'token.type', '`txn` marks another kind of token'],
  ['that is a security event', { events: {} }, 'token.type', '`events` marks another kind of token'],
  [
    'bound to a key',
    { cnf: { jkt: 'x'.repeat(43) } },
    'credentials.unsupported',
    'the token is bound to a key',
  ],
])('a token %s denies', async (_, more, code, detail) => {
  await expectStop(await sign(es, claims(more)), code, {}, detail)
})

test.each<[string, JWTPayload]>([
  ['one second before the tolerance ends', { iat: NOW_SECONDS - 90, exp: NOW_SECONDS - 29 }],
  ['when issued within the tolerance ahead', { iat: NOW_SECONDS + 30 }],
  ['when its nbf is within the tolerance', { nbf: NOW_SECONDS + 30 }],
  ['when its only audience comes as an array', { aud: [AUDIENCE] }],
])('a token holds %s', async (_, more) => {
  expect(await ask(await sign(es, claims(more)))).toMatchObject({ ok: true })
})

test('two audiences hold only where both are ours and two are allowed', async () => {
  const token = await sign(es, claims({ aud: [AUDIENCE, 'https://two.example'] }))
  const audience = ['https://two.example', AUDIENCE]
  expect(await ask(token, { audience, audiencesMax: 2 })).toMatchObject({ ok: true })
  await expectStop(token, 'token.audience', { audience })
  await expectStop(token, 'token.audience', { audiencesMax: 2 })
})

test.each<[string, object, ReasonCode]>([
  ['typ JWT', { typ: 'JWT' }, 'token.type'],
  ['no typ', { typ: undefined }, 'token.type'],
  ['typ of an ID-JAG', { typ: 'oauth-id-jag+jwt' }, 'token.type'],
  ['an unknown kid', { kid: 'nobody' }, 'token.key_unknown'],
  ['no kid although the issuer has several keys', { kid: undefined }, 'token.key_unknown'],
  ['the kid of a key for another algorithm', { kid: 'rs' }, 'token.key_unknown'],
  ['a path as kid', { kid: '../../../dev/null' }, 'token.key_unknown'],
  ['an SQL fragment as kid', { kid: "x' OR '1'='1" }, 'token.key_unknown'],
  ['a control character in kid', { kid: 'es\u0000' }, 'token.malformed'],
  ['an empty kid', { kid: '' }, 'token.malformed'],
  ['a kid of 257 characters', { kid: 'k'.repeat(257) }, 'token.malformed'],
  ['an embedded key', { jwk: { kty: 'EC' } }, 'token.malformed'],
  ['a key URL', { jku: 'https://evil.example/keys' }, 'token.malformed'],
  ['a certificate URL', { x5u: 'https://evil.example/cert' }, 'token.malformed'],
  ['a certificate chain', { x5c: ['MIIB'] }, 'token.malformed'],
])('a header with %s denies', async (_, header, code) => {
  await expectStop(await sign(es, claims(), header), code)
})

test.each(['at+jwt', 'AT+JWT', 'application/at+jwt'])('the type `%s` is an access token', async (typ) => {
  expect(await ask(await sign(es, claims(), { typ }))).toMatchObject({ ok: true })
})

test('a token without kid holds when the issuer has one key', async () => {
  const verify = createVerify({ keys: noNetwork })
  const token = await sign(es, claims(), { kid: undefined })
  const outcome = await verify(request(bearer(token)), gateway(), tenantWith([issuer([es])]))
  expect(outcome).toMatchObject({ ok: true })
})

test('a token signed with somebody else’s key under our kid denies', async () => {
  await expectStop(await sign({ ...foreign, kid: 'es' }), 'token.signature')
})

test('an algorithm that the issuer does not list denies', async () => {
  await expectStop(await sign(rs), 'token.algorithm', { algorithms: ['ES256'] })
})

test('alg none denies, however it is written', async () => {
  for (const alg of ['none', 'None', 'NONE', 'nOnE'])
    await expectStop(`${encode({ alg, typ: 'at+jwt' })}.${encode(claims())}.AA`, 'token.algorithm')
  await expectStop(`${encode({ alg: 'none', typ: 'at+jwt' })}.${encode(claims())}.`, 'token.malformed')
})

test('a MAC keyed with the public key denies', async () => {
  const input = `${encode({ alg: 'HS256', kid: 'rs', typ: 'at+jwt' })}.${encode(claims())}`
  const secret = new TextEncoder().encode(JSON.stringify(rs.jwk))
  const key = await crypto.subtle.importKey('raw', secret, { name: 'HMAC', hash: 'SHA-256' }, false, ['sign'])
  const mac = await crypto.subtle.sign('HMAC', key, new TextEncoder().encode(input))
  await expectStop(`${input}.${Buffer.from(mac).toString('base64url')}`, 'token.algorithm')
})

test.each<[string, string, string]>([
  ['a duplicate claim', HEADER, `{"iss":"${ISSUER}","sub":"alice","sub":"mallory"}`],
  ['a duplicate claim in disguise', HEADER, `{"iss":"${ISSUER}","sub":"alice","\\u0073ub":"mallory"}`],
  ['a nested duplicate', HEADER, `{"iss":"${ISSUER}","act":{"sub":"a","sub":"b"}}`],
  ['a duplicate alg', '{"alg":"none","alg":"ES256","kid":"es","typ":"at+jwt"}', JSON.stringify(claims())],
  ['__proto__', HEADER, `{"iss":"${ISSUER}","__proto__":{"admin":true}}`],
  ['a critical extension', '{"alg":"ES256","crit":["b64"],"b64":false}', JSON.stringify(claims())],
  ['an array as payload', HEADER, '[]'],
  ['null as payload', HEADER, 'null'],
  ['text as payload', HEADER, 'hello'],
  ['too deep a payload', HEADER, `{"iss":"${ISSUER}","a":${'['.repeat(20)}${']'.repeat(20)}}`],
  ['a numeric alg', '{"alg":1}', JSON.stringify(claims())],
  ['a byte order mark', HEADER, `\uFEFF${JSON.stringify(claims())}`],
])('a signed token with %s denies', async (_, header, payload) => {
  await expectStop(await signRaw(header, payload), 'token.malformed')
})

test('a token has one spelling only', async () => {
  const token = await sign(es)
  const last = token.at(-1) ?? ''
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
  const flipped = token.slice(0, -1) + (alphabet[alphabet.indexOf(last) ^ 1] ?? '')
  const variants = [`${token}==`, `${token} `, ` ${token}`, `${token}\n`, flipped, `${token}.`, `.${token}`]
  for (const variant of [...variants, token.replaceAll('.', '..'), '', 'x', 'a.b', 'a.b.c.d', 'é.é.é'])
    await expectStop(variant, 'token.malformed')
})

test('a token of more than 16,384 characters denies before it is decoded', async () => {
  await expectStop(await sign(es, claims({ padding: 'x'.repeat(13_000) })), 'token.malformed')
})

test('invalid UTF-8 in the payload denies', async () => {
  const payload = Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d]).toString('base64url')
  await expectStop(`${encode(HEADER)}.${payload}.AAAA`, 'token.malformed')
})

test('a denial never holds the token', async () => {
  const token = await sign(foreign)
  expect(JSON.stringify(await ask(token))).not.toContain(token.slice(0, 30))
})
