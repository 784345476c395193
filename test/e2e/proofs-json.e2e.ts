import { createHash, randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { calculateJwkThumbprint, SignJWT } from 'jose'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { compact, honest, makePair, type Pair } from '../support/carriers.ts'
import { dpopProof, type ProofKey, proofKey } from '../support/proofs.ts'
import { addGateway, pushDemo, TENANT, textOf } from './demo.ts'
import { send } from './http.ts'
import type { TestIssuer } from './issuer.ts'
import { until } from './ports.ts'
import { startDemo } from './prepared.ts'
import type { Warder } from './warder.ts'

const API = 'https://api.example.com'
const HTU = `${API}/repos`
const DOMAIN = 'spiffe://acme.example'
const WORKLOAD = `${DOMAIN}/agents/1`
const SERVICE = 'https://tts.example'
const DIGEST = createHash('sha256').update('certificate').digest()
const OTHER_DIGEST = createHash('sha256').update('another').digest()
const ALONE = `@id("alone") permit (principal, action in Warder::Action::"readTools", resource)
when { context.autonomous };`

let warder: Warder
let issuer: TestIssuer
let gatewayKey = ''
let holder: ProofKey
let other: ProofKey
let domain: Pair
let signer: Pair
let signerId = ''
let service: Pair

const seconds = () => Math.floor(Date.now() / 1000)
const digest = (text: string) => createHash('sha256').update(text).digest('base64url')

/** What a gateway passes on of a call: the token, and what proves who sends it. */
interface Sent {
  readonly token?: string
  readonly scheme?: 'Bearer' | 'DPoP'
  readonly proofs?: object
  /** Default: the tool that the route of the call is. */
  readonly tool?: string
  readonly agent?: string
}

interface Answered {
  readonly isAllowed: boolean
  readonly id: string
  /** Only where the dialect says it. */
  readonly reason?: string
}

type Ask = (sent: Sent) => Promise<Answered>

const CALL = { method: 'GET', path: '/repos?page=1', host: 'api.example.com' }

async function post(path: string, body: object) {
  const headers = { authorization: `Bearer ${gatewayKey}`, 'content-type': 'application/json' }
  const answer = await send(warder.decisionPort, {
    method: 'POST',
    path,
    headers,
    body: JSON.stringify(body),
  })
  expect([answer.status, answer.body]).toEqual([200, expect.any(String)])
  return { json: JSON.parse(answer.body) as object, headers: answer.headers }
}

function carried({ token, scheme = 'Bearer', proofs = {} }: Sent): object {
  return {
    ...(token !== undefined && { credentials: { access_token: token, token_type: scheme } }),
    proofs: { call: CALL, ...proofs },
  }
}

const native: Ask = async (sent) => {
  const { agent, tool = 'repos/list' } = sent
  const { json } = await post('/v1/decide', { tool, ...(agent !== undefined && { agent }), ...carried(sent) })
  const { decision, reasons } = json as { decision: string; reasons: readonly { code: string }[] }
  const id = textOf(json, 'decision_id')
  return { isAllowed: decision === 'allow', id, reason: reasons[0]?.code ?? '' }
}

const authzen: Ask = async (sent) => {
  const { agent, tool = 'repos/list' } = sent
  const { json, headers } = await post('/access/v1/evaluation', {
    subject: agent === undefined ? { type: 'user', id: 'alice' } : { type: 'agent', id: agent },
    action: { name: tool },
    resource: { type: 'tool', id: tool },
    context: { warder: carried(sent) },
  })
  return { isAllowed: Reflect.get(json, 'decision') === true, id: headers['x-decision-id'] ?? '' }
}

function file(name: string, json: object): string {
  const path = join(warder.dataDir, name)
  writeFileSync(path, JSON.stringify(json))
  return path
}

/** Registers, as an operator would, whoever signs something in these calls. */
async function register(): Promise<void> {
  const directory = { ...signer.jwk, kid: signerId }
  const files = [
    {
      issuer: DOMAIN,
      profile: 'spiffe',
      audience: 'unused',
      jwks: { keys: [{ ...domain.jwk, kid: 'd', alg: 'ES256', use: 'jwt-svid' }] },
    },
    {
      issuer: 'https://agents.example',
      profile: 'http-signature',
      audience: 'agents',
      jwks: { keys: [directory] },
    },
    {
      issuer: SERVICE,
      profile: 'txn-token',
      audience: 'trust.example',
      jwks: { keys: [{ ...service.jwk, kid: 't', alg: 'ES256', use: 'sig' }] },
    },
  ]
  for (const each of files) await warder.cli('issuer', 'add', file('issuer.json', each), '--tenant', TENANT)
  const uid = { type: 'Warder::Agent', id: WORKLOAD }
  const tenant = { __entity: { type: 'Warder::Tenant', id: TENANT } }
  const attrs = { tenant, status: 'active', environment: 'production' }
  const agents = { entities: [{ uid, attrs, parents: [{ type: 'Warder::Group', id: 'agents' }] }] }
  await warder.cli('registry', 'import', file('agents.json', agents), '--tenant', TENANT)
}

beforeAll(async () => {
  ;({ warder, issuer } = await startDemo())
  ;[holder, other] = await Promise.all([proofKey(), proofKey()])
  ;[domain, signer, service] = [makePair('ES256'), makePair('ES256'), makePair('ES256')]
  signerId = await calculateJwkThumbprint(signer.jwk)
  await register()
  await pushDemo(warder, { 'alone.cedar': ALONE }, '--activate')
  gatewayKey = await addGateway(warder, 'edge')
  const settings = ['--external-url', API, '--certificate-source', 'xfcc']
  await warder.cli('gateway', 'set', 'edge', '--tenant', TENANT, ...settings)
  await until(
    'the registration counts',
    30_000,
    async () => (await native(await GOOD.certificate())).isAllowed,
  )
}, 180_000)
afterAll(() => warder.remove())

const tokenOf = (cnf?: object) => issuer.token('triage-bot', 'alice', cnf && { cnf })
const dpopOf = (by: ProofKey, token: string, claims: object = {}) =>
  dpopProof(by, token, { htm: 'GET', htu: HTU, iat: seconds(), ...claims })
const xfcc = (value: string) => ({ certificate: { source: 'xfcc', value } })
const hash = (bytes: Buffer) => `Hash=${bytes.toString('hex')}`

async function dpop(claims: object = {}, by = holder): Promise<Sent> {
  const token = await tokenOf({ jkt: holder.jkt })
  return { token, scheme: 'DPoP', proofs: { dpop: [await dpopOf(by, token, claims)] } }
}

async function certificate(value = hash(DIGEST)): Promise<Sent> {
  return { token: await tokenOf({ 'x5t#S256': DIGEST.toString('base64url') }), proofs: xfcc(value) }
}

async function workload(claims: object = {}, by = holder): Promise<Sent> {
  const cnf = { jwk: { ...holder.jwk, alg: 'ES256' } }
  const header = { alg: 'ES256', typ: 'wit+jwt', kid: 'd' }
  const token = compact(header, { sub: WORKLOAD, exp: seconds() + 600, cnf }, honest(domain))
  const all = { aud: HTU, exp: seconds() + 60, jti: randomUUID(), wth: digest(token), ...claims }
  const proof = await new SignJWT(all)
    .setProtectedHeader({ alg: 'ES256', typ: 'wpt+jwt' })
    .sign(by.privateKey)
  return { agent: WORKLOAD, proofs: { workload_token: [token], workload_proof: [proof] } }
}

async function signature(
  as: { readonly method?: string; readonly uri?: string; readonly by?: Pair } = {},
): Promise<Sent> {
  const { method = 'GET', uri = `${HTU}?page=1`, by = signer } = as
  const token = await tokenOf({ jkt: signerId })
  const times = `created=${seconds()};expires=${seconds() + 60}`
  const parameters = `("@method" "@target-uri" "authorization");${times};nonce="${randomUUID()}";keyid="${signerId}";tag="agents"`
  const base = [
    `"@method": ${method}`,
    `"@target-uri": ${uri}`,
    `"authorization": Bearer ${token}`,
    `"@signature-params": ${parameters}`,
  ].join('\n')
  const signed = Buffer.from(honest(by)(Buffer.from(base))).toString('base64')
  const headers = [
    ['Authorization', `Bearer ${token}`],
    ['Signature-Input', `s=${parameters}`],
    ['Signature', `s=:${signed}:`],
  ]
  return { token, proofs: { headers } }
}

async function transaction(claims: object = {}, by = service): Promise<Sent> {
  const all = {
    aud: 'trust.example',
    iat: seconds() - 1,
    exp: seconds() + 60,
    txn: 'txn-1',
    sub: 'alice',
    scope: 'read',
    req_wl: 'edge',
    tctx: { tool: 'repos/list' },
    ...claims,
  }
  const text = compact({ alg: 'ES256', typ: 'txntoken+jwt', kid: 't' }, all, honest(by))
  return { token: await tokenOf(), proofs: { transaction_token: [text] } }
}

const GOOD = { dpop, certificate, workload, signature, transaction }

const BAD: readonly (readonly [string, string, () => Promise<Sent>])[] = [
  ['a DPoP token without a proof', 'pop.missing', async () => ({ ...(await dpop()), proofs: {} })],
  ['a DPoP token as Bearer', 'pop.scheme', async () => ({ ...(await dpop()), scheme: 'Bearer' })],
  ['a proof of another key', 'pop.key', () => dpop({}, other)],
  ['a proof for another method', 'pop.request', () => dpop({ htm: 'POST' })],
  ['a proof for another path', 'pop.request', () => dpop({ htu: `${API}/other` })],
  ['a proof for another token', 'pop.token', () => dpop({ ath: digest('another') })],
  ['an old proof', 'pop.time', () => dpop({ iat: seconds() - 90 })],
  [
    'two proofs',
    'pop.proof',
    async () => {
      const token = await tokenOf({ jkt: holder.jkt })
      return {
        token,
        scheme: 'DPoP',
        proofs: { dpop: [await dpopOf(holder, token), await dpopOf(holder, token)] },
      }
    },
  ],
  [
    'a certificate-bound token without one',
    'pop.missing',
    async () => ({ ...(await certificate()), proofs: {} }),
  ],
  ['another certificate', 'pop.key', () => certificate(hash(OTHER_DIGEST))],
  [
    'a certificate behind another hop',
    'pop.certificate',
    () => certificate(`${hash(OTHER_DIGEST)},${hash(DIGEST)}`),
  ],
  [
    'a certificate from a source that is not registered',
    'pop.certificate_source',
    async () => ({
      ...(await certificate()),
      proofs: { certificate: { source: 'rfc9440', value: ':AAAA:' } },
    }),
  ],
  ['a workload proof of another key', 'workload.proof', () => workload({}, other)],
  ['a workload proof for another URI', 'workload.proof', () => workload({ aud: `${API}/other` })],
  ['a workload proof for another token', 'workload.proof', () => workload({ wth: digest('another') })],
  [
    'a workload token without its proof',
    'workload.proof',
    async () => {
      const { proofs, ...sent } = await workload()
      return { ...sent, proofs: { ...proofs, workload_proof: undefined } }
    },
  ],
  [
    'a workload that is not the agent',
    'identity.mismatch',
    async () => ({ ...(await workload()), agent: 'triage-bot' }),
  ],
  ['a signature for another method', 'signature.invalid', () => signature({ method: 'DELETE' })],
  ['a signature for another query', 'signature.invalid', () => signature({ uri: `${HTU}?page=2` })],
  ['a signature of another key', 'signature.invalid', () => signature({ by: makePair('ES256') })],
  ['a transaction for another tool', 'txn.mismatch', () => transaction({ tctx: { tool: 'repos/delete' } })],
  ['a transaction that somebody else signed', 'txn.invalid', () => transaction({}, makePair('ES256'))],
  [
    'a transaction that is over',
    'txn.invalid',
    () => transaction({ iat: seconds() - 300, exp: seconds() - 120 }),
  ],
]

describe.each([
  ['the native dialect', native],
  ['AuthZEN', authzen],
])('proofs in %s', (_name, ask) => {
  /** Decisions and the reason that their row must have. */
  const expected = new Map<string, string>()

  async function expectAnswer(sent: Sent, reason: string): Promise<void> {
    const { isAllowed, id, reason: told = reason } = await ask(sent)
    expect([isAllowed, told]).toEqual([reason === 'policy.permit', reason])
    expect(id).toMatch(/^[0-9a-f-]{36}$/)
    expected.set(id, reason)
  }

  test.each(Object.keys(GOOD))('a good %s is believed', async (kind) => {
    await expectAnswer(await GOOD[kind as keyof typeof GOOD](), 'policy.permit')
  })

  test.each(BAD)('%s denies with %s', async (_what, reason, make) => {
    await expectAnswer(await make(), reason)
  })

  test.each(['dpop', 'workload', 'signature'] as const)('a %s is good once', async (kind) => {
    const sent = await GOOD[kind]()
    await expectAnswer(sent, 'policy.permit')
    await expectAnswer(sent, 'pop.replayed')
  })

  test('each row says why, and holds no credential', async () => {
    const text = await warder.cli('logs', 'export', '--tenant', TENANT)
    const rows = text
      .trim()
      .split('\n')
      .map((line): unknown => JSON.parse(line))
    const found = new Map(rows.map((row) => [textOf(row, 'decision_id'), JSON.stringify(row)]))
    expect(expected.size).toBeGreaterThan(BAD.length)
    for (const [id, reason] of expected) expect(found.get(id), id).toContain(`"${reason}"`)
    expect(text).not.toMatch(/eyJ[A-Za-z0-9_-]{20}/)
  })
})
