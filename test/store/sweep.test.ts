import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { systemClock } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { createWriter } from '#store/audit.ts'
import { registerEphemeral } from '#store/ephemeral-agents.ts'
import { sweep } from '#store/sweep.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { newTenant } from '../support/store-samples.ts'

const ACTOR = { actor: 'cli:test', role: 'owner', route: 'test' }
const NOTHING = { deliveries: 0, events: 0, revocations: 0, agents: 0, tokens: 0, families: 0 }

let db: TestDatabase
let tenant: TenantId
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())
beforeEach(async () => {
  tenant = newTenant()
  await createAdminStore(db, ACTOR).addTenant(tenant)
  await db.owner`delete from signal_events`
  await db.owner`delete from signal_receivers`
})

test.each([
  ['delivered 8 days ago', 8, 8, 1, 1],
  ['delivered 6 days ago', 8, 6, 1, 0],
  ['given up 8 days ago', 8, undefined, 34, 1],
  ['given up 6 days ago', 6, undefined, 34, 0],
  ['that no server was there to try', 8, undefined, 33, 0],
])('a delivery %s', async (_, nextDays, deliveredDays, attempts, removed) => {
  const receiver = {
    name: 'edge',
    kind: 'caep',
    url: 'https://r.example',
    audience: 'r',
    privateNetwork: false,
    key: undefined,
  } as const
  await createAdminStore(db, ACTOR).addReceiver(tenant, receiver)
  await db.owner`
    insert into signal_outbox (receiver, subject, events, attempts, next_at, delivered_at)
    select receiver, '{}', '{}', ${attempts}, now() - make_interval(days => ${nextDays}::int),
      now() - make_interval(days => ${deliveredDays ?? null}::int)
    from signal_receivers where tenant = ${tenant}`
  expect(await sweep(db)).toEqual({ ...NOTHING, deliveries: removed })
})

test('received events go after 90 days, in batches until none is left', async () => {
  await db.owner`
    insert into signal_events (tenant, stream, id, event, effects, received_at)
    select ${tenant}, 's', n::text, 'e', '[]', now() - make_interval(days => case when n > 2000 then 89 else 91 end)
    from generate_series(1, 2003) n`
  expect(await sweep(db)).toEqual({ ...NOTHING, events: 2_000 })
  expect(await sweep(db)).toEqual(NOTHING)
})

test('revocations that ended 90 days ago go; those in force, without an end or lifted stay', async () => {
  const store = createAdminStore(db, ACTOR)
  const revoke = (id: string) =>
    store.revoke({ tenant, kind: 'agent', id, mode: 'deny', source: 'admin', reason: 'r' })
  for (const id of ['long-ago', 'lately', 'ahead', 'for-good']) await revoke(id)
  const ends = (id: string, days: number) => db.owner`
    update revocations set expires_at = now() + make_interval(days => ${days}::int) where tenant = ${tenant} and target = ${id}`
  await ends('long-ago', -91)
  await ends('lately', -89)
  await ends('ahead', 1)
  expect(await sweep(db)).toEqual({ ...NOTHING, revocations: 1 })
  const left = await store.listRevocations({ tenant, includeOver: true }, { limit: 10 })
  expect(left.map(({ id }) => id).toSorted()).toEqual(['ahead', 'for-good', 'lately'])
})

test('exchanged tokens go when they are over', async () => {
  await db.owner`
    insert into exchanged_tokens (tenant, issuer, sealed, dependencies, expires_at)
    select ${tenant}, 'i', 's', '{}', now() + make_interval(hours => hours) from unnest('{-1,1}'::int[]) hours`
  expect(await sweep(db)).toEqual({ ...NOTHING, tokens: 1 })
  expect(await sweep(db)).toEqual(NOTHING)
})

test('an agent that expired 30 days ago leaves the registry; its id is never admitted again', async () => {
  const writer = createWriter(db.owner, ACTOR)
  const admission = { blueprint: 'crawler', childrenMax: 9, lifetimeSeconds: 60 } as const
  const days = (count: number) => (systemClock() - count * 86_400_000) as ReturnType<typeof systemClock>
  const admit = (agent: string, age: number, parent?: string) =>
    registerEphemeral(writer, tenant, { ...admission, agent, parent, owner: undefined }, days(age))
  await createAdminStore(db, ACTOR).putEntities(tenant, [
    { uid: { type: 'Warder::Blueprint', id: 'crawler' }, attrs: {}, tags: {}, parents: [] },
  ])
  await admit('old', 31)
  await admit('lately', 29)
  await admit('renewed', 1)
  await admit('parent', 31)
  await admit('child', 31, 'parent')
  await db.owner`
    update ephemeral_agents set expires_at = now() - make_interval(days => case when agent in ('lately', 'child') then 29 else 31 end)
    where tenant = ${tenant}`
  expect(await sweep(db)).toEqual({ ...NOTHING, agents: 1 })
  const store = createAdminStore(db, ACTOR)
  const left = await store.listEntities(tenant, 'Warder::Agent', { limit: 10 })
  expect(left.map(({ uid }) => uid.id)).toEqual(['child', 'lately', 'parent', 'renewed'])
  expect(await admit('old', 0)).toBe('used')
})

test('token families go when no token in them can be good any more', async () => {
  const item = (family: string, expiresAt: number) => ({
    family,
    issued_at: 1,
    seen_at: 1,
    expires_at: expiresAt,
  })
  const items = [item('aa', Date.now() - 1), item('bb', Date.now() + 3_600_000)]
  await db.sql`select remember_families(${JSON.stringify(items)}::text)`
  expect(await sweep(db)).toEqual({ ...NOTHING, families: 1 })
  expect(await db.sql`select encode(family, 'hex') as family from token_families`).toEqual([{ family: 'bb' }])
})

test('a sweep that is ended removes nothing more', async () => {
  await db.owner`
    insert into signal_events (tenant, stream, id, event, effects, received_at)
    values (${tenant}, 's', '1', 'e', '[]', now() - make_interval(days => 91))`
  expect(await sweep(db, AbortSignal.abort())).toEqual(NOTHING)
})
