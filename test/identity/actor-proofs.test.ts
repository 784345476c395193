import { createHash } from 'node:crypto'
import { type JWTPayload, SignJWT } from 'jose'
import { beforeAll, expect, test } from 'vitest'
import { createFetchJwks } from '#identity/jwks-fetch.ts'
import { createKeySets } from '#identity/key-sets.ts'
import { createVerify } from '#identity/verify.ts'
import { systemClock } from '#lib/clock.ts'
import type { Issuer } from '#model/issuer.ts'
import type { Revocation, Revocations } from '#model/revocation.ts'
import type { TenantState } from '#model/state.ts'
import type { TenantRules } from '#model/tenant-rules.ts'
import { RevocationSnapshot } from '#revocation/snapshot.ts'
import { type ProofKey, proofKey } from '../support/proofs.ts'
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

const KEYS = 'https://keys.acme.example'
/** c acts for b, who acts for a, who acts for alice. */
const CHAIN = ['c', 'b', 'a'] as const
type Name = (typeof CHAIN)[number]

let access: SigningKey
let own: Record<Name, ProofKey>
let stranger: ProofKey
let rules: TenantRules
beforeAll(async () => {
  access = await makeKey('ES256', 'k1')
  const [c, b, a] = await Promise.all([proofKey(), proofKey('Ed25519'), proofKey('ES384')])
  stranger = await proofKey()
  own = { c, b, a }
  rules = { actorKeys: { c: [c.jkt], b: [b.jkt], a: [a.jkt] } }
})

const keys = createKeySets({ fetch: createFetchJwks(), clock: systemClock, onFault: () => undefined })
const verify = createVerify({ keys })
/** Where the keys of actors are overdue. */
const verifyLate = createVerify({ keys: { ...keys, isStale: (_tenant, { issuer: of }) => of === KEYS } })

/** How one proof differs from what it should be. */
interface Change {
  readonly payload?: object
  readonly header?: object
  readonly key?: () => ProofKey
  /** The finished text. */
  readonly text?: (text: string) => unknown
}
interface Case {
  readonly changes?: Partial<Record<Name, Change>>
  /** `prh_alg` of all proofs, and the digest that they are linked by. */
  readonly linked?: readonly [string, string]
  /** Of the list of proofs, newest first. */
  readonly list?: (proofs: readonly unknown[]) => unknown
  readonly token?: JWTPayload
  readonly published?: (keys: Record<Name, ProofKey>) => object[]
  readonly source?: Partial<Issuer>
  readonly rules?: () => TenantRules
  readonly revocations?: () => Revocations
}

const digestOf = (text: unknown, algorithm = 'sha256') =>
  createHash(algorithm).update(String(text)).digest('base64url')

async function proof(
  name: Name,
  older: unknown,
  { payload, header, key, text }: Change = {},
  [algorithm, digest]: readonly [string?, string?] = [],
): Promise<unknown> {
  const { alg, jkt, privateKey } = (key ?? (() => own[name]))()
  const all = {
    iss: name,
    sub: 'alice',
    act: { sub: name, iss: ISSUER },
    target: { aud: AUDIENCE },
    iat: NOW_SECONDS - 60,
    exp: NOW_SECONDS + 600,
    jti: `proof-${name}`,
    prh: older === undefined ? undefined : digestOf(older, digest),
    prh_alg: algorithm,
    ...payload,
  }
  const kept = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
  const members = { alg, typ: 'actor-proof+jwt', kid: jkt, ...header }
  const named = Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
  const signed = await new SignJWT(kept).setProtectedHeader({ alg, ...named }).sign(privateKey)
  return text === undefined ? signed : text(signed)
}

async function chainOfProofs({ changes = {}, linked }: Case): Promise<readonly unknown[]> {
  const a = await proof('a', undefined, changes.a, linked)
  const b = await proof('b', a, changes.b, linked)
  return [await proof('c', b, changes.c, linked), b, a]
}

function tenantOf(test: Case): TenantState {
  const published = test.published?.(own) ?? Object.values(own).map(({ jwk, jkt }) => ({ ...jwk, kid: jkt }))
  const source = issuer([], {
    issuer: KEYS,
    profile: 'http-signature',
    audience: ['actor-proof'],
    algorithms: ['ES256', 'ES384', 'Ed25519'],
    types: [],
    keys: { kind: 'static', keys: published.map((key) => ({ ...key })) },
    ...test.source,
  })
  return tenantWith([issuer([access]), source], {
    rules: test.rules?.() ?? rules,
    ...(test.revocations !== undefined && { revocations: test.revocations() }),
  })
}

async function identityOf(test: Case = {}, by = verify) {
  const proofs = await chainOfProofs(test)
  const token = await sign(
    access,
    claims({
      act: { sub: 'c', act: { sub: 'b', act: { sub: 'a' } } },
      actor_proofs: test.list === undefined ? proofs : test.list(proofs),
      ...test.token,
    }),
  )
  const found = await by(request(bearer(token)), gateway(), tenantOf(test))
  // Proofs never deny: whoever leaves them out is no better off.
  if (!found.ok) expect.unreachable(found.failure.detail)
  return found.value
}

