import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'
import { openProofStore, type ProofStore } from '#store/proofs.ts'
import { freshReservation, replayStoreContract } from '../contracts/replay-store.contract.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'

const NOW = 1_800_000_000_000 as EpochMilliseconds
let db: TestDatabase
let here: ProofStore
let there: ProofStore
beforeAll(async () => {
  db = await openTestDatabase()
  here = await openProofStore(db, NOW)
  there = await openProofStore(db, NOW)
})
afterAll(() => db.close())

replayStoreContract('the replay store in Postgres', () => [here, there])

test('all servers share the secret of nonces', () => {
  expect(here.nonceSecret()).toHaveLength(32)
  expect(here.nonceSecret()).toEqual(there.nonceSecret())
  expect(here.nonceSecret()).toBe(here.nonceSecret())
})

test('32 proofs at the same time are one statement', async () => {
  // One statement has one `reserved_at`, whatever the proofs say.
  const proofs = Array.from({ length: 32 }, (_, i) =>
    freshReservation({ now: (NOW + i) as EpochMilliseconds }),
  )
  await Promise.all(proofs.map((proof) => here.reserve(proof)))
  const rows = await db.owner`
    select distinct reserved_at from warder.proofs
    where key in (select decode(value, 'hex') from json_array_elements_text(${JSON.stringify(proofs.map(({ key }) => key))}::text::json))`
  expect(rows).toHaveLength(1)
})

test('proofs that can not be used again are removed, and no others', async () => {
  const over = freshReservation({ expiresAt: (NOW - 1) as EpochMilliseconds })
  const valid = freshReservation()
  await here.reserve(over)
  await here.reserve(valid)
  expect(await here.prune(NOW)).toBeGreaterThan(0)
  expect(await there.reserve(valid)).toBe('replayed')
  expect(await there.reserve(over)).toBe('first')
})

test('the runtime role can take proofs, but neither add, change nor remove them by itself', async () => {
  for (const statement of [
    'delete from warder.proofs',
    "update warder.proofs set question = 'x'",
    "insert into warder.proofs values ('x', null, 0, 0)",
    'truncate warder.proofs',
    'delete from warder.proof_epoch',
    'update warder.proof_epoch set opened_at = 0',
  ])
    await expect(db.sql.unsafe(statement)).rejects.toThrow('permission denied')
})

describe('after a crash of the database, which empties both tables', () => {
  const lose = async () => {
    await db.owner`truncate warder.proofs`
    await db.owner`truncate warder.proof_epoch`
  }

  test('a proof from before is stale, used or not, and one from after it is new', async () => {
    const used = freshReservation()
    const unused = freshReservation()
    await here.reserve(used)
    await lose()
    expect(await here.reserve(used)).toBe('stale')
    expect(await there.reserve(unused)).toBe('stale')
    const issuedAt = (NOW / 1000 + 11) as EpochSeconds
    expect(await there.reserve(freshReservation({ issuedAt }))).toBe('first')
  })

  test('the nonces of before end too', async () => {
    const before = here.nonceSecret()
    await lose()
    await here.reserve(freshReservation())
    expect(here.nonceSecret()).not.toEqual(before)
    await there.reserve(freshReservation())
    expect(there.nonceSecret()).toEqual(here.nonceSecret())
  })
})

test('a store that can not be asked rejects', async () => {
  const broken = await openTestDatabase()
  const store = await openProofStore(broken, NOW)
  await broken.owner`drop function warder.reserve_proofs(text, bigint)`
  await expect(store.reserve(freshReservation())).rejects.toThrow('reserve_proofs')
  await broken.close()
})
