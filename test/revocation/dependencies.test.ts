import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { guardRevoked, guardStopped } from '#guards/revoked.ts'
import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'
import type { Delegations } from '#model/delegation.ts'
import type { VerifiedIdentity } from '#model/identity.ts'
import type { StoredEntity } from '#model/registry.ts'
import { type Dependency, REVOCATION_KINDS, type Revocation } from '#model/revocation.ts'
import type { TenantState } from '#model/state.ts'
import { applyEntities, emptyRegistry } from '#registry/snapshot.ts'
import { dependenciesOf, placesOf } from '#revocation/dependencies.ts'
import { request, tenantWith } from '../support/tokens.ts'
import { agent, delegated, listOf, NOW, revocation, token } from './subjects.ts'

const BLUEPRINT = { type: 'Warder::Blueprint', id: 'triage@3' }

function tenantOf(entities: readonly StoredEntity[], more: Partial<TenantState> = {}): TenantState {
  return tenantWith([], { registry: applyEntities(emptyRegistry(), entities, []), ...more })
}

const FAMILY = tenantOf([
  agent('root', {}, [BLUEPRINT]),
  agent('a', { spawnedBy: { __entity: { type: 'Warder::Agent', id: 'root' } } }),
  agent('b'),
  agent('c', { spawnedBy: 'b' }),
  agent('robot', { spawnedBy: 'robot' }),
  { ...agent('crm/read', { route: 'GET /crm' }), uid: { type: 'Warder::Tool', id: 'crm/read' } },
])

const GRANTS: Delegations = {
  grantsTo: (to) =>
    to === 'c'
      ? [
          { id: 'g-1', from: { kind: 'user', id: 'carol' }, to: 'c' },
          { id: 'g-2', from: { kind: 'agent', id: 'broker' }, to: 'c' },
          { id: 'g-unused', from: { kind: 'user', id: 'mallory' }, to: 'c' },
        ]
      : [],
  federations: [],
}

const FULL = delegated({
  token: token({
    session: 's-1',
    keyId: 'k-1',
    fingerprint: 'fp',
    client: 'portal',
    boundTo: { jkt: 'thumb', x5t: 'cert' },
  }),
  presenter: {
    proof: 'mtls',
    thumbprint: 'presented',
    certificate: { serial: '0A', issuer: 'O=Acme\nCN=ca', spiffeId: 'spiffe://acme/c' },
    workload: 'wimse://acme/c',
  },
  delegation: { ...delegated().delegation, grants: ['g-1', 'g-2'] },
})
const ASKED = request({ session: { id: 'run-7' }, declared: { task: 't-1' } })
const STATE = { ...FAMILY, delegations: GRANTS }

function stopOf(
  what: Dependency,
  identity: VerifiedIdentity = FULL,
  more: Partial<Revocation> = {},
  tenant: TenantState = STATE,
) {
  const dependencies = dependenciesOf(identity, ASKED, tenant)
  return guardRevoked(dependencies, listOf(revocation(what, more)), NOW, identity.token?.issuedAt)
}

