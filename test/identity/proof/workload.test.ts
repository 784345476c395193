import 'reflect-metadata'
import { createHash, randomUUID, webcrypto } from 'node:crypto'
import * as x509 from '@peculiar/x509'
import { type JWK, SignJWT } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import type { Reservation } from '#identity/proof/replay.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { Issuer } from '#model/issuer.ts'
import type { AuthorizationRequest, Proofs } from '#model/request.ts'
import {
  CALL,
  gatewayWith,
  HTU,
  type ProofKey,
  passed,
  proofKey,
  proofsWith,
  SETTINGS,
  verifier,
} from '../../support/proofs.ts'
import {
  claims,
  issuer,
  makeKey,
  named,
  request,
  type SigningKey,
  sign,
  tenantWith,
} from '../../support/tokens.ts'

x509.cryptoProvider.set(webcrypto)
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const DAY = 86_400_000
const DOMAIN = 'spiffe://acme.example'
const ID = `${DOMAIN}/agents/triage`
/** Certificates are made on the real clock. */
const now = Date.now() as EpochMilliseconds
const second = Math.floor(now / 1000)

interface Made {
  readonly certificate: x509.X509Certificate
  readonly keys: webcrypto.CryptoKeyPair
  readonly pem: string
}

interface Options {
  readonly uris?: readonly string[]
  readonly isAuthority?: boolean
  readonly usage?: number
  readonly days?: readonly [number, number]
  readonly name?: string
}

let serial = 1
async function make(by: Made | undefined, options: Options = {}): Promise<Made> {
  const { uris = [ID], isAuthority = false, days = [-1, 1] } = options
  const { digitalSignature, keyCertSign } = x509.KeyUsageFlags
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify'])
  const name = options.name ?? `CN=${serial++}`
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serial.toString(16).padStart(16, '0'),
    subject: name,
    issuer: by?.certificate.subject ?? name,
    notBefore: new Date(now + days[0] * DAY),
    notAfter: new Date(now + days[1] * DAY),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: (by?.keys ?? keys).privateKey,
    extensions: [
      new x509.BasicConstraintsExtension(isAuthority, undefined, true),
      new x509.KeyUsagesExtension(options.usage ?? (isAuthority ? keyCertSign : digitalSignature), true),
      ...(uris.length === 0
        ? []
        : [new x509.SubjectAlternativeNameExtension(uris.map((value) => ({ type: 'url' as const, value })))]),
    ],
  })
  return { certificate, keys, pem: `${certificate.toString('pem')}\n` }
}

function bundle(authorities: readonly Made[], more: Partial<Issuer> = {}, keys: readonly JWK[] = []): Issuer {
  const anchors = authorities.map(({ certificate }) => ({
    kty: 'EC',
    use: 'x509-svid',
    x5c: [Buffer.from(certificate.rawData).toString('base64')],
  }))
  return {
    ...issuer([]),
    issuer: DOMAIN,
    profile: 'spiffe',
    types: ['', 'jwt', 'jose'],
    keys: { kind: 'static', keys: [...anchors, ...keys.map((key) => ({ ...key }))] },
    ...more,
  }
}

let authority: Made
let foreign: Made
let svid: Made
let domainKey: SigningKey
let key: ProofKey
let tokens: SigningKey
let wit: string
let trusted: Issuer
beforeAll(async () => {
  authority = await make(undefined, { isAuthority: true, uris: [DOMAIN] })
  foreign = await make(undefined, { isAuthority: true, uris: ['spiffe://other.example'] })
  svid = await make(authority)
  domainKey = await makeKey('ES256', 'd1')
  tokens = await makeKey('ES256', 'k1')
  key = await proofKey()
  trusted = bundle([authority], {}, [{ ...domainKey.jwk, use: 'jwt-svid' }])
  wit = await makeWit()
})

async function makeWit(payload: object = {}, header: object = {}, signer = domainKey): Promise<string> {
  const cnf = { jwk: { ...key.jwk, alg: 'ES256' } }
  return await new SignJWT({ sub: ID, exp: second + 600, cnf, ...payload })
    .setProtectedHeader({ alg: 'ES256', typ: 'wit+jwt', kid: 'd1', ...header })
    .sign(signer.privateKey)
}

