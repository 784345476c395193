import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { createDelegations, type RegisteredGrant } from '#delegation/delegations.ts'
import { createFindAgent } from '#delegation/find-agent.ts'
import { guardDelegation } from '#delegation/guard.ts'
import { resolveDelegation } from '#delegation/resolve.ts'
import { guardAfter } from '#guards/after.ts'
import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'
import type { Actor, VerifiedIdentity } from '#model/identity.ts'
import type { Release } from '#model/release.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { TenantState } from '#model/state.ts'
import type { TenantRules } from '#model/tenant-rules.ts'
import { applyEntities, emptyRegistry } from '#registry/snapshot.ts'
import { request } from '../support/tokens.ts'
import { NOON } from '../support/world.ts'
import { AGENTS, agent, grant, HOME, ISSUER, TOOL } from './scene.ts'

/** One delegation with all that is registered about it. */
interface Drawn {
  readonly chain: readonly string[]
  readonly grants: readonly RegisteredGrant[]
  readonly rules: TenantRules
  readonly suspended: readonly string[]
  readonly scopes: readonly string[]
}

const names = fc.constantFrom('a', 'b', 'c', 'd')
const scopes = fc.uniqueArray(fc.constantFrom('read', 'write'))
const instants = fc.option(fc.constantFrom(NOON - 1, NOON, NOON + 1, NOON + 60_000), { nil: undefined })
const grants = fc.array(
  fc
    .record({
      from: fc.oneof(
        names.map((id) => `agent:${id}`),
        fc.constantFrom('user:alice', 'user:*'),
      ),
      to: names,
      tools: fc.option(fc.constantFrom([TOOL], ['crm/*'], ['other']), { nil: undefined }),
      scopes: fc.option(scopes, { nil: undefined }),
      isRevoked: fc.boolean(),
      expiresAt: instants,
    })
    .map(({ from, to, tools, scopes: granted, isRevoked, expiresAt }) =>
      grant(from, to, {
        isRevoked,
        ...(tools !== undefined && { tools }),
        ...(granted !== undefined && { scopes: granted }),
        ...(expiresAt !== undefined && { expiresAt: expiresAt as EpochMilliseconds }),
      }),
    ),
  { maxLength: 8 },
)
const drawn: fc.Arbitrary<Drawn> = fc.record({
  chain: fc.array(names, { minLength: 1, maxLength: 4 }),
  grants,
  rules: fc.record(
    {
      grantsRequired: fc.boolean(),
      chainDepthMax: fc.integer({ min: 1, max: 5 }),
      chainEvidenceMin: fc.constantFrom('declared', 'token', 'registered'),
      scopes: fc.constantFrom({ [TOOL]: ['read'] }, {}),
    },
    { requiredKeys: [] },
  ),
  suspended: fc.uniqueArray(names, { maxLength: 1 }),
  scopes,
})

/** What a delegation may do: nothing, or a call with these scopes until then. */
interface Allowed {
  readonly scopes: readonly string[]
  readonly endsAt: number
}

const release = { vocabulary: 'warder' } as Release
let call: AuthorizationRequest
beforeAll(() => {
  call = request({ now: NOON, tool: TOOL })
})

function judge({ chain, grants: registered, rules, suspended, scopes: held }: Drawn): Allowed | undefined {
  const entities = AGENTS.map((each) =>
    suspended.includes(each.uid.id) ? agent(each.uid.id, { status: 'suspended' }) : each,
  )
  const tenant: TenantState = {
    id: HOME,
    version: 1,
    registry: applyEntities(emptyRegistry(), entities, []),
    release,
    issuers: [],
    delegations: createDelegations(registered, []),
    rules,
  }
  const findAgent = createFindAgent(tenant, { tenant: () => undefined }, NOON)
  const identity = resolveDelegation(identityOf(chain, held), tenant, findAgent, NOON)
  if (guardAfter(identity, tenant, findAgent, NOON) !== undefined) return undefined
  const judged = guardDelegation({ identity, tenant, findAgent, tool: TOOL }, call, () => false)
  if (!judged.ok) return undefined
  const { token, delegation } = judged.value
  // Nothing is allowed that is over.
  if (delegation.endsAt !== undefined) expect(delegation.endsAt).toBeGreaterThanOrEqual(NOON / 1000)
  return { scopes: token?.scopes ?? [], endsAt: delegation.endsAt ?? Number.POSITIVE_INFINITY }
}

