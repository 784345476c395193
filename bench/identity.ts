import {
  createHash,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomUUID,
  sign,
  verify as verifySignature,
} from 'node:crypto'
import { createKeySets } from '#identity/key-sets.ts'
import { createProofStep } from '#identity/proof/proof-step.ts'
import { createMemoryReplayStore } from '#identity/proof/replay.ts'
import { createVerify } from '#identity/verify.ts'
import { type EpochMilliseconds, systemClock } from '#lib/clock.ts'
import type { Gateway } from '#model/gateway.ts'
import type { GatewayId, TenantId } from '#model/ids.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { TenantState } from '#model/state.ts'

/**
 * What it costs to verify who asks, on one core, without HTTP, policy and log: `node bench/identity.ts`. Tokens and proofs are
 * made before the clock starts; each proof is used once. Used proofs are kept in memory here; several servers share a database.
 */

const ISSUER = 'https://idp.example'
const AUDIENCE = 'https://tools.example'
const HTU = 'https://api.example.com/mcp'
const ROUND_MILLISECONDS = 2_000
const SAMPLES = 8_000
/** Verified before the clock starts, so that the code is compiled. */
const WARM_UP = 1_000

interface Key {
  readonly alg: string
  readonly privateKey: KeyObject
  readonly jwk: Record<string, unknown>
}

function makeKey(alg: string): Key {
  const pair =
    alg === 'EdDSA'
      ? generateKeyPairSync('ed25519')
      : alg === 'RS256'
        ? generateKeyPairSync('rsa', { modulusLength: 2_048 })
        : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  return { alg, privateKey: pair.privateKey, jwk: { ...pair.publicKey.export({ format: 'jwk' }) } }
}