const digest = (text: string) => createHash('sha256').update(text).digest('base64url')

async function makeWpt(payload: object = {}, header: object = {}, signer: ProofKey = key): Promise<string> {
  const all = { aud: HTU, exp: second + 60, jti: randomUUID(), wth: digest(wit), ...payload }
  return await new SignJWT(Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)))
    .setProtectedHeader({ alg: 'ES256', typ: 'wpt+jwt', ...header })
    .sign(signer.privateKey)
}

async function ask(
  proofs: Partial<Proofs>,
  {
    issuers = [trusted],
    verify = verifier(),
    ...more
  }: Partial<AuthorizationRequest> & {
    readonly issuers?: readonly Issuer[]
    readonly verify?: ReturnType<typeof verifier>
  } = {},
) {
  const settings = { ...SETTINGS, certificateSource: 'envoy' } as const
  const asked = request({ dialect: 'envoy-http', now, route: CALL, proofs: proofsWith(proofs), ...more })
  return await verify(asked, gatewayWith(settings), tenantWith(issuers))
}

const sent = (pem: string) => ({ certificates: [passed('envoy', pem)] })
const denied = (code: string) => ({ ok: false, failure: { code } })

test('an X.509-SVID names the agent where no token speaks', async () => {
  expect(await ask(sent(svid.pem))).toMatchObject({
    ok: true,
    value: {
      agent: { id: ID, provenance: 'verified' },
      user: undefined,
      presenter: { proof: 'mtls', workload: ID },
    },
  })
})

test('an X.509-SVID leads to the bundle through intermediates', async () => {
  const between = await make(authority, { isAuthority: true, uris: [] })
  const leaf = await make(between)
  expect(await ask(sent(leaf.pem + between.pem))).toMatchObject({ ok: true })
  expect(await ask(sent(leaf.pem))).toMatchObject(denied('workload.untrusted'))
})

test.each<[string, () => Promise<Made>]>([
  ['that another authority issued', () => make(foreign)],
  ['that signed itself', () => make(undefined)],
  [
    'that somebody signed in the name of the authority',
    async () => make(await make(undefined, { isAuthority: true, name: authority.certificate.subject })),
  ],
  ['that can issue others', () => make(authority, { isAuthority: true, uris: [ID] })],
  [
    'that is an authority',
    () => make(authority, { isAuthority: true, usage: x509.KeyUsageFlags.digitalSignature }),
  ],
  ['whose key may sign certificates', () => make(authority, { usage: 0x04 | 0x80 | 1 | 32 })],
  ['whose key may not sign', () => make(authority, { usage: x509.KeyUsageFlags.keyEncipherment })],
  ['with the id of the domain itself', () => make(authority, { uris: [DOMAIN] })],
])('an X.509-SVID %s denies', async (_what, leaf) => {
  expect(await ask(sent((await leaf()).pem))).toMatchObject(denied('workload.untrusted'))
})

test.each<[string, readonly string[]]>([
  ['two names', [ID, `${DOMAIN}/b`]],
  ['no name', []],
  ['a name that is no SPIFFE ID', ['https://acme.example/agents/triage']],
  ['a domain that is not registered', ['spiffe://other.example/a']],
])('an X.509-SVID with %s proves nobody', async (_what, uris) => {
  expect(await ask(sent((await make(authority, { uris })).pem))).toMatchObject(denied('credentials.missing'))
})

test('an X.509-SVID denies when it, or an authority on the way, has expired', async () => {
  expect(await ask(sent((await make(authority, { days: [-3, -2] })).pem))).toMatchObject(
    denied('pop.certificate'),
  )
  const old = await make(undefined, { isAuthority: true, days: [-3, -2], uris: [] })
  const leaf = await make(old)
  expect(await ask(sent(leaf.pem), { issuers: [bundle([old])] })).toMatchObject(denied('workload.untrusted'))
})

test('who is no authority issues nothing, whatever its key may sign', async () => {
  const { keyCertSign, digitalSignature } = x509.KeyUsageFlags
  const between = await make(authority, { uris: [], usage: keyCertSign | digitalSignature })
  const leaf = await make(between)
  expect(await ask(sent(leaf.pem + between.pem))).toMatchObject(denied('workload.untrusted'))
})

