import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addAgent, stepAgent } from '#admin/agents.ts'
import { acceptFederation, proposeFederation, withdrawFederation } from '#admin/federations.ts'
import { addGrant, revokeGrant } from '#admin/grants.ts'
import { importRegistry } from '#admin/import-registry.ts'
import type { AdminStore } from '#admin/ports.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import { assembleRelease } from '#policy/engine/release-index.ts'
import { applyEntities, emptyRegistry } from '#registry/snapshot.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { createWriter } from '#store/audit.ts'
import { registerEphemeral } from '#store/ephemeral-agents.ts'
import { loadTenant } from '#store/tenant-loader.ts'
import { appendRowsTo } from '../support/append-rows.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { logRow, newTenant } from '../support/store-samples.ts'

let db: TestDatabase
let store: AdminStore
beforeAll(async () => {
  db = await openTestDatabase()
  store = createAdminStore(db, { actor: 'cli:ann', role: 'owner', route: 'test' })
})
afterAll(() => db.close())

const now = Date.now() as EpochMilliseconds
const secret = new Uint8Array(32).fill(7)
const load = async (tenant: TenantId) => {
  const loaded = await loadTenant(db.sql, tenant, undefined, {
    assembleRelease,
    applyEntities,
    emptyRegistry,
  })
  if (loaded === undefined) throw new Error('no such tenant')
  return loaded
}

async function tenantOf(): Promise<TenantId> {
  const tenant = newTenant()
  await store.addTenant(tenant)
  return tenant
}

async function auditOf(tenant: TenantId) {
  return await store.listAudit({ tenants: [tenant] }, { limit: 50 })
}

describe('grants', () => {
  test('a grant reaches the state with its ceilings; a revoked one is over and still governs its step', async () => {
    const tenant = await tenantOf()
    const ceilings = { scopes: ['read'], tools: ['crm/*'], authorizationDetails: [{ type: 'tool_call' }] }
    const request = { tenant, from: 'user:*', to: 'bot', ...ceilings, expiresInSeconds: 60, reason: 'sales' }
    const added = await addGrant(store, request, now)
    if (!added.ok) throw new Error(added.failure.message)
    expect(added.value).toMatchObject({ from: 'user:*', to: 'bot', created_by: 'cli:ann', revoked_at: null })
    const { grant } = added.value
    const before = await load(tenant)
    expect(before.delegations.grantsTo('bot', now)).toMatchObject([
      { id: grant, from: { kind: 'user', id: '*' }, to: 'bot', ...ceilings, expiresAt: now + 60_000 },
    ])
    expect(before.delegations.grantsTo('bot', (now + 60_000) as EpochMilliseconds)).toEqual([])

    expect(await revokeGrant(store, { tenant, grant, reason: 'left sales' })).toMatchObject({
      ok: true,
      value: { revoked_reason: 'left sales' },
    })
    const after = await load(tenant)
    expect(after.version).toBeGreaterThan(before.version)
    expect(after.delegations.grantsTo('bot', now)).toEqual([])
    expect(after.delegations.isGoverned?.({ kind: 'user', id: 'alice' }, 'bot')).toBe(true)
    const listed = await store.listRevocations({ tenant, includeOver: false }, { limit: 10 })
    expect(listed).toMatchObject([{ kind: 'grant', id: grant, reason: 'left sales', actor: 'cli:ann' }])
    expect((await auditOf(tenant)).map(({ target }) => target)).toContain(`grant ${grant}`)
  })

  test('a grant that is over, or of another tenant, is unknown to who revokes', async () => {
    const [tenant, other] = [await tenantOf(), await tenantOf()]
    const added = await addGrant(store, { tenant, from: 'user:a', to: 'b', reason: 'r' }, now)
    const grant = added.ok ? added.value.grant : ''
    expect(await revokeGrant(store, { tenant: other, grant, reason: 'r' })).toMatchObject({ ok: false })
    expect(await revokeGrant(store, { tenant, grant, reason: 'r' })).toMatchObject({ ok: true })
    expect(await revokeGrant(store, { tenant, grant, reason: 'r' })).toMatchObject({
      failure: { code: 'grant.unknown' },
    })
    expect(await store.listGrants(tenant, { includeOver: false }, { limit: 10 })).toEqual([])
    expect(await store.listGrants(tenant, { includeOver: true, from: 'user:a' }, { limit: 10 })).toHaveLength(
      1,
    )
  })

  test.each<[string, object, string]>([
    ['a grant from nobody', { from: 'alice' }, 'grant.invalid'],
    ['a grant from every agent', { from: 'agent:*' }, 'grant.invalid'],
    ['a grant to everybody', { to: '*' }, 'grant.invalid'],
    ['a grant to itself', { from: 'agent:b' }, 'grant.invalid'],
    ['a grant with a name that can not be shown', { tools: ['a\nb'] }, 'grant.invalid'],
    ['a grant that ends before it begins', { expiresInSeconds: 0 }, 'grant.invalid'],
    ['details without a type', { authorizationDetails: [{}] }, 'grant.invalid'],
    ['a grant without a reason', { reason: ' ' }, 'grant.invalid'],
    ['a grant in no tenant', { tenant: 'nowhere-at-all' }, 'tenant.unknown'],
  ])('%s is refused', async (_, change, code) => {
    const tenant = await tenantOf()
    const request = { tenant, from: 'user:a', to: 'b', reason: 'r', ...change }
    expect(await addGrant(store, request, now)).toMatchObject({ ok: false, failure: { code } })
  })
})