async function delegationOf(test: Case = {}) {
  return (await identityOf(test)).delegation
}

test('a chain that is signed with overdue keys of actors rests on these, one that is not does not', async () => {
  const signed = await identityOf({}, verifyLate)
  expect(signed).toMatchObject({ delegation: { isSigned: true }, staleKeys: [KEYS] })
  const broken = await identityOf({ changes: { a: { payload: { sub: 'mallory' } } } }, verifyLate)
  expect(broken.delegation).not.toHaveProperty('isSigned')
  expect(broken).not.toHaveProperty('staleKeys')
})

test.each<[string, Case]>([
  ['as the draft writes them', {}],
  ['that all name SHA-256', { linked: ['sha-256', 'sha256'] }],
  ['that are linked by SHA-512', { linked: ['sha-512', 'sha512'] }],
  [
    'whose newest allows more audiences than the token has',
    {
      changes: {
        c: { payload: { target: { aud: ['https://x.example', AUDIENCE], resource: ['https://r.example'] } } },
      },
    },
  ],
  [
    'whose older ones were for other audiences',
    { changes: { a: { payload: { target: { aud: 'https://idp.example' } } } } },
  ],
  ['whose newest is for this very token', { changes: { c: { payload: { origin_jti: 'token-1' } } } }],
  ['that name the namespace of the subject', { changes: { b: { payload: { sub_iss: ISSUER } } } }],
  [
    'that say which kind of actor each is',
    {
      token: { act: { sub: 'c', sub_profile: 'ai_agent service', act: { sub: 'b', act: { sub: 'a' } } } },
      changes: {
        c: { payload: { act: { sub: 'c', iss: ISSUER, sub_profile: 'Service AI_agent service' } } },
      },
    },
  ],
  ['beside which the issuer says that they are complete', { token: { actor_proofs_complete: true } }],
  ['with a claim that nobody knows', { changes: { b: { payload: { mood: 'calm' } } } }],
])('a chain is signed by proofs %s', async (_what, test) => {
  expect(await delegationOf(test)).toMatchObject({ isSigned: true })
})

test.each<[string, Case]>([
  ['is no list', { list: (proofs) => proofs[0] }],
  ['is empty', { list: () => [] }],
  ['lacks that of the oldest actor', { list: (proofs) => proofs.slice(0, 2) }],
  [
    'covers the newest actors alone',
    { changes: { b: { payload: { prh: undefined } } }, list: (proofs) => proofs.slice(0, 2) },
  ],
  ['lacks that of the newest actor', { list: (proofs) => proofs.slice(1) }],
  ['has one too many', { list: (proofs) => [...proofs, proofs[2]] }],
  ['is in another order', { list: (proofs) => proofs.toReversed() }],
  ['holds the same proof thrice', { list: (proofs) => [proofs[2], proofs[2], proofs[2]] }],
  ['holds something else than text', { list: (proofs) => [proofs[0], proofs[1], 7] }],
  ['is not called complete', { token: { actor_proofs_complete: false } }],
  ['is called complete in another type', { token: { actor_proofs_complete: 'true' } }],
  ['has proofs of nobody, for a token without actors', { token: { act: undefined } }],
  ['is for another chain', { token: { act: { sub: 'c', act: { sub: 'b', act: { sub: 'd' } } } } }],
  [
    'is for a chain of another namespace',
    { token: { act: { sub: 'c', iss: KEYS, act: { sub: 'b', act: { sub: 'a' } } } } },
  ],
])('a list of proofs that %s raises nothing', async (_what, test) => {
  expect(await delegationOf(test)).not.toHaveProperty('isSigned')
})