function identityOf(chain: readonly string[], held: readonly string[]): VerifiedIdentity {
  const party = (id: string) => ({ id, provenance: 'verified', properties: {} }) as const
  return {
    tenant: HOME,
    agent: party(chain[0] ?? ''),
    user: party('alice'),
    subject: undefined,
    delegation: { source: 'token', chain: chain.map((id): Actor => ({ issuer: ISSUER, id })) },
    token: {
      issuer: ISSUER,
      subject: 'alice',
      id: 'token-1',
      expiresAt: (NOON / 1000 + 600) as EpochSeconds,
      issuedAt: undefined,
      scopes: held,
    },
  }
}

/** `after` can do nothing that `before` could not. */
function isWithin(after: Allowed | undefined, before: Allowed | undefined): boolean {
  if (after === undefined) return true
  if (before === undefined) return false
  return after.scopes.every((scope) => before.scopes.includes(scope)) && after.endsAt <= before.endsAt
}

function holds(change: (facts: Drawn, at: number, name: string) => Drawn): void {
  fc.assert(
    fc.property(drawn, fc.nat(7), names, (facts, at, name) => {
      expect(isWithin(judge(change(facts, at, name)), judge(facts))).toBe(true)
    }),
    { numRuns: 2_000 },
  )
}

const changed = <T>(items: readonly T[], at: number, to: (item: T) => T) =>
  items.map((item, i) => (i === at % items.length ? to(item) : item))

test('revoking a grant never widens what may be done', () => {
  holds((facts, at) => ({
    ...facts,
    grants: changed(facts.grants, at, (each) => ({ ...each, isRevoked: true })),
  }))
})

test('shortening the life of a grant never widens what may be done', () => {
  const expiresAt = (NOON - 1) as EpochMilliseconds
  holds((facts, at) => ({ ...facts, grants: changed(facts.grants, at, (each) => ({ ...each, expiresAt })) }))
})

test('suspending any hop never widens what may be done, and suspending one of the chain leaves nothing', () => {
  const suspend = (facts: Drawn, name: string) => ({ ...facts, suspended: [...facts.suspended, name] })
  holds((facts, _, name) => suspend(facts, name))
  fc.assert(
    fc.property(drawn, fc.nat(3), (facts, at) => {
      const hop = facts.chain[at % facts.chain.length] ?? ''
      expect(judge(suspend(facts, hop))).toBeUndefined()
    }),
    { numRuns: 1_000 },
  )
})

const withPrior = ({ chain: [current = '', ...prior] }: Drawn, at: number, name: string) => [
  current,
  ...prior.toSpliced(at % (prior.length + 1), 0, name),
]

test('a prior actor that is added never widens what the present one may do', () => {
  const free = { grantsRequired: false, chainEvidenceMin: 'declared' } as const
  fc.assert(
    fc.property(drawn, fc.nat(7), names, (facts, at, name) => {
      const before = { ...facts, rules: { ...facts.rules, ...free } }
      expect(isWithin(judge({ ...before, chain: withPrior(before, at, name) }), judge(before))).toBe(true)
    }),
    { numRuns: 2_000 },
  )
})

test('where grants are demanded, one more actor is one more step that needs a grant', () => {
  fc.assert(
    fc.property(drawn, fc.nat(7), names, (facts, at, name) => {
      const demanded = { ...facts, rules: { ...facts.rules, grantsRequired: true } }
      const chain = withPrior(demanded, at, name)
      const without = demanded.grants.filter(({ from, to }) => from.id !== name && to !== name)
      expect(judge({ ...demanded, chain, grants: without })).toBeUndefined()
    }),
    { numRuns: 1_000 },
  )
})

test('a demand that is raised never widens what may be done', () => {
  holds((facts) => ({ ...facts, rules: { ...facts.rules, grantsRequired: true } }))
  holds((facts) => ({ ...facts, rules: { ...facts.rules, chainEvidenceMin: 'registered' } }))
  holds((facts) => ({ ...facts, rules: { ...facts.rules, actorRequired: ['callTool'] } }))
  holds((facts) => ({ ...facts, rules: { ...facts.rules, chainDepthMax: 1 } }))
})

test('the draws are allowed and denied, so that the rules above say something', () => {
  const outcomes = fc.sample(drawn, 500).map((facts) => judge(facts) !== undefined)
  expect(new Set(outcomes)).toEqual(new Set([true, false]))
})