function encode(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function makeJwt({ alg, privateKey }: Key, header: object, payload: object): string {
  const input = `${encode({ alg, ...header })}.${encode(payload)}`
  const digest = alg === 'EdDSA' ? null : 'sha256'
  const signature = sign(digest, Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  return `${input}.${signature.toString('base64url')}`
}

function thumbprint({ jwk: { crv, kty, x, y } }: Key): string {
  return createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url')
}

const now = systemClock()
const second = Math.floor(now / 1000)
const client = makeKey('ES256')

function makeToken(key: Key, cnf?: object): string {
  const payload = { iss: ISSUER, aud: AUDIENCE, sub: 'alice', client_id: 'agent-1', jti: randomUUID(), cnf }
  return makeJwt(key, { typ: 'at+jwt', kid: key.alg }, { ...payload, iat: second, exp: second + 600 })
}

function makeProof(token: string): string {
  const ath = createHash('sha256').update(token).digest('base64url')
  const claims = { jti: randomUUID(), htm: 'POST', htu: HTU, iat: second, ath }
  return makeJwt(client, { typ: 'dpop+jwt', jwk: client.jwk }, claims)
}

const gateway: Gateway = {
  id: '01930000-0000-7000-8000-000000000001' as GatewayId,
  name: 'bench',
  tenant: 'bench' as TenantId,
  asserts: undefined,
  userOnly: false,
  obligations: undefined,
  settings: { externalUrl: 'https://api.example.com' },
}

function tenantFor(keys: readonly Key[]): TenantState {
  const issuer = {
    issuer: ISSUER,
    audience: [AUDIENCE],
    algorithms: ['ES256', 'RS256', 'EdDSA'],
    types: ['at+jwt'],
    keys: { kind: 'static', keys: keys.map((key) => ({ ...key.jwk, kid: key.alg, alg: key.alg })) },
    claims: { tenant: undefined, agent: undefined, user: 'sub' },
    clockToleranceSeconds: 30,
    lifetimeSecondsMax: 3_600,
  } as const
  const registry = {
    size: 0,
    find: () => undefined,
    ancestors: () => [],
    ofType: () => [],
    inOrder: () => [],
    matchRoute: () => undefined,
    matchServer: () => undefined,
  }
  return { id: gateway.tenant, version: 1, registry, release: undefined, issuers: [issuer] }
}

function requestWith(token: string, proof: string | undefined): AuthorizationRequest {
  const nothing = { workloadToken: [], workloadProof: [], transactionToken: [], certificates: [] }
  return {
    dialect: 'envoy-http',
    now: now as EpochMilliseconds,
    requestId: undefined,
    traceparent: undefined,
    tenant: undefined,
    agent: undefined,
    user: undefined,
    subject: undefined,
    credentials: [{ scheme: proof === undefined ? 'bearer' : 'dpop', value: token }],
    ...(proof !== undefined && { proofs: { ...nothing, dpop: [proof] } }),
    identityHeaders: [],
    tool: undefined,
    route: { method: 'POST', path: '/mcp', host: 'api.example.com' },
    action: undefined,
    resource: undefined,
    arguments: undefined,
    session: undefined,
    risk: undefined,
    context: {},
    declared: {},
    supportedObligations: undefined,
  }
}

async function measure(
  name: string,
  requests: readonly AuthorizationRequest[],
  tenant: TenantState,
  isReusable: boolean,
) {
  const fault = (error: unknown) => {
    throw error
  }
  const keys = createKeySets({
    clock: systemClock,
    fetch: () => Promise.reject(new Error('no')),
    onFault: fault,
  })
  const replay = createMemoryReplayStore()
  const proofs = createProofStep({ replay, nonceSecret: () => new Uint8Array(32), onFault: fault })
  const verify = createVerify({ keys, proofs })
  let next = 0
  const verifyNext = async (): Promise<boolean> => {
    const request = requests[isReusable ? 0 : next]
    if (request === undefined) return false
    next += 1
    const outcome = await verify(request, gateway, tenant)
    if (!outcome.ok) throw new Error(`${name}: ${outcome.failure.code} ${outcome.failure.detail ?? ''}`)
    return true
  }
  while (next < WARM_UP) await verifyNext()
  await report(name, verifyNext)
}

/** Repeats `work` for one round, or until it is false, and prints what each cost; `perTurn` of them are under way at once. */
async function report(name: string, work: () => boolean | Promise<boolean>, perTurn = 1): Promise<void> {
  let done = 0
  const cpu = process.cpuUsage()
  const startedAt = performance.now()
  const turn = async () => {
    while (performance.now() - startedAt < ROUND_MILLISECONDS && (await work())) done += 1
  }
  await Promise.all(Array.from({ length: perTurn }, turn))
  const { user, system } = process.cpuUsage(cpu)
  const wall = (performance.now() - startedAt) / 1000
  const micros = (user + system) / done
  process.stdout.write(
    `${name.padEnd(34)} ${String(done).padStart(7)} verified, ${micros.toFixed(1).padStart(6)} us CPU each, ` +
      `${Math.round(1e6 / micros)} a core-second, ${Math.round(done / wall)} a second\n`,
  )
}

const signers = ['ES256', 'RS256', 'EdDSA'].map(makeKey)
const tenant = tenantFor(signers)
for (const key of signers) {
  const requests = Array.from({ length: 5_000 }, () => requestWith(makeToken(key), undefined))
  await measure(`${key.alg} token, never seen`, requests, tenant, false)
}
const [signer] = signers
if (signer !== undefined) {
  await measure('ES256 token, cached', [requestWith(makeToken(signer), undefined)], tenant, true)
  const bound = makeToken(signer, { jkt: thumbprint(client) })
  const proven = Array.from({ length: SAMPLES }, () => requestWith(bound, makeProof(bound)))
  await measure('cached token with a DPoP proof', proven, tenant, false)
}

/** What no bound request can do without, to compare with: one ES256 signature, here and on the threads of libuv. */
const text = Buffer.from('x'.repeat(400))
const signature = sign('sha256', text, client.privateKey)
const publicKey = createPublicKey(client.privateKey)
await report('ES256 signature alone', () => verifySignature('sha256', text, publicKey, signature))
const onThread = () =>
  new Promise<boolean>((resolve, reject) => {
    verifySignature('sha256', text, publicKey, signature, (fault, holds) =>
      fault === null ? resolve(holds) : reject(fault),
    )
  })
await report('ES256 signature alone, on threads', onThread, 32)