describe('revoking it stops C acting for B acting for A acting for alice:', () => {
  test.each([
    ['the token', 'token', 'https://idp.example|jti-1'],
    ['the token without an id, by what was signed', 'token', 'https://idp.example|sha256:fp'],
    ['the subject at its issuer', 'subject', 'https://idp.example|alice'],
    ['the user, whoever asserts it', 'subject', '|alice'],
    ['the current actor', 'agent', 'c'],
    ['the actor in the middle', 'agent', 'b'],
    ['the first actor', 'agent', 'a'],
    ['an actor by its own issuer and subject', 'subject', 'https://idp.example|b'],
    ['an actor as the client that it is', 'client', 'b'],
    ['the client that obtained the token', 'client', 'portal'],
    ['that client as an agent', 'agent', 'portal'],
    ['who spawned the first actor', 'agent', 'root'],
    ['that it was spawned', 'edge', 'root>a'],
    ['the blueprint of who spawned an actor', 'blueprint', 'triage@3'],
    ['the step from the user to the first actor', 'edge', 'alice>a'],
    ['the step between two actors', 'edge', 'a>b'],
    ['the last step', 'edge', 'b>c'],
    ['the session at the issuer', 'session', 'https://idp.example|s-1'],
    ['the session that the gateway names', 'session', '|run-7'],
    ['a grant that was used', 'grant', 'g-1'],
    ['the user who granted it', 'subject', '|carol'],
    ['the agent that granted another', 'agent', 'broker'],
    ['that it was granted', 'edge', 'broker>c'],
    ['the key of the issuer', 'key', 'https://idp.example|k-1'],
    ['the key that the token is bound to', 'key', 'thumb'],
    ['the certificate that it is bound to', 'certificate', 'cert'],
    ['the key that was proven', 'key', 'presented'],
    ['the certificate that was presented', 'certificate', 'presented'],
    ['the serial of that certificate', 'certificate', 'CN=ca,O=Acme|A'],
    ['the serial as Node.js writes it', 'certificate', 'O=Acme\nCN=ca|0A'],
    ['its SPIFFE ID', 'client', 'spiffe://acme/c'],
    ['its workload', 'client', 'wimse://acme/c'],
    ['the task', 'task', 't-1'],
    ['the issuer', 'issuer', 'https://idp.example'],
  ] as const)('%s', (_name, kind, id) => {
    expect(stopOf({ kind, id })).toMatchObject({
      code: 'revoked.authority',
      challenge: { scheme: 'Bearer', error: 'invalid_token' },
    })
  })

  test.each([
    ['the tool', 'tool', 'crm/read'],
    ['the server of the tool', 'tool', 'crm/*'],
    ['the tenant', 'tenant', 'acme'],
    ['everything', 'everything', '*'],
  ] as const)('%s, without asking for a new token', (_name, kind, id) => {
    const stop = stopOf({ kind, id }, FULL, { mode: 'kill' })
    expect(stop).toMatchObject({ code: 'revoked.stopped' })
    expect(stop).not.toHaveProperty('challenge')
    expect(guardStopped(placesOf(ASKED, STATE), listOf(revocation({ kind, id })), NOW)).toMatchObject({
      code: 'revoked.stopped',
    })
  })

  test('every kind is among the cases above', () => {
    const all = dependenciesOf(FULL, ASKED, STATE).map(({ kind }) => kind)
    expect(new Set(all)).toEqual(new Set(REVOCATION_KINDS))
  })
})

test.each([
  ['another token', 'token', 'https://idp.example|jti-2'],
  ['the same id at another issuer', 'token', 'https://other.example|jti-1'],
  ['another agent', 'agent', 'd'],
  ['the step in the other direction', 'edge', 'c>b'],
  ['a grant that was not used', 'grant', 'g-unused'],
  ['who gave a grant that was not used', 'subject', '|mallory'],
  ['another tenant', 'tenant', 'globex'],
] as const)('revoking %s stops nothing', (_name, kind, id) => {
  expect(stopOf({ kind, id })).toBeUndefined()
})

test('the answer is the same bytes whichever hop it was, and only the detail tells', () => {
  const stops = [
    stopOf({ kind: 'agent', id: 'a' }),
    stopOf({ kind: 'token', id: 'https://idp.example|jti-1' }),
    stopOf({ kind: 'edge', id: 'root>a' }),
  ]
  const outside = stops.map((stop) => JSON.stringify({ ...stop, detail: undefined }))
  expect(new Set(outside).size).toBe(1)
  expect(stops[0]?.detail).toContain('deny of agent `a`')
})

test('a route is stopped as the tool that it is, before anything is verified', () => {
  const asked = request({
    tool: undefined,
    route: { method: 'GET', path: '/crm', host: undefined },
  })
  for (const id of ['crm/read', 'GET /crm'])
    expect(
      guardStopped(placesOf(asked, FAMILY), listOf(revocation({ kind: 'tool', id })), NOW),
    ).toMatchObject({ code: 'revoked.stopped' })
})

test('before verification nothing that asks for newer tokens stops anybody', () => {
  const epoch = revocation({ kind: 'tenant', id: 'acme' }, { issuedBefore: 1_800_000_000 as EpochSeconds })
  expect(guardStopped(placesOf(ASKED, STATE), listOf(epoch), NOW)).toBeUndefined()
  expect(stopOf(epoch, FULL, epoch)).toMatchObject({ code: 'revoked.stopped' })
})

test("a tenant's own vocabulary: its subject is stopped as a subject and as an agent", () => {
  const own = delegated({
    agent: undefined,
    user: undefined,
    token: undefined,
    delegation: { source: 'none', chain: [] },
    subject: { uid: { type: 'robot', id: 'r2' }, provenance: 'gateway', properties: {} },
  })
  for (const what of [
    { kind: 'subject', id: '|r2' },
    { kind: 'subject', id: '|robot::r2' },
    { kind: 'agent', id: 'r2' },
  ] as const)
    expect(stopOf(what, own)).toMatchObject({ code: 'revoked.authority' })
})

