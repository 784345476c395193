import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type EpochMilliseconds, systemClock } from '#lib/clock.ts'
import type { ReleaseId } from '#model/ids.ts'
import { assembleRelease } from '#policy/engine/release-index.ts'
import { applyEntities, emptyRegistry } from '#registry/snapshot.ts'
import { acknowledgeState } from '#store/acknowledge-state.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { type FeedParts, openStateFeed } from '#store/state-feed.ts'
import { openStateSeen, type StateSeen } from '#store/state-seen.ts'
import { soon, stateFeedContract } from '../contracts/state-feed.contract.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { agent, newTenant, release } from '../support/store-samples.ts'

let dataDirectory = ''
let seen: StateSeen
const folders: string[] = []

/** Test databases are copies of one template, so they share their identity. */
async function openSeen(): Promise<{ readonly folder: string; readonly seen: StateSeen }> {
  const folder = mkdtempSync(join(tmpdir(), 'warder-feed-'))
  folders.push(folder)
  return { folder, seen: await openStateSeen(folder, () => undefined) }
}

beforeEach(async () => {
  ;({ folder: dataDirectory, seen } = await openSeen())
})

afterEach(() => seen.close())

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true })
})

function parts(changed: Partial<FeedParts> = {}): FeedParts {
  return {
    seen,
    assembleRelease,
    emptyRegistry,
    applyEntities,
    clock: systemClock,
    pollMilliseconds: 100,
    onFault: () => undefined,
    ...changed,
  }
}

async function cutListener(db: TestDatabase): Promise<void> {
  const cut = await db.server`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = ${db.target.database ?? ''} and application_name like '%: changes'`
  expect(cut).toHaveLength(1)
}

describe.each([
  ['by notification (polling is slow)', 600_000],
  ['by polling and notification', 100],
])('the state feed on Postgres, %s', (_name, pollMilliseconds) => {
  stateFeedContract(async () => {
    const db = await openTestDatabase()
    const faults: unknown[] = []
    let broken: ReleaseId | undefined
    const feed = await openStateFeed(
      db,
      parts({
        ...(await openSeen()),
        pollMilliseconds,
        onFault: (error) => faults.push(error),
        assembleRelease: async (header, batches) => {
          if (header.id === broken) throw new Error('broken on purpose')
          return await assembleRelease(header, batches)
        },
      }),
    )
    const store = createAdminStore(db)
    return {
      store,
      state: feed.state,
      faults,
      breakRelease: (id) => {
        broken = id
      },
      cutListener: () => cutListener(db),
      close: async () => {
        await feed.close()
        await db.close()
      },
    }
  })
})

test('each poll confirms currency', async () => {
  const db = await openTestDatabase()
  const feed = await openStateFeed(db, parts())
  const before = feed.state.refreshedAt
  await soon(() => feed.state.refreshedAt > before)
  await feed.close()
  await db.close()
})

test('a feed that opens later has everything, and the same versions', async () => {
  const db = await openTestDatabase()
  const store = createAdminStore(db)
  const tenant = newTenant()
  await store.addTenant(tenant)
  await store.putEntities(tenant, [agent('a'), agent('b')])
  await store.removeEntities(tenant, [agent('b').uid])
  const content = release('r')
  await store.pushRelease(tenant, content)
  await store.activateRelease(tenant, content.id)
  const feeds = [await openStateFeed(db, parts()), await openStateFeed(db, parts())]
  const [first, second] = feeds.map((feed) => feed.state.tenant(tenant))
  expect(first?.release?.id).toBe(content.id)
  expect(first?.registry.size).toBe(1)
  expect(second?.version).toBe(first?.version)
  for (const feed of feeds) await feed.close()
  await db.close()
})

/** A database that went back one version, and what the feed says about it. */
async function rolledBackFeed() {
  const db = await openTestDatabase()
  const faults: unknown[] = []
  const tenant = newTenant()
  await createAdminStore(db).addTenant(tenant)
  const feed = await openStateFeed(db, parts({ onFault: (error) => faults.push(error) }))
  await db.owner`update state set version = version - 1`
  await soon(() => faults.length > 0)
  return { db, faults, tenant, feed }
}

