import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createTokenFamilies, type NewestToken, type ReusedSession } from '#identity/families.ts'
import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'
import type { VerifiedToken } from '#model/identity.ts'
import type { TenantId } from '#model/ids.ts'
import { type FamilyStore, openFamilyStore } from '#store/token-families.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'

const NOW = 1_800_000_000_000 as EpochMilliseconds
const SECOND = NOW / 1000
const SOON = { timeout: 20_000, interval: 20 }
const ACME = 'acme' as TenantId

let db: TestDatabase
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())
const stores: FamilyStore[] = []
afterEach(async () => {
  for (const store of stores.splice(0)) await store.close()
  await db.owner`truncate token_families`
})

/** A server: its families, which it shares with the others on the database. */
async function openServer(isUsed = () => true) {
  const reused: ReusedSession[] = []
  const learned: NewestToken[] = []
  const faults: unknown[] = []
  const families = createTokenFamilies({
    onReuse: (session) => reused.push(session),
    onNewest: (newest) => store.remember(newest),
  })
  const store = await openFamilyStore(db, {
    isUsed,
    learn: (newest) => {
      learned.push(newest)
      families.learn(newest)
    },
    onFault: (error) => faults.push(error),
  })
  stores.push(store)
  const sees = (age: number, session = 's1', later = 0) =>
    families.isNewest(ACME, token(age, session), 'agent-1', (NOW + later) as EpochMilliseconds)
  return { sees, reused, learned, faults, store }
}

const token = (age: number, session: string): VerifiedToken => ({
  issuer: 'https://idp.example',
  subject: 'alice',
  id: `t${age}`,
  expiresAt: (SECOND + 600) as EpochSeconds,
  issuedAt: (SECOND - age) as EpochSeconds,
  scopes: [],
  session,
})

test('an older token denies on every server once one of them has seen a newer one', async () => {
  const [here, there] = [await openServer(), await openServer()]
  expect(here.sees(50)).toBe(true)
  await expect.poll(() => there.learned.length, SOON).toBeGreaterThan(0)
  expect(there.sees(100)).toBe(false)
  expect(there.sees(50)).toBe(true)
  expect(there.sees(40)).toBe(true)
  await expect.poll(() => here.sees(50), SOON).toBe(false)
  expect([...here.faults, ...there.faults]).toEqual([])
})

test('an older token is a sign of theft on a server that never saw the newer one', async () => {
  const [here, there] = [await openServer(), await openServer()]
  here.sees(50)
  await expect.poll(() => there.learned.length, SOON).toBeGreaterThan(0)
  expect(there.sees(100, 's1', 60_000)).toBe(false)
  expect(there.reused).toEqual([])
  expect(there.sees(100, 's1', 60_001)).toBe(false)
  expect(there.reused).toEqual([{ tenant: ACME, issuer: 'https://idp.example', session: 's1' }])
})

test('a server that starts knows what others have seen before it answers', async () => {
  const here = await openServer()
  for (let i = 0; i < 20; i++) here.sees(50, `s${i}`)
  await expect.poll(rows, SOON).toBe(20)
  const there = await openServer()
  for (let i = 0; i < 20; i++) expect(there.sees(100, `s${i}`)).toBe(false)
})

test('a family only moves forward, whoever writes it, and in whatever order', async () => {
  const here = await openServer()
  here.sees(50)
  await expect.poll(rows, SOON).toBe(1)
  const late = await openServer(() => false)
  // It has not asked, and believes the older one.
  expect(late.sees(100)).toBe(true)
  await expect.poll(() => late.learned.length, SOON).toBeGreaterThan(0)
  expect(late.sees(100)).toBe(false)
  const [row] = await db.sql<{ issued_at: string }[]>`select issued_at::text from token_families`
  expect(row).toEqual({ issued_at: `${SECOND - 50}` })
})

test('where no issuer rotates the database is not asked', async () => {
  const here = await openServer()
  here.sees(50)
  await expect.poll(rows, SOON).toBe(1)
  let isUsed = false
  const there = await openServer(() => isUsed)
  there.store.ask()
  expect(there.learned).toEqual([])
  isUsed = true
  await expect.poll(() => there.learned.length, SOON).toBe(1)
})

test('what could not be written is written when the database is back', async () => {
  const here = await openServer()
  await db.owner`alter function remember_families(text) rename to remember_nothing`
  try {
    here.sees(50)
    await expect.poll(() => here.faults.length, SOON).toBeGreaterThan(0)
    expect(await rows()).toBe(0)
  } finally {
    await db.owner`alter function remember_nothing(text) rename to remember_families`
  }
  await expect.poll(rows, SOON).toBe(1)
})

test('the runtime role moves families forward, and can neither change nor remove them by itself', async () => {
  const here = await openServer()
  here.sees(50)
  await expect.poll(rows, SOON).toBe(1)
  for (const statement of [
    'delete from token_families',
    'update token_families set issued_at = 0',
    "insert into token_families values ('x', 0, 0, 0, now())",
    'truncate token_families',
  ])
    await expect(db.sql.unsafe(statement)).rejects.toThrow('permission denied')
})

async function rows(): Promise<number> {
  return (await db.sql`select from token_families`).length
}