// biome-ignore lint/complexity/noExcessiveLinesPerFunction: a suite is one list of guarantees
describe('the life of an agent', () => {
  const statusOf = async (tenant: TenantId, agent: string) =>
    (await load(tenant)).registry.find({ type: 'Warder::Agent', id: agent })?.attrs['status']

  test('registered, activated by an owner, suspended, resumed, retired; each with actor and reason in the audit', async () => {
    const tenant = await tenantOf()
    const step = (action: 'activate' | 'suspend' | 'resume' | 'retire', more: object = {}) =>
      stepAgent(store, action, { tenant, agent: 'bot', reason: `to ${action}`, ...more }, now)
    expect(await addAgent(store, { tenant, agent: 'bot', reason: 'new' }, now)).toMatchObject({
      value: { agent: 'bot', status: 'pending', owner: null },
    })
    expect(await step('activate')).toMatchObject({ failure: { code: 'agent.ownerless' } })
    expect(await statusOf(tenant, 'bot')).toBe('pending')
    expect(await step('activate', { owner: 'ann' })).toMatchObject({
      value: { status: 'active', owner: 'ann' },
    })
    expect(await step('suspend')).toMatchObject({ value: { status: 'suspended' } })
    expect(await step('activate')).toMatchObject({ failure: { code: 'agent.state' } })
    expect(await step('resume')).toMatchObject({ value: { status: 'active' } })
    expect(await statusOf(tenant, 'bot')).toBe('active')
    expect(await step('retire')).toMatchObject({ value: { status: 'retired' } })
    for (const action of ['activate', 'suspend', 'resume', 'retire'] as const)
      expect(await step(action)).toMatchObject({ failure: { code: 'agent.state' } })
    const steps = (await auditOf(tenant)).flatMap(({ target, actor, after }) =>
      target === 'agent bot' && after !== null && typeof after === 'object' && 'environment' in after
        ? [[actor, after['reason']]]
        : [],
    )
    expect(steps.toReversed()).toEqual([
      ['cli:ann', 'new'],
      ...['activate', 'suspend', 'resume', 'retire'].map((action) => ['cli:ann', `to ${action}`]),
    ])
  })

  test('retiring ends every grant to and from the agent and puts it on the deny list', async () => {
    const tenant = await tenantOf()
    await addAgent(store, { tenant, agent: 'bot', reason: 'new' }, now)
    for (const [from, to] of [
      ['user:alice', 'bot'],
      ['agent:bot', 'helper'],
      ['user:alice', 'helper'],
    ] as const)
      await addGrant(store, { tenant, from, to, reason: 'r' }, now)
    await stepAgent(store, 'retire', { tenant, agent: 'bot', reason: 'gone' }, now)
    const left = await store.listGrants(tenant, { includeOver: false }, { limit: 10 })
    expect(left).toMatchObject([{ from: 'user:alice', to: 'helper' }])
    const denied = await store.listRevocations({ tenant, includeOver: false }, { limit: 10 })
    expect(denied.map(({ kind }) => kind).toSorted()).toEqual(['agent', 'grant', 'grant'])
  })

  test('the id of a retired agent is not used again, by no way', async () => {
    const tenant = await tenantOf()
    await addAgent(store, { tenant, agent: 'bot', reason: 'new' }, now)
    await stepAgent(store, 'retire', { tenant, agent: 'bot', reason: 'gone' }, now)
    const again = () => addAgent(store, { tenant, agent: 'bot', reason: 'again' }, now)
    expect(await again()).toMatchObject({ failure: { code: 'agent.exists' } })
    const text = JSON.stringify({ agents: ['bot'] })
    expect(await importRegistry(store, { tenant, text })).toMatchObject({
      failure: { code: 'agent.retired' },
    })
    await store.removeEntities(tenant, [{ type: 'Warder::Agent', id: 'bot' }])
    expect(await again()).toMatchObject({ failure: { code: 'agent.exists' } })
    expect(await importRegistry(store, { tenant, text })).toMatchObject({
      failure: { code: 'agent.retired' },
    })
    expect(await statusOf(tenant, 'bot')).toBeUndefined()
  })

  test('a blueprint bounds the lifetime of who becomes active', async () => {
    const tenant = await tenantOf()
    const uid = { type: 'Warder::Blueprint', id: 'short' }
    await store.putEntities(tenant, [{ uid, attrs: { lifetimeSeconds: 60 }, tags: {}, parents: [] }])
    const add = (agent: string, expiresInSeconds?: number) =>
      addAgent(
        store,
        { tenant, agent, owner: 'ann', blueprints: ['short'], expiresInSeconds, reason: 'r' },
        now,
      )
    const activate = (agent: string) => stepAgent(store, 'activate', { tenant, agent, reason: 'r' }, now)
    await add('endless')
    await add('long', 61)
    await add('brief', 60)
    expect(await activate('endless')).toMatchObject({ failure: { code: 'agent.limit' } })
    expect(await activate('long')).toMatchObject({ failure: { code: 'agent.limit' } })
    expect(await activate('brief')).toMatchObject({ value: { status: 'active' } })
  })

  test('dormant and ownerless agents are listed', async () => {
    const tenant = await tenantOf()
    await addAgent(store, { tenant, agent: 'orphan', reason: 'r' }, now)
    await addAgent(store, { tenant, agent: 'owned', owner: 'ann', reason: 'r' }, now)
    const list = async (filter: object) =>
      (await store.listAgents(tenant, filter, { limit: 10 })).map(({ agent }) => agent)
    expect(await list({})).toEqual(['orphan', 'owned'])
    expect(await list({ ownerless: true })).toEqual(['orphan'])
    expect(await list({ dormantDays: 30 })).toEqual(['orphan', 'owned'])
    expect(await store.findAgent(tenant, 'owned')).toMatchObject({ owner: 'ann', last_decision_at: null })
    expect(await store.findAgent(tenant, 'nobody')).toBeUndefined()
    const decided_at = new Date(now).toISOString()
    const row = (agent: string, explained: string) =>
      logRow(tenant, `w-${tenant}-${agent}`, 1, { agent, decided_at, trace: { explained } })
    await appendRowsTo(db)([row('orphan', 'operator'), row('owned', 'agent')])
    // Who only asks why an agent may not act makes it look no less dormant.
    expect(await list({ dormantDays: 30 })).toEqual(['orphan'])
  })
})