test('a database that went back to an older version is not believed', async () => {
  const { db, faults, feed } = await rolledBackFeed()
  expect(String(faults[0])).toContain('the database went back from state version 1 to 0')
  expect(feed.state.rolledBack()).toEqual({ seen: 1, found: 0 })
  const stopped = feed.state.refreshedAt
  await sleep(250)
  expect(feed.state.refreshedAt).toBe(stopped)
  await feed.close()
  await db.close()
})

test('a restart does not make an older database believable, nor do changes made to it', async () => {
  const { db, feed } = await rolledBackFeed()
  await feed.close()
  for (let version = 0; version < 3; version++) {
    const again = await openStateFeed(db, parts())
    expect(again.state.rolledBack()).toEqual({ seen: 1, found: 0 })
    await again.close()
    await createAdminStore(db).addTenant(newTenant())
  }
  await db.close()
})

test('an older database counts once it is acknowledged, and what it lacks is forgotten', async () => {
  const { db, tenant, feed } = await rolledBackFeed()
  const kept = newTenant()
  await createAdminStore(db).addTenant(kept)
  await db.owner`delete from tenants where tenant = ${tenant}`
  const actor = { actor: 'cli:root', role: 'owner', route: 'warder state acknowledge' }
  expect(await acknowledgeState(db, actor, dataDirectory)).toEqual({
    version: 1,
    rolledBack: { seen: 1, found: 0 },
  })
  await soon(() => feed.state.rolledBack() === undefined && feed.state.tenant(kept) !== undefined)
  expect(feed.state.tenant(tenant)).toBeUndefined()
  const [newest] = await createAdminStore(db).listAudit({ tenants: undefined }, { limit: 1 })
  expect(newest).toMatchObject({
    ...actor,
    target: 'state',
    before: { version: 1 },
    after: { version: 1 },
    outcome: 'changed',
  })
  // The second time there is nothing left to accept.
  expect(await acknowledgeState(db, actor, dataDirectory)).toEqual({ version: 1, rolledBack: undefined })
  await feed.close()
  await db.close()
})

test('a tenant that can not be loaded does not make the others stale', async () => {
  const db = await openTestDatabase()
  const store = createAdminStore(db)
  const [bad, good] = [newTenant(), newTenant()]
  const faults: unknown[] = []
  const feed = await openStateFeed(
    db,
    parts({
      onFault: (error) => faults.push(error),
      applyEntities: (snapshot, changed, removed) => {
        if (changed.some((entity) => entity.uid.id === 'poison')) throw new TypeError('poison')
        return applyEntities(snapshot, changed, removed)
      },
    }),
  )
  await store.addTenant(bad)
  await store.putEntities(bad, [agent('poison')])
  await soon(() => faults.length > 0)
  expect(String(faults[0])).toContain(`tenant \`${bad}\` can't be loaded`)
  await store.addTenant(good)
  await soon(() => feed.state.tenant(good) !== undefined)
  const before = feed.state.refreshedAt
  await soon(() => feed.state.refreshedAt > before)
  await feed.close()
  await db.close()
})

test('loading 10,000 policies and 10,000 entities lets other work run in between', async () => {
  const db = await openTestDatabase()
  const store = createAdminStore(db)
  const tenant = newTenant()
  await store.addTenant(tenant)
  const content = release('large', 10_000)
  await store.pushRelease(tenant, content)
  await store.putEntities(
    tenant,
    Array.from({ length: 10_000 }, (_, i) => agent(`a${i}`)),
  )
  await store.activateRelease(tenant, content.id)
  let turns = 0
  const opened = new AbortController()
  const count = () => {
    turns++
    if (!opened.signal.aborted) setImmediate(count)
  }
  setImmediate(count)
  const feed = await openStateFeed(db, parts())
  opened.abort()
  expect(feed.state.tenant(tenant)?.registry.size).toBe(10_000)
  expect(turns).toBeGreaterThan(90)
  await feed.close()
  await db.close()
})

test('a wall clock that is set back keeps nothing fresh', async () => {
  const db = await openTestDatabase()
  let now = Date.now()
  const clock = () => now as EpochMilliseconds
  const feed = await openStateFeed(db, parts({ clock, pollMilliseconds: 3_600_000 }))
  now -= 3_600_000
  await sleep(60)
  expect(feed.state.ageMilliseconds()).toBeGreaterThanOrEqual(20)
  now += 7_200_000
  expect(feed.state.ageMilliseconds()).toBeGreaterThanOrEqual(3_600_000)
  await feed.close()
  await db.close()
})