test.each<[string, Change]>([
  ['with the type of an access token', { header: { typ: 'at+jwt' } }],
  ['with the type of a receipt', { header: { typ: 'actor-receipt+jwt' } }],
  ['without a type', { header: { typ: undefined } }],
  ['without a kid', { header: { kid: undefined } }],
  ['with its own key', { header: { jwk: { kty: 'EC' } } }],
  ['with a header member too many', { header: { cty: 'JWT' } }],
  ['of an unknown key under its own name', { key: () => stranger }],
  ['of another key under the registered name', { header: { kid: 'REGISTERED' }, key: () => stranger }],
  ['of another actor of the chain', { key: () => own.c }],
  ['signed by another actor under its name', { header: { kid: 'REGISTERED' }, key: () => own.c }],
  ['whose signature was altered', { text: (text) => `${String(text).slice(0, -6)}AAAAAA` }],
  ['that is no JWT', { text: () => 'a.b' }],
  ['signed by somebody for it', { payload: { iss: 'c' } }],
  ['of another actor by its own word', { payload: { act: { sub: 'c', iss: ISSUER } } }],
  ['of another namespace', { payload: { act: { sub: 'b', iss: KEYS } } }],
  ['without a namespace', { payload: { act: { sub: 'b' } } }],
  ['with a chain of its own', { payload: { act: { sub: 'b', iss: ISSUER, act: { sub: 'a' } } } }],
  ['with a key in its actor', { payload: { act: { sub: 'b', iss: ISSUER, cnf: { jkt: 'x' } } } }],
  [
    'with a kind of actor that the token does not say',
    { payload: { act: { sub: 'b', iss: ISSUER, sub_profile: 'x' } } },
  ],
  ['for another subject', { payload: { sub: 'mallory' } }],
  ['for a subject of another namespace', { payload: { sub_iss: KEYS } }],
  ['with an audience', { payload: { aud: AUDIENCE } }],
  ['without a target', { payload: { target: undefined } }],
  ['with a target for nobody', { payload: { target: { aud: [] } } }],
  ['without an id', { payload: { jti: undefined } }],
  ['that has expired', { payload: { exp: NOW_SECONDS - 30 } }],
  ['without an end', { payload: { exp: undefined } }],
  ['with an end as text', { payload: { exp: '9999999999' } }],
  ['from the future', { payload: { iat: NOW_SECONDS + 31 } }],
  ['without a time', { payload: { iat: undefined } }],
  ['that is not valid yet', { payload: { nbf: NOW_SECONDS + 31 } }],
  ['without the digest of the older one', { payload: { prh: undefined } }],
  ['with the digest of another', { payload: { prh: digestOf('another') } }],
  ['linked by another algorithm than the others', { payload: { prh_alg: 'sha-256' } }],
])('one proof in the middle %s, and the chain is not signed', async (_what, change) => {
  const header = Object.entries(change.header ?? {}).map(([name, value]) => [
    name,
    value === 'REGISTERED' ? own.b.jkt : value,
  ])
  const changes = { b: { ...change, header: Object.fromEntries(header) as object } }
  expect(await delegationOf({ changes })).not.toHaveProperty('isSigned')
})

const lost = (id: string): Revocation => ({
  kind: 'key',
  id,
  revocation: 'r-1',
  source: 'admin',
  mode: 'deny',
  reason: 'lost',
})

test.each<[string, Case]>([
  [
    'the newest is for another audience',
    { changes: { c: { payload: { target: { aud: 'https://other.example' } } } } },
  ],
  ['the newest is for another token', { changes: { c: { payload: { origin_jti: 'token-0' } } } }],
  ['the oldest names one before it', { changes: { a: { payload: { prh: digestOf('older') } } } }],
  ['their digests are weak', { linked: ['sha-256-32', 'sha256'] }],
  [
    'an unknown digest excuses them from naming each other',
    {
      linked: ['sha-256-32', 'sha256'],
      changes: { b: { payload: { prh: undefined } }, c: { payload: { prh: undefined } } },
    },
  ],
  ['no key is registered for an actor', { rules: () => ({ actorKeys: { c: [own.c.jkt], b: [own.b.jkt] } }) }],
  [
    'an actor is called as a member of every object',
    { rules: () => ({ actorKeys: {} }), token: { act: { sub: 'constructor' } } },
  ],
  ['the keys are lent for something else', { source: { audience: ['web-bot-auth'] } }],
  ['the keys are those of an issuer of tokens', { source: { profile: 'rfc9068' } }],
  ['the algorithm is not accepted', { source: { algorithms: ['ES256', 'ES384'] } }],
  [
    'somebody else’s key is published under the thumbprint of an actor’s',
    {
      published: ({ c, b, a }) => [
        { ...c.jwk, kid: c.jkt },
        { ...b.jwk, kid: b.jkt },
        { ...stranger.jwk, kid: a.jkt },
      ],
      changes: { a: { key: () => ({ ...stranger, jkt: own.a.jkt }) } },
    },
  ],
  [
    'a key was revoked',
    {
      revocations: () =>
        RevocationSnapshot.empty.apply([{ revocation: lost(own.a.jkt), isInForce: true }], request().now),
    },
  ],
])('a chain is not signed where %s', async (_what, test) => {
  expect(await delegationOf(test)).not.toHaveProperty('isSigned')
})

test('what issuers attest about what they issued raises nothing, whoever signed it', async () => {
  const receipts = await Promise.all(
    CHAIN.map((name) =>
      proof(name, undefined, { header: { typ: 'actor-receipt+jwt' }, payload: { iss: ISSUER } }),
    ),
  )
  const token: JWTPayload = {
    actor_proofs: undefined,
    actor_receipts: receipts,
    actor_receipts_complete: true,
  }
  expect(await delegationOf({ token })).not.toHaveProperty('isSigned')
  expect(await delegationOf({ token: { ...token, actor_proofs: receipts } })).not.toHaveProperty('isSigned')
})
