import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import {
  type AuthorizationServer,
  RESOURCE,
  startAuthorizationServer,
} from '../support/authorization-server.ts'
import { type Credentials, newAuthority } from '../support/certificates.ts'
import { dpopProof, type ProofKey, proofKey } from '../support/proofs.ts'
import { addGateway, pushDemo, TENANT, textOf } from './demo.ts'
import { send } from './http.ts'
import { until } from './ports.ts'
import { startWarder, type Warder } from './warder.ts'

const API = 'https://api.example.com'
const ALONE = `@id("alone") permit (principal, action in Warder::Action::"readTools", resource)
when { context.autonomous };`

let as: AuthorizationServer
let warder: Warder
let key = ''
let holder: ProofKey
let client: Credentials
let stranger: Credentials

/** Sets everything up as an operator would: registry, policies, and the issuer from a file with its secret. */
beforeAll(async () => {
  ;[as, warder, holder] = await Promise.all([startAuthorizationServer(), startWarder(), proofKey()])
  const authority = await newAuthority('clients')
  ;[client, stranger] = await Promise.all([authority.issue('agent'), authority.issue('stranger')])
  await warder.cli('registry', 'import', 'policies/examples/demo/registry.json', '--tenant', TENANT)
  const agents = ['agent-1', 'agent-tls'].map((id) => ({
    uid: { type: 'Warder::Agent', id },
    attrs: {
      tenant: { __entity: { type: 'Warder::Tenant', id: TENANT } },
      status: 'active',
      environment: 'production',
    },
    parents: [{ type: 'Warder::Group', id: 'agents' }],
  }))
  await warder.cli('registry', 'import', file('agents.json', { entities: agents }), '--tenant', TENANT)
  await pushDemo(warder, { 'alone.cedar': ALONE }, '--activate')
  await warder.cli('issuer', 'add', issuerFile(2), '--tenant', TENANT)
  key = await addGateway(warder, 'edge')
  const settings = ['--external-url', API, '--certificate-source', 'xfcc']
  await warder.cli('gateway', 'set', 'edge', '--tenant', TENANT, ...settings)
  const token = await as.tokenFor(client, 'jwt')
  const sent = { authorization: `Bearer ${token}`, 'x-forwarded-client-cert': `Hash=${client.sha256}` }
  await until('the registration counts', 30_000, async () => (await reasonFor(sent)) === 'policy.permit')
}, 180_000)
afterAll(async () => {
  await warder.remove()
  await as.close()
})
afterEach(() => as.break(undefined))

function file(name: string, json: object): string {
  const path = join(warder.dataDir, name)
  writeFileSync(path, JSON.stringify(json))
  return path
}

function issuerFile(cacheSeconds: number): string {
  return file('issuer.json', {
    issuer: as.issuer,
    audience: RESOURCE,
    discovery: true,
    private_network: true,
    introspection: {
      url: `${as.issuer}/token/introspection`,
      client_id: 'resource',
      authentication: 'private_key_jwt',
      secret: as.resourceKey,
      signed: true,
      cache_seconds_max: cacheSeconds,
    },
  })
}

type Headers = Readonly<Record<string, string | readonly string[]>>

async function answerTo(headers: Headers) {
  return await send(warder.decisionPort, {
    path: '/forward-auth',
    headers: {
      'x-warder-gateway-key': key,
      'x-forwarded-method': 'GET',
      'x-forwarded-uri': '/repos',
      ...Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value].flat()])),
    },
  })
}

async function reasonFor(headers: Headers): Promise<string> {
  const { status, headers: answered } = await answerTo(headers)
  const reason = answered['x-warder-reason'] ?? 'none'
  expect(status === 200).toBe(reason === 'policy.permit')
  return reason
}

const bearer = (token: string) => ({ authorization: `Bearer ${token}` })

test('an opaque token is believed after its issuer vouched for it, and its row says whose it is', async () => {
  const token = await as.token('opaque')
  const answer = await answerTo(bearer(token))
  expect([answer.status, answer.headers['x-warder-agent']]).toEqual([200, 'agent-1'])
  const id = answer.headers['x-decision-id'] ?? ''
  const row = await warder.json('logs', 'show', id)
  const text = JSON.stringify(row)
  expect(text).toContain(as.issuer)
  expect(text).not.toContain(token)
  expect(warder.output()).not.toContain(token)
})