test('an authority on the way issues for its own domain only', async () => {
  const between = await make(authority, { isAuthority: true, uris: ['spiffe://other.example'] })
  const leaf = await make(between)
  expect(await ask(sent(leaf.pem + between.pem))).toMatchObject(denied('workload.untrusted'))
})

test('bundles are never merged, and an empty one revokes', async () => {
  const other = bundle([foreign], { issuer: 'spiffe://other.example' })
  const leaf = await make(foreign)
  expect(await ask(sent(leaf.pem), { issuers: [trusted, other] })).toMatchObject(denied('workload.untrusted'))
  expect(await ask(sent(svid.pem), { issuers: [bundle([])] })).toMatchObject(denied('workload.untrusted'))
})

test('an X.509-SVID must be the agent that a token names by SPIFFE ID; another agent is only sent by it', async () => {
  const issuers = [trusted, issuer([tokens])]
  const dates = { iat: second - 60, exp: second + 60 }
  const token = async (agent: string) => ({
    issuers,
    credentials: [{ scheme: 'bearer', value: await sign(tokens, claims({ client_id: agent, ...dates })) }],
  })
  expect(await ask(sent(svid.pem), await token(`${DOMAIN}/b`))).toMatchObject(denied('identity.mismatch'))
  for (const agent of [ID, 'agent-1'])
    expect(await ask(sent(svid.pem), await token(agent))).toMatchObject({
      ok: true,
      value: { agent: { id: agent }, presenter: { workload: ID } },
    })
})

test('a request that names another agent than its X.509-SVID denies', async () => {
  const more = { dialect: 'native', agent: named('somebody') } as const
  expect(await ask(sent(svid.pem), more)).toMatchObject(denied('identity.mismatch'))
})

const pair = (token: string, proof: string) => ({ workloadToken: [token], workloadProof: [proof] })

test('a workload token with its proof names the agent', async () => {
  expect(await ask(pair(wit, await makeWpt()))).toMatchObject({
    ok: true,
    value: {
      agent: { id: ID, provenance: 'verified' },
      presenter: { proof: 'wpt', thumbprint: key.jkt, workload: ID },
    },
  })
})

test('a workload token is used with each proof once', async () => {
  const verify = verifier()
  const proof = await makeWpt()
  expect(await ask(pair(wit, proof), { verify })).toMatchObject({ ok: true })
  expect(await ask(pair(wit, proof), { verify })).toMatchObject(denied('pop.replayed'))
})

test('a workload token is worth nothing without its proof, twice, or as an access token', async () => {
  const proof = await makeWpt()
  for (const proofs of [
    { workloadToken: [wit] },
    { workloadProof: [proof] },
    { workloadToken: [wit, wit], workloadProof: [proof] },
    { workloadToken: [wit], workloadProof: [proof, proof] },
  ])
    expect(await ask(proofs)).toMatchObject(denied('workload.proof'))
  const credentials = [{ scheme: 'bearer', value: wit }]
  expect((await ask({}, { credentials })).ok).toBe(false)
})

test.each<[string, object, string]>([
  ['of an unregistered domain', { sub: 'spiffe://other.example/a' }, 'workload.untrusted'],
  [
    'whose `iss` names a registered one',
    { sub: 'spiffe://other.example/a', iss: DOMAIN },
    'workload.untrusted',
  ],
  ['of the domain itself', { sub: DOMAIN }, 'workload.untrusted'],
  ['that has expired', { exp: second }, 'workload.proof'],
  ['without an end', { exp: undefined }, 'workload.proof'],
  ['without a key', { cnf: {} }, 'workload.proof'],
])('a workload token %s denies', async (_what, payload, code) => {
  const token = await makeWit(payload)
  expect(await ask(pair(token, await makeWpt({ wth: digest(token) })))).toMatchObject(denied(code))
})

