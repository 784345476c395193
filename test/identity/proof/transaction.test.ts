import { createHash, randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import { parseIssuer } from '#identity/issuer.ts'
import type { Issuer } from '#model/issuer.ts'
import type { AuthorizationRequest, Proofs } from '#model/request.ts'
import {
  CALL,
  gatewayWith,
  HTU,
  type ProofKey,
  proofKey,
  proofsWith,
  verifier,
} from '../../support/proofs.ts'
import {
  claims,
  issuer,
  makeKey,
  NOW_SECONDS,
  named,
  request,
  type SigningKey,
  sign,
  tenantWith,
} from '../../support/tokens.ts'

const TTS = 'https://tts.example'
const DOMAIN = 'trust.acme.example'
const SPIFFE = 'spiffe://acme.example'

let access: SigningKey
let service: SigningKey
let workload: ProofKey
let domainKey: SigningKey
let issuers: readonly Issuer[]
beforeAll(async () => {
  access = await makeKey('ES256', 'k1')
  service = await makeKey('ES256', 't1')
  domainKey = await makeKey('ES256', 'd1')
  workload = await proofKey()
  issuers = [issuer([access]), tts(service)]
})

function tts(key: SigningKey, more: Partial<Issuer> = {}): Issuer {
  return issuer([key], {
    issuer: TTS,
    audience: [DOMAIN],
    profile: 'txn-token',
    types: ['txntoken+jwt'],
    lifetimeSecondsMax: 300,
    ...more,
  })
}

async function txnToken(payload: object = {}, header: object = {}, key = service): Promise<string> {
  const all = {
    aud: DOMAIN,
    iat: NOW_SECONDS - 10,
    exp: NOW_SECONDS + 60,
    txn: 'txn-1',
    sub: 'somebody',
    scope: 'trade',
    req_wl: 'apigw.acme.example',
    tctx: { tool: 'crm/read', ticket: 'secret-7' },
    ...payload,
  }
  return await new SignJWT(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)))
    .setProtectedHeader({ alg: 'ES256', typ: 'txntoken+jwt', kid: 't1', ...header })
    .sign(key.privateKey)
}

async function ask(
  texts: readonly string[],
  {
    among = issuers,
    proofs = {},
    ...more
  }: Partial<Omit<AuthorizationRequest, 'proofs'>> & {
    readonly among?: readonly Issuer[]
    readonly proofs?: Partial<Proofs>
  } = {},
) {
  const credentials = [{ scheme: 'bearer', value: await sign(access, claims()) }]
  const asked = request({
    dialect: 'envoy-http',
    route: CALL,
    credentials,
    proofs: proofsWith({ transactionToken: texts, ...proofs }),
    ...more,
  })
  return await verifier()(asked, gatewayWith(), tenantWith(among))
}

const denied = (code: string) => ({ ok: false, failure: { code } })

test('a transaction token is context: the parties stay those of the access token', async () => {
  expect(await ask([await txnToken()])).toMatchObject({
    ok: true,
    value: {
      agent: { id: 'agent-1' },
      user: { id: 'alice' },
      transaction: { id: 'txn-1', issuer: TTS, context: { tool: 'crm/read' } },
    },
  })
})

test('a transaction token alone proves nobody', async () => {
  expect(await ask([await txnToken()], { credentials: [] })).toMatchObject(denied('credentials.missing'))
})

test('a transaction token is no access token, whatever it leaves out', async () => {
  const among = [tts(service)]
  for (const txn of ['txn-1', undefined]) {
    const value = await txnToken({ iss: TTS, client_id: 'agent-1', jti: 'j', txn })
    expect(await ask([], { among, credentials: [{ scheme: 'bearer', value }] })).toMatchObject(
      denied('token.type'),
    )
  }
})

test('an access token is no transaction token', async () => {
  const texts = [await sign(access, claims({ aud: DOMAIN, txn: 'x', req_wl: 'w' }), { typ: 'txntoken+jwt' })]
  expect(await ask(texts)).toMatchObject(denied('txn.invalid'))
})

