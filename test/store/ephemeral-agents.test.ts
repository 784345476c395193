import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { JsonObject } from '#model/value.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { createWriter } from '#store/audit.ts'
import { registerEphemeral } from '#store/ephemeral-agents.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { newTenant } from '../support/store-samples.ts'

const ACTOR = { actor: 'cli:test', role: 'owner', route: 'test' }
const now = Date.now() as EpochMilliseconds

let db: TestDatabase
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

const entity = (kind: string, id: string, attrs: StoredEntity['attrs'] = {}): StoredEntity => ({
  uid: { type: `Warder::${kind}`, id },
  attrs,
  tags: {},
  parents: [],
})
const agent = (id: string, status: string, more: JsonObject = {}) => entity('Agent', id, { status, ...more })
const spawnedBy = (id: string) => ({ spawnedBy: { __entity: { type: 'Warder::Agent', id } } })
const ends = (at: number) => ({ expiresAt: { __extn: { fn: 'datetime', arg: new Date(at).toISOString() } } })
const runner = entity('Blueprint', 'runner')

async function tenantWith(entities: readonly StoredEntity[]): Promise<TenantId> {
  const tenant = newTenant()
  const store = createAdminStore(db, ACTOR)
  await store.addTenant(tenant)
  await store.putEntities(tenant, entities)
  return tenant
}

/** Asks for a child of `parent`; gives the outcome, and how many rows that left. */
async function admit(tenant: TenantId, parent: string | undefined = 'boss') {
  const admission = { agent: 'run-1', blueprint: 'runner', childrenMax: 3, lifetimeSeconds: 60 }
  const writer = createWriter(db.owner, ACTOR)
  const outcome = await registerEphemeral(writer, tenant, { ...admission, parent, owner: undefined }, now)
  const [row] = await db.owner<{ count: number }[]>`
    select count(*)::int as count from ephemeral_agents where tenant = ${tenant}`
  return [outcome, row?.count]
}

test.each<[string, readonly StoredEntity[]]>([
  ['an active parent', [runner, agent('boss', 'active')]],
  ['a parent that has not ended', [runner, agent('boss', 'active', ends(now + 60_000))]],
  ['active generations', [runner, agent('top', 'active'), agent('boss', 'active', spawnedBy('top'))]],
])('a child of %s is admitted', async (_what, entities) => {
  expect(await admit(await tenantWith(entities))).toEqual(['admitted', 1])
})

test.each<[string, readonly StoredEntity[]]>([
  ['a suspended parent', [runner, agent('boss', 'suspended')]],
  ['a retired parent', [runner, agent('boss', 'retired')]],
  ['a parent without a status', [runner, entity('Agent', 'boss')]],
  ['a parent that has ended', [runner, agent('boss', 'active', ends(now - 1))]],
  ['a parent that is not there', [runner]],
  [
    'a parent that a suspended one has spawned',
    [runner, agent('top', 'suspended'), agent('boss', 'active', spawnedBy('top'))],
  ],
  [
    'a suspended blueprint',
    [entity('Blueprint', 'runner', { status: 'suspended' }), agent('boss', 'active')],
  ],
  ['a blueprint that is not there', [agent('boss', 'active')]],
])('a child of %s is not admitted and takes no place', async (_what, entities) => {
  expect(await admit(await tenantWith(entities))).toEqual(['stopped', 0])
})

test('whom the pattern of its id admits needs no parent, but an active blueprint', async () => {
  expect(await admit(await tenantWith([runner]), '')).toEqual(['stopped', 0])
  const writer = createWriter(db.owner, ACTOR)
  const alone = { agent: 'run-1', blueprint: 'runner', parent: undefined, owner: undefined }
  const limits = { childrenMax: 3, lifetimeSeconds: 60 }
  expect(await registerEphemeral(writer, await tenantWith([runner]), { ...alone, ...limits }, now)).toBe(
    'admitted',
  )
  expect(await registerEphemeral(writer, await tenantWith([]), { ...alone, ...limits }, now)).toBe('stopped')
})

test.each([
  ['agent', 'boss'],
  ['blueprint', 'runner'],
] as const)(
  'a child is not admitted when its %s is revoked, and is when that was lifted',
  async (kind, id) => {
    const tenant = await tenantWith([runner, agent('boss', 'active')])
    const store = createAdminStore(db, ACTOR)
    const revoked = await store.revoke({ tenant, kind, id, mode: 'deny', source: 'admin', reason: 'r' })
    if (revoked === 'tenant_unknown') throw new Error(revoked)
    expect(await admit(tenant)).toEqual(['stopped', 0])
    await store.liftRevocation(tenant, revoked.revocation)
    expect(await admit(tenant)).toEqual(['admitted', 1])
  },
)