test('revoking the issuer of a prior actor stops the call, though another issued the token', () => {
  const chain = [
    { issuer: 'https://idp.example', id: 'c' },
    { issuer: 'https://partner.example', id: 'b' },
  ]
  const mixed = delegated({ delegation: { source: 'token', chain } })
  expect(stopOf({ kind: 'issuer', id: 'https://partner.example' }, mixed)).toMatchObject({
    code: 'revoked.authority',
  })
})

describe('time', () => {
  const what = { kind: 'agent', id: 'b' } as const
  const at = (seconds: number) => delegated({ token: token({ issuedAt: seconds as EpochSeconds }) })
  const issuedBefore = 1_799_999_000 as EpochSeconds

  test.each([
    ['issued before the epoch', at(1_799_998_999), true],
    ['issued at the epoch', at(1_799_999_000), false],
    ['that does not say when it was issued', delegated({ token: token({ issuedAt: undefined }) }), true],
    ['asserted without a token', delegated({ token: undefined }), true],
    ['with a date that is no number', at(Number.NaN), true],
  ])('an epoch and a token %s: stopped is %s', (_name, identity, isStopped) => {
    expect(stopOf(what, identity, { issuedBefore }) !== undefined).toBe(isStopped)
  })

  test.each([
    [1, true],
    [0, false],
    [-1, false],
  ])('a revocation that ends %i ms from now: stopped is %s', (milliseconds, isStopped) => {
    const expiresAt = (NOW + milliseconds) as EpochMilliseconds
    expect(stopOf(what, FULL, { expiresAt }) !== undefined).toBe(isStopped)
  })

  test('a breaker says when to come back, and asks for no new token', () => {
    const expiresAt = (NOW + 12_300) as EpochMilliseconds
    const stop = stopOf(what, FULL, { mode: 'breaker', expiresAt })
    expect(stop).toMatchObject({ code: 'revoked.breaker', retryAfterSeconds: 13 })
    expect(stop).not.toHaveProperty('challenge')
  })
})

test('two revocations of one thing both count: lifting one leaves the other', () => {
  const what = { kind: 'agent', id: 'b' } as const
  const [first, second] = ['1', '2'].map((id) => revocation(what, { revocation: id }))
  if (first === undefined || second === undefined) throw new Error('unreachable')
  const both = listOf(first, second)
  const one = both.apply([{ revocation: first, isInForce: false }], NOW)
  expect(one.find([what], NOW, undefined)).toBe(second)
  expect(
    one.apply([{ revocation: second, isInForce: false }], NOW).find([what], NOW, undefined),
  ).toBeUndefined()
  expect(both.find([what], NOW, undefined)).toBe(first)
})

test('agents that spawned each other in a circle end the search', () => {
  const circle = tenantOf([agent('c', { spawnedBy: 'b' }), agent('b', { spawnedBy: 'c' })])
  const agents = dependenciesOf(delegated(), ASKED, circle).filter(({ kind }) => kind === 'agent')
  expect(agents.map(({ id }) => id).toSorted()).toEqual(['a', 'b', 'c'])
})

test('adding a revocation never turns a deny into an allow', () => {
  const dependency = fc.record({
    kind: fc.constantFrom(...REVOCATION_KINDS),
    id: fc.constantFrom('*', 'a', 'b', 'c', '|alice', 'acme', 'crm/read', 'https://idp.example|jti-1', 'x'),
  })
  const any = fc.tuple(
    dependency,
    fc.option(fc.integer({ min: -5, max: 5 })),
    fc.option(fc.integer({ min: -5, max: 5 })),
  )
  fc.assert(
    fc.property(fc.array(any, { maxLength: 8 }), any, (before, added) => {
      const made = [...before, added].map(([what, ends, epoch], i) =>
        revocation(what, {
          revocation: `${i}`,
          ...(ends !== null && { expiresAt: (NOW + ends) as EpochMilliseconds }),
          ...(epoch !== null && { issuedBefore: (1_799_999_900 + epoch) as EpochSeconds }),
        }),
      )
      const dependencies = dependenciesOf(FULL, ASKED, STATE)
      const find = (list: readonly Revocation[]) =>
        listOf(...list).find(dependencies, NOW, FULL.token?.issuedAt)
      expect(find(made.slice(0, -1)) !== undefined && find(made) === undefined).toBe(false)
    }),
    { numRuns: 300 },
  )
})
