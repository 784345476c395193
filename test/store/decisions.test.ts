import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { createAppendRows, createQueryLog, lastOfWriter, registerWriter } from '#store/decisions.ts'
import { decisionLogContract } from '../contracts/decision-log.contract.ts'
import { appendRowsTo } from '../support/append-rows.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { logRow, newTenant } from '../support/store-samples.ts'

describe('the decision log on Postgres', () => {
  decisionLogContract(async () => {
    const db = await openTestDatabase()
    return {
      append: appendRowsTo(db),
      appendSealed: createAppendRows(db),
      log: createQueryLog(db),
      lastOfWriter: (writer) => lastOfWriter(db, writer),
      close: () => db.close(),
    }
  })
})

describe('the decision log is insert only', () => {
  let db: TestDatabase
  beforeAll(async () => {
    db = await openTestDatabase()
    await appendRowsTo(db)([logRow(newTenant(), randomUUID(), 1)])
    await registerWriter(db, 'w', 'test')
  })
  afterAll(() => db.close())

  const changes = ['update decisions set agent = null', 'delete from decisions', 'truncate decisions']
  test.each(changes)('as the runtime role: %s is refused', async (statement) => {
    await expect(db.sql.unsafe(statement)).rejects.toThrow('permission denied for table decisions')
  })
  test.each([...changes, 'delete from writers'])('as the owner: %s is refused', async (statement) => {
    await expect(db.owner.unsafe(statement)).rejects.toThrow(
      /is insert only: (UPDATE|DELETE|TRUNCATE) refused/,
    )
  })
  test('not even a session that pretends to replicate may change it', async () => {
    await expect(
      db.owner.begin(async (transaction) => {
        await transaction`set local session_replication_role = replica`
        await transaction`delete from decisions`
      }),
    ).rejects.toThrow(/is insert only|permission denied/)
  })
  test.each([
    'insert into tenants values (1)',
    'update state set version = 0',
    'delete from gateway_keys',
    "insert into admin_tokens values ('x', 'x')",
    'create table other (a int)',
    'alter table decisions disable trigger decisions_insert_only',
    'drop table decisions',
    'select grant_runtime()',
  ])('the runtime role may not: %s', async (statement) => {
    await expect(db.sql.unsafe(statement)).rejects.toThrow(/permission denied|must be owner/)
  })
})

test('a lost connection in the middle of appending loses and repeats nothing', async () => {
  const db = await openTestDatabase()
  const append = appendRowsTo(db)
  const tenant = newTenant()
  const writer = randomUUID()
  const done = new AbortController()
  const breaking = (async () => {
    while (!done.signal.aborted) {
      await db.server`select pg_terminate_backend(pid) from pg_stat_activity
        where datname = ${db.target.database ?? ''} and application_name like '%decision log'`
      // Some connections must live long enough to write, on a busy machine too.
      await new Promise((resolve) => setTimeout(resolve, 60))
    }
  })()
  for (let i = 0; i < 100; i++) {
    await append(Array.from({ length: 20 }, (_, k) => logRow(tenant, writer, i * 20 + k + 1)))
  }
  done.abort()
  await breaking
  const [row] = await db.sql<{ count: string }[]>`
    select count(distinct sequence)::text as count from decisions where writer = ${writer}`
  expect(row?.count).toBe('2000')
  await db.close()
})
