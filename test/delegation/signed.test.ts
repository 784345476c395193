import { createHash, randomUUID } from 'node:crypto'
import { SignJWT } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import { createDelegations } from '#delegation/delegations.ts'
import { createProofStep } from '#identity/proof/proof-step.ts'
import { createMemoryReplayStore } from '#identity/proof/replay.ts'
import type { Release } from '#model/release.ts'
import type { TenantRules } from '#model/tenant-rules.ts'
import { callWith, dpopProof, type ProofKey, proofKey, SETTINGS } from '../support/proofs.ts'
import { AUDIENCE, issuer, makeKey, type SigningKey, sign } from '../support/tokens.ts'
import { createWorld, NOON, policyFile, releaseOf } from '../support/world.ts'
import { AGENTS, act, codeOf, grant, ISSUER, TOOLS } from './scene.ts'

const SECOND = NOON / 1000
const GRANTS = [grant('user:alice', 'a'), grant('agent:a', 'b'), grant('user:alice', 'b')]

let access: SigningKey
let client: ProofKey
let own: Readonly<Record<'a' | 'b', ProofKey>>
let release: Release
beforeAll(async () => {
  access = await makeKey('ES256', 'k1')
  const [a, b, c] = await Promise.all([proofKey(), proofKey(), proofKey()])
  own = { a, b }
  client = c
  release = await releaseOf([
    policyFile(`
      @id("agents") permit (principal is Warder::Agent, action, resource)
        when { context.delegation.evidence == "signed" && !context.autonomous };
      @id("users") permit (principal is Warder::User, action, resource);
    `),
  ])
})

async function proof(name: 'a' | 'b', older?: string): Promise<string> {
  const { alg, jkt, privateKey } = own[name]
  const prh = older === undefined ? {} : { prh: createHash('sha256').update(older).digest('base64url') }
  const payload = {
    iss: name,
    sub: 'alice',
    act: { sub: name, iss: ISSUER },
    target: { aud: AUDIENCE },
    ...prh,
  }
  return await new SignJWT({ ...payload, iat: SECOND - 60, exp: SECOND + 600, jti: randomUUID() })
    .setProtectedHeader({ alg, typ: 'actor-proof+jwt', kid: jkt })
    .sign(privateKey)
}

interface Asked {
  readonly signed?: boolean
  readonly bound?: boolean
  readonly grants?: typeof GRANTS
  readonly rules?: TenantRules
}

async function decide({ signed = true, bound = true, grants = GRANTS, rules = {} }: Asked) {
  const published = Object.values(own).map(({ jwk, jkt }) => ({ ...jwk, kid: jkt }))
  const lent = {
    issuer: 'https://keys.example',
    profile: 'http-signature',
    audience: ['actor-proof'],
  } as const
  const world = await createWorld('acme', {
    policies: [],
    release,
    entities: [...TOOLS, ...AGENTS],
    issuers: [
      issuer([access]),
      issuer([], { ...lent, types: [], keys: { kind: 'static', keys: published } }),
    ],
    delegations: createDelegations(grants, []),
    rules: { actorKeys: { a: [own.a.jkt], b: [own.b.jkt] }, ...rules },
    proofs: createProofStep({
      replay: createMemoryReplayStore(),
      nonceSecret: () => new Uint8Array(32),
      onFault: () => expect.unreachable(),
    }),
    gateway: { settings: SETTINGS },
  })
  const a = await proof('a')
  const token = await sign(access, {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: 'alice',
    client_id: 'b',
    jti: 'token-1',
    iat: SECOND - 60,
    exp: SECOND + 600,
    act: act('b', 'a'),
    ...(signed && { actor_proofs: [await proof('b', a), a] }),
    ...(bound && { cnf: { jkt: client.jkt } }),
  })
  const dpop = bound ? [await dpopProof(client, token, { iat: SECOND })] : []
  const call = callWith(token, bound ? 'dpop' : 'bearer', { dpop }, { now: NOON })
  return { decision: await world.decider.decide(call, world.gateway), rows: world.rows }
}

test('a chain whose actors all signed, with grants and the key shown, is signed: for rules, policies and the row', async () => {
  const { decision, rows } = await decide({ rules: { chainEvidenceMin: 'signed' } })
  expect(codeOf(decision)).toBe('policy.permit')
  expect(rows[0]?.facts).toMatchObject({ identity: { delegation: { evidence: 'signed' } } })
})

test.each<[string, Asked, string]>([
  ['without the proofs', { signed: false }, 'proven'],
  ['without the key', { bound: false }, 'registered'],
  ['without a grant', { grants: GRANTS.slice(1) }, 'token'],
])('%s it is less, for rules and policies', async (_what, less, evidence) => {
  const demanded = await decide({ ...less, rules: { chainEvidenceMin: 'signed' } })
  expect(codeOf(demanded.decision)).toBe('chain.evidence')
  const { decision, rows } = await decide(less)
  expect(codeOf(decision)).toBe('policy.no_permit')
  expect(rows[0]?.facts).toMatchObject({ identity: { delegation: { evidence } } })
})

test('the row says which proof does not hold', async () => {
  const { rows } = await decide({ rules: { chainEvidenceMin: 'signed', actorKeys: { b: [own.b.jkt] } } })
  expect(rows[0]?.trace['detail']).toBe('proven, at least signed; the key of proof 1')
})

test('a chain that is signed meets every lower demand', async () => {
  for (const chainEvidenceMin of ['declared', 'token', 'registered', 'proven'] as const)
    expect(codeOf((await decide({ rules: { chainEvidenceMin } })).decision)).toBe('policy.permit')
})
