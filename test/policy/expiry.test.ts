import { createHash, randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import { createProofStep } from '#identity/proof/proof-step.ts'
import { createMemoryReplayStore } from '#identity/proof/replay.ts'
import type { Issuer } from '#model/issuer.ts'
import type { Proofs } from '#model/request.ts'
import { entity } from '../support/entity.ts'
import { callWith, dpopProof, HTU, type ProofKey, proofKey, SETTINGS } from '../support/proofs.ts'
import { claims, issuer, makeKey, type SigningKey, sign } from '../support/tokens.ts'
import { createWorld, NOON, policyFile, type World } from '../support/world.ts'

const NOW = NOON / 1000
const MAX_AGE = 300
const WORKLOAD = 'spiffe://acme.example/agents/1'
const DIGEST = Buffer.alloc(32, 7)
const AGENTS = ['agent-1', WORKLOAD].map((id) =>
  entity('Agent', id, { status: 'active', environment: 'any' }),
)
const TOOL = entity('Tool', 'crm/read', {
  riskTier: 'low',
  sideEffect: 'read',
  touches: [],
  environment: 'any',
})
const READ = entity('Action', 'crm/read', {}, ['readTools'])
const POLICIES = `
  @id("all") @obligation("{\\"type\\":\\"max_age\\",\\"seconds\\":${MAX_AGE}}")
  permit (principal, action in Warder::Action::"callTool", resource);
  @id("alone") @obligation("{\\"type\\":\\"max_age\\",\\"seconds\\":${MAX_AGE}}")
  permit (principal, action in Warder::Action::"callTool", resource) when { context.autonomous };`

let signer: SigningKey
let domain: SigningKey
let key: ProofKey
let world: World
beforeAll(async () => {
  signer = await makeKey('ES256', 'k1')
  domain = await makeKey('ES256', 'd1')
  key = await proofKey()
  const replay = createMemoryReplayStore()
  const trustDomain: Issuer = {
    ...issuer([]),
    issuer: 'spiffe://acme.example',
    profile: 'spiffe',
    keys: { kind: 'static', keys: [{ ...domain.jwk, use: 'jwt-svid' }] },
  }
  world = await createWorld('acme', {
    policies: [policyFile(POLICIES)],
    entities: [...AGENTS, TOOL, READ],
    issuers: [issuer([signer]), trustDomain],
    gateway: { settings: { ...SETTINGS, certificateSource: 'xfcc' } },
    proofs: createProofStep({ replay, nonceSecret: () => new Uint8Array(32), onFault: () => undefined }),
  })
})

const token = (more: object = {}) => sign(signer, claims({ iat: NOW - 60, exp: NOW + 3_000, ...more }))

async function expiryOf(
  text: string | undefined,
  scheme: 'bearer' | 'dpop' = 'bearer',
  proofs: Partial<Proofs> = {},
) {
  const call = callWith(text ?? '', scheme, proofs, { now: NOON, tool: 'crm/read' })
  const asked = text === undefined ? { ...call, credentials: [] } : call
  const { effect, reasons, expiresAt } = await world.decider.decide(asked, world.gateway)
  expect(new Set(reasons.map(({ code }) => code))).toEqual(new Set(['policy.permit']))
  expect(effect).toBe('allow')
  return expiresAt
}

test('an allow that rests on no proof may be reused as long as its policies let, and never beyond the token', async () => {
  expect(await expiryOf(await token())).toBe(NOW + MAX_AGE)
  expect(await expiryOf(await token({ exp: NOW + 20 }))).toBe(NOW + 20)
})

test('an allow that rests on a DPoP proof expires at once', async () => {
  const bound = await token({ cnf: { jkt: key.jkt } })
  const dpop = [await dpopProof(key, bound, { iat: NOW })]
  expect(await expiryOf(bound, 'dpop', { dpop })).toBe(NOW)
})

test('an allow for a token that is bound to a certificate expires at once', async () => {
  const bound = await token({ cnf: { 'x5t#S256': DIGEST.toString('base64url') } })
  const value = `Hash=${DIGEST.toString('hex')}`
  expect(await expiryOf(bound, 'bearer', { certificates: [{ source: 'xfcc', value }] })).toBe(NOW)
})

test('an allow for a workload that proved its key expires at once', async () => {
  const cnf = { jwk: { ...key.jwk, alg: 'ES256' } }
  const wit = await new SignJWT({ sub: WORKLOAD, exp: NOW + 600, cnf })
    .setProtectedHeader({ alg: 'ES256', typ: 'wit+jwt', kid: 'd1' })
    .sign(domain.privateKey)
  const wth = createHash('sha256').update(wit).digest('base64url')
  const wpt = await new SignJWT({ aud: HTU, exp: NOW + 60, jti: randomUUID(), wth })
    .setProtectedHeader({ alg: 'ES256', typ: 'wpt+jwt' })
    .sign(key.privateKey)
  expect(await expiryOf(undefined, 'bearer', { workloadToken: [wit], workloadProof: [wpt] })).toBe(NOW)
})