// biome-ignore lint/complexity/noExcessiveLinesPerFunction: a suite is one list of guarantees
describe('federations', () => {
  const terms = { agents: ['guest'], tools: ['crm/*'], expiresInSeconds: 3_600, direction: 'in' }

  async function proposed(): Promise<{ home: TenantId; foreign: TenantId; federation: string }> {
    const [home, foreign] = [await tenantOf(), await tenantOf()]
    const made = await proposeFederation(store, secret, { tenant: home, with: foreign, ...terms }, now)
    if (!made.ok) throw new Error(made.failure.message)
    expect(made.value).toMatchObject({ state: 'proposed', signed_by: [home], home, foreign })
    return { home, foreign, federation: made.value.federation }
  }
  const statesOf = async (tenant: TenantId) => (await load(tenant)).delegations.federations

  test('what both have signed reaches both states, each from its side', async () => {
    const { home, foreign, federation } = await proposed()
    expect(await statesOf(home)).toEqual([])
    const accepted = await acceptFederation(store, secret, { tenant: foreign, federation }, now)
    expect(accepted).toMatchObject({ value: { state: 'in force', signed_by: [home, foreign] } })
    const common = {
      id: federation,
      home,
      foreign,
      agents: ['guest'],
      tools: ['crm/*'],
      roles: ['subject', 'actor'],
    }
    expect(await statesOf(home)).toMatchObject([{ ...common, direction: 'in' }])
    expect(await statesOf(foreign)).toMatchObject([{ ...common, direction: 'out' }])
    for (const tenant of [home, foreign])
      expect(
        (await auditOf(tenant)).filter(({ target }) => target === `federation ${federation}`),
      ).toHaveLength(2)
  })

  test('the side that proposed can not accept for the other, nor can a third', async () => {
    const { home, federation } = await proposed()
    expect(await acceptFederation(store, secret, { tenant: home, federation }, now)).toMatchObject({
      failure: { code: 'federation.state' },
    })
    const third = await tenantOf()
    for (const act of [
      acceptFederation(store, secret, { tenant: third, federation }, now),
      withdrawFederation(store, { tenant: third, federation, reason: 'r' }, now),
    ])
      expect(await act).toMatchObject({ failure: { code: 'federation.unknown' } })
    expect(await statesOf(home)).toEqual([])
  })

  test.each(['home', 'foreign'] as const)(
    'the %s side withdraws alone, and it is over for both',
    async (side) => {
      const both = await proposed()
      await acceptFederation(store, secret, { tenant: both.foreign, federation: both.federation }, now)
      const tenant = both[side]
      const ended = await withdrawFederation(store, { tenant, federation: both.federation, reason: 'r' }, now)
      expect(ended).toMatchObject({ value: { state: 'withdrawn', withdrawn_by: tenant } })
      for (const each of [both.home, both.foreign]) expect(await statesOf(each)).toEqual([])
      expect(
        await acceptFederation(store, secret, { tenant: both.foreign, federation: both.federation }, now),
      ).toMatchObject({ ok: false })
    },
  )

  test.each<[string, string]>([
    ['a record with one more agent', `replace(record, '"guest"', '"guest","intruder"')`],
    ['a record with a later end', `replace(record, '202', '203')`],
    ['a record with the same words in another order', `replace(record, '"actor"]', '"actor","subject"]')`],
    ['a record that is no JSON', `'{'`],
  ])('%s that nobody signed lets nobody in', async (_, change) => {
    const { home, foreign, federation } = await proposed()
    await acceptFederation(store, secret, { tenant: foreign, federation }, now)
    expect(await statesOf(home)).toHaveLength(1)
    await db.owner.unsafe(`update federations set record = ${change} where id = '${federation}'`)
    for (const tenant of [home, foreign]) expect(await statesOf(tenant)).toEqual([])
    const [listed] = await store.listFederations(home, { limit: 10 })
    expect(listed?.id).toBe(federation)
  })

  test('a record that another pair has signed does not count for this one', async () => {
    const [one, other] = [await proposed(), await proposed()]
    for (const { foreign, federation } of [one, other])
      await acceptFederation(store, secret, { tenant: foreign, federation }, now)
    await db.owner`
      update federations f set record = o.record, home_signature = o.home_signature,
        foreign_signature = o.foreign_signature from federations o
      where f.id = ${one.federation}::text::uuid and o.id = ${other.federation}::text::uuid`
    expect(await statesOf(one.home)).toEqual([])
  })

  test('another secret than that of the first signature signs nothing', async () => {
    const { foreign, federation, home } = await proposed()
    const again = { tenant: home, with: foreign, ...terms }
    expect(await proposeFederation(store, new Uint8Array(32), again, now)).toMatchObject({
      failure: { code: 'federation.state' },
    })
    expect(await acceptFederation(store, secret, { tenant: foreign, federation }, now)).toMatchObject({
      ok: true,
    })
  })

  test('a tenant that does not exist answers like one that does', async () => {
    const tenant = await tenantOf()
    const nobody = await proposeFederation(store, secret, { tenant, with: newTenant(), ...terms }, now)
    expect(nobody).toMatchObject({ ok: true, value: { state: 'proposed' } })
  })

  test.each<[string, object]>([
    ['with itself', { with: 'SELF' }],
    ['of every agent', { agents: ['*'] }],
    ['of no agent', { agents: [] }],
    ['of no tool', { tools: [] }],
    ['without an end', { expiresInSeconds: 10 * 366 * 86_400 }],
    ['in no direction', { direction: 'both' }],
    ['with a made up role', { roles: ['admin'] }],
  ])('a federation %s is refused', async (_, change) => {
    const tenant = await tenantOf()
    const request = { tenant, with: 'other-side', ...terms, ...change }
    const partner = request.with === 'SELF' ? tenant : request.with
    expect(await proposeFederation(store, secret, { ...request, with: partner }, now)).toMatchObject({
      failure: { code: 'federation.invalid' },
    })
  })
})