test.each<[string, object, object?]>([
  ['of another type', {}, { typ: 'at+jwt' }],
  ['without a type', {}, { typ: undefined }],
  ['with a header member that has no place there', {}, { x5t: 'x' }],
  ['of another trust domain', { aud: 'trust.other.example' }],
  ['of two trust domains', { aud: [DOMAIN, 'trust.other.example'] }],
  ['without a trust domain', { aud: undefined }],
  ['of another issuer', { iss: 'https://evil.example' }],
  ['that has expired', { exp: NOW_SECONDS }],
  ['without an end', { exp: undefined }],
  ['that lives too long', { exp: NOW_SECONDS + 291 }],
  ['from the future', { iat: NOW_SECONDS + 31 }],
  ['without a beginning', { iat: undefined }],
  ['that is not valid yet', { nbf: NOW_SECONDS + 31 }],
  ['without `txn`', { txn: undefined }],
  ['with an empty `txn`', { txn: '' }],
  ['without `sub`', { sub: undefined }],
  ['without `scope`', { scope: undefined }],
  ['without `req_wl`', { req_wl: undefined }],
  ['whose `tctx` is no object', { tctx: ['crm/read'] }],
  ['with `act` and without `iss`', { act: { sub: 'agent-1' } }],
  ['whose `act` is broken', { iss: TTS, act: { sub: 1 } }],
  ['whose `act` is of an unknown issuer', { iss: TTS, act: { sub: 'a', iss: 'https://evil.example' } }],
])('a transaction token %s denies', async (_what, payload, header) => {
  expect(await ask([await txnToken(payload, header)])).toMatchObject(denied('txn.invalid'))
})

test('a transaction token that is forged, unreadable, or there twice denies', async () => {
  const good = await txnToken()
  const forged = await txnToken({}, {}, await makeKey('ES256', 't1'))
  for (const texts of [[forged], ['x'], [`${good},${good}`], [good, good]])
    expect(await ask(texts)).toMatchObject(denied('txn.invalid'))
})

test('a transaction token denies where no issuer, or more than one, can have made it', async () => {
  const text = await txnToken()
  expect(await ask([text], { among: [issuer([access])] })).toMatchObject(denied('txn.invalid'))
  const two = [...issuers, tts(domainKey, { issuer: 'https://tts2.example' })]
  expect(await ask([text], { among: two })).toMatchObject(denied('txn.invalid'))
  expect(await ask([await txnToken({ iss: TTS })], { among: two })).toMatchObject({ ok: true })
})

test('actors of a transaction are kept for revocation', async () => {
  const text = await txnToken({ iss: TTS, act: { sub: 'agent-1', act: { sub: 'agent-0' } } })
  expect(await ask([text])).toMatchObject({
    ok: true,
    value: {
      delegation: { chain: [{ id: 'agent-1' }] },
      transaction: { chain: [{ id: 'agent-1' }, { id: 'agent-0' }] },
    },
  })
})

test('a gateway that names the parties brings transactions too', async () => {
  const more = { dialect: 'native', agent: named('agent-1'), credentials: [] } as const
  expect(await ask([await txnToken()], more)).toMatchObject({
    ok: true,
    value: { transaction: { id: 'txn-1' } },
  })
  expect(await ask(['x'], more)).toMatchObject(denied('txn.invalid'))
})

test('a workload proof must cover the transaction token of the call', async () => {
  const digest = (text: string) => createHash('sha256').update(text).digest('base64url')
  const wit = await new SignJWT({
    sub: `${SPIFFE}/a`,
    exp: NOW_SECONDS + 60,
    cnf: { jwk: { ...workload.jwk, alg: 'ES256' } },
  })
    .setProtectedHeader({ alg: 'ES256', typ: 'wit+jwt', kid: 'd1' })
    .sign(domainKey.privateKey)
  const text = await txnToken()
  const spiffe = issuer([], {
    issuer: SPIFFE,
    profile: 'spiffe',
    keys: { kind: 'static', keys: [{ ...domainKey.jwk, use: 'jwt-svid' }] },
  })
  const proven = async (more: object) => {
    const wpt = await new SignJWT({
      aud: HTU,
      exp: NOW_SECONDS + 60,
      jti: randomUUID(),
      wth: digest(wit),
      ...more,
    })
      .setProtectedHeader({ alg: 'ES256', typ: 'wpt+jwt' })
      .sign(workload.privateKey)
    const proofs = { workloadToken: [wit], workloadProof: [wpt] }
    return await ask([text], { among: [...issuers, spiffe], credentials: [], proofs })
  }
  expect(await proven({})).toMatchObject(denied('workload.proof'))
  expect(await proven({ tth: digest('another') })).toMatchObject(denied('workload.proof'))
  expect(await proven({ tth: digest(text) })).toMatchObject({
    ok: true,
    value: { agent: { id: `${SPIFFE}/a` }, transaction: { id: 'txn-1' } },
  })
})

test('an issuer of transaction tokens is registered by its trust domain, and never asked about access tokens', () => {
  const jwks = { keys: [service.jwk] }
  const file = { issuer: TTS, profile: 'txn-token', audience: DOMAIN, jwks }
  expect(parseIssuer(file)).toMatchObject({
    ok: true,
    value: { types: ['txntoken+jwt'], lifetimeSecondsMax: 300 },
  })
  const introspection = {
    url: `${TTS}/introspect`,
    client_id: 'w',
    secret: 's',
    authentication: 'client_secret_basic',
  }
  expect(parseIssuer({ ...file, introspection }).ok).toBe(false)
})