test('an opaque token that was revoked at its issuer denies when the answer is too old', async () => {
  const token = await as.token('opaque')
  expect(await reasonFor(bearer(token))).toBe('policy.permit')
  await as.revoke(token)
  await expect.poll(() => reasonFor(bearer(token)), { timeout: 30_000, interval: 200 }).toBe('token.inactive')
})

test('what was never issued, and a token cut short, deny', async () => {
  const token = await as.token('opaque')
  expect(await reasonFor(bearer('u'.repeat(43)))).toBe('token.inactive')
  expect(await reasonFor(bearer(token.slice(0, -1)))).toBe('token.inactive')
})

test('while the issuer does not answer, opaque tokens deny and the caller is told to come back', async () => {
  const token = await as.token('opaque')
  as.break((response) => response.writeHead(503).end())
  expect(await reasonFor(bearer(token))).toBe('token.introspection_unavailable')
  as.break(undefined)
  await expect.poll(() => reasonFor(bearer(token)), { timeout: 30_000, interval: 200 }).toBe('policy.permit')
})

const seconds = () => Math.floor(Date.now() / 1000)
const proof = (by: ProofKey, token: string, claims: object = {}) =>
  dpopProof(by, token, { htm: 'GET', htu: `${API}/repos`, iat: seconds(), ...claims })

test.each(['jwt', 'opaque'] as const)(
  'a DPoP-bound %s token is good with its proof alone, once',
  async (format) => {
    const request = { htm: 'POST', htu: `${as.issuer}/token`, iat: seconds(), ath: undefined }
    const token = await as.token(format, { DPoP: await dpopProof(holder, '', request) })
    const dpop = await proof(holder, token)
    const authorization = `DPoP ${token}`
    const other = await proofKey()
    expect(await reasonFor({ authorization })).toBe('pop.missing')
    expect(await reasonFor(bearer(token))).toBe('pop.scheme')
    expect(await reasonFor({ authorization, dpop: await proof(other, token) })).toBe('pop.key')
    expect(await reasonFor({ authorization, dpop: [dpop, dpop] })).not.toBe('policy.permit')
    expect(await reasonFor({ authorization, dpop })).toBe('policy.permit')
    expect(await reasonFor({ authorization, dpop })).toBe('pop.replayed')
  },
)

test.each(['jwt', 'opaque'] as const)(
  'a certificate-bound %s token is good with its certificate alone',
  async (format) => {
    const token = await as.tokenFor(client, format)
    const certificate = (pem: string) => ({ 'x-forwarded-client-cert': `Cert="${encodeURIComponent(pem)}"` })
    expect(await reasonFor({ ...bearer(token), ...certificate(client.certificate) })).toBe('policy.permit')
    expect(await reasonFor({ ...bearer(token), ...certificate(stranger.certificate) })).toBe('pop.key')
    expect(await reasonFor(bearer(token))).toBe('pop.missing')
    const forged = {
      'x-ssl-client-cert': encodeURIComponent(client.certificate),
      'x-ssl-client-verify': 'SUCCESS',
    }
    expect(await reasonFor({ ...bearer(token), ...forged })).toBe('pop.certificate_source')
  },
)

test('the native answer to a proven call expires with it', async () => {
  const token = await as.tokenFor(client, 'jwt')
  const value = `Hash=${client.sha256}`
  const body = {
    tool: 'repos/list',
    credentials: { access_token: token },
    proofs: { certificate: { source: 'xfcc', value } },
  }
  const headers = { authorization: `Bearer ${key}`, 'content-type': 'application/json' }
  const call = { method: 'POST', path: '/v1/decide', headers, body: JSON.stringify(body) }
  const before = seconds()
  const answer: unknown = JSON.parse((await send(warder.decisionPort, call)).body)
  expect(answer).toMatchObject({ decision: 'allow' })
  const expires = Date.parse(textOf(answer, 'expires_at')) / 1000
  expect(expires).toBeGreaterThanOrEqual(before)
  expect(expires).toBeLessThanOrEqual(seconds())
})