test.each<[string, object, Partial<Issuer>, boolean]>([
  ['that lives as long as it may', { iat: second - 60, exp: second + 3_540 }, {}, true],
  ['that lives longer', { iat: second - 60, exp: second + 3_541 }, {}, false],
  ['that ends too late and does not say when it began', { exp: second + 3_601 }, {}, false],
  ['that ends in time and does not say when it began', { exp: second + 3_600 }, {}, true],
  [
    'that lives longer than a shorter limit',
    { iat: second, exp: second + 301 },
    { lifetimeSecondsMax: 300 },
    false,
  ],
  ['that is as old as it may be', { iat: second - 89 }, { ageSecondsMax: 60 }, true],
  ['that is older', { iat: second - 90 }, { ageSecondsMax: 60 }, false],
])('a workload token %s: the limits of its trust domain hold', async (_what, payload, limits, holds) => {
  const token = await makeWit(payload)
  const proofs = pair(token, await makeWpt({ wth: digest(token) }))
  const outcome = await ask(proofs, { issuers: [{ ...trusted, ...limits }] })
  expect(outcome).toMatchObject(holds ? { ok: true } : denied('workload.proof'))
})

test('a workload token of another type, or signed by somebody else, denies', async () => {
  const typed = await makeWit({}, { typ: 'JWT' })
  expect(await ask(pair(typed, await makeWpt({ wth: digest(typed) })))).toMatchObject(
    denied('workload.proof'),
  )
  const forged = await makeWit({}, {}, await makeKey('ES256', 'd1'))
  expect(await ask(pair(forged, await makeWpt({ wth: digest(forged) })))).toMatchObject(
    denied('workload.untrusted'),
  )
})

test.each<[string, object]>([
  ['for another URI', { aud: 'https://api.example.com/other' }],
  ['for another host', { aud: 'https://evil.example/mcp' }],
  ['for two', { aud: [HTU] }],
  ['that has expired', { exp: second }],
  ['that lives too long', { exp: second + 301 }],
  ['without an id', { jti: undefined }],
  ['of another workload token', { wth: digest('x') }],
  ['without the token that it is for', { wth: undefined }],
  ['for an access token that is not there', { ath: digest('x') }],
  ['for a token that nobody knows', { oth: { x: digest('x') } }],
])('a proof %s denies', async (_what, payload) => {
  expect(await ask(pair(wit, await makeWpt(payload)))).toMatchObject(denied('workload.proof'))
})

test('a proof of another key, type or algorithm denies', async () => {
  const other = await makeWpt({}, {}, await proofKey())
  expect(await ask(pair(wit, other))).toMatchObject(denied('workload.proof'))
  expect(await ask(pair(wit, await makeWpt({}, { typ: 'dpop+jwt' })))).toMatchObject(denied('workload.proof'))
})

test('a proof must cover the access token of the call', async () => {
  const token = await sign(tokens, claims({ iat: second - 60, exp: second + 60 }))
  const more = { issuers: [trusted, issuer([tokens])], credentials: [{ scheme: 'bearer', value: token }] }
  expect(await ask(pair(wit, await makeWpt()), more)).toMatchObject(denied('workload.proof'))
  expect(await ask(pair(wit, await makeWpt({ ath: digest(token) })), more)).toMatchObject({
    ok: true,
    value: { token: { subject: 'alice' }, presenter: { proof: 'wpt', workload: ID } },
  })
})

test('certificate and token must name the same workload', async () => {
  const other = await make(authority, { uris: [`${DOMAIN}/b`] })
  const proof = await makeWpt()
  expect(await ask({ ...sent(other.pem), ...pair(wit, proof) })).toMatchObject(denied('identity.mismatch'))
  expect(await ask({ ...sent(svid.pem), ...pair(wit, proof) })).toMatchObject({ ok: true })
})

test('a workload proof is no younger than it can be, so that a store that has forgotten says so', async () => {
  const reserved: Reservation[] = []
  const verify = verifier({
    reserve: async (reservation) => {
      reserved.push(reservation)
      return 'first'
    },
  })
  expect(await ask(pair(wit, await makeWpt({ exp: second + 60 })), { verify })).toMatchObject({ ok: true })
  expect(reserved.map(({ issuedAt }) => issuedAt)).toEqual([second + 60 - 300])
})