describe('agents registered just in time', () => {
  const admission = {
    agent: 'run-1',
    blueprint: 'runner',
    parent: 'boss',
    childrenMax: 3,
    lifetimeSeconds: 60,
    owner: { __entity: { type: 'Warder::User', id: 'ann' } },
  }
  const writer = () => createWriter(db.owner, { actor: 'system', role: 'owner', route: 'test' })
  /** A tenant with the blueprint and agents that may spawn. */
  const spawning = async (...parents: readonly string[]): Promise<TenantId> => {
    const tenant = await tenantOf()
    const bare = { tags: {}, parents: [] }
    await store.putEntities(tenant, [
      { uid: { type: 'Warder::Blueprint', id: 'runner' }, attrs: {}, ...bare },
      ...parents.map((id) => ({ uid: { type: 'Warder::Agent', id }, attrs: { status: 'active' }, ...bare })),
    ])
    return tenant
  }

  test('an admitted agent is active until its end, owned and bound to its parent, and in the audit', async () => {
    const tenant = await spawning('boss')
    expect(await registerEphemeral(writer(), tenant, admission, now)).toBe('admitted')
    const found = (await load(tenant)).registry.find({ type: 'Warder::Agent', id: 'run-1' })
    expect(found).toMatchObject({
      attrs: {
        status: 'active',
        expiresAt: { __extn: { arg: new Date(now + 60_000).toISOString() } },
        spawnedBy: { __entity: { id: 'boss' } },
        owner: { __entity: { id: 'ann' } },
      },
      parents: [{ id: 'runner' }, { id: tenant }],
    })
    expect((await auditOf(tenant))[0]).toMatchObject({ actor: 'system', target: 'agent run-1' })
  })

  test('many servers together admit no more than the blueprint lets, and each id once', async () => {
    const tenant = await spawning('boss', 'other')
    const outcomes = await Promise.all(
      Array.from({ length: 12 }, (_, n) =>
        registerEphemeral(writer(), tenant, { ...admission, agent: `run-${n % 6}` }, now),
      ),
    )
    expect(outcomes.filter((outcome) => outcome === 'admitted')).toHaveLength(3)
    const agents = (await load(tenant)).registry.ofType('Warder::Agent')
    expect(agents).toHaveLength(3 + 2)
    expect(
      await registerEphemeral(writer(), tenant, { ...admission, parent: 'other', agent: 'x' }, now),
    ).toBe('admitted')
  })

  test('an id is admitted once, also after its end, and never that of a registered agent', async () => {
    const tenant = await spawning('boss')
    await registerEphemeral(writer(), tenant, admission, now)
    await db.owner`update ephemeral_agents set expires_at = now() - interval '1 second' where tenant = ${tenant}`
    expect(await registerEphemeral(writer(), tenant, admission, now)).toBe('used')
    await addAgent(store, { tenant, agent: 'known', reason: 'r' }, now)
    expect(await registerEphemeral(writer(), tenant, { ...admission, agent: 'known' }, now)).toBe('used')
    // Whose end has come makes room for another.
    for (const agent of ['a', 'b', 'c'])
      expect(await registerEphemeral(writer(), tenant, { ...admission, agent }, now)).toBe('admitted')
    expect(await registerEphemeral(writer(), tenant, { ...admission, agent: 'd' }, now)).toBe('full')
  })
})
