import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sealRow } from '#decision-log/chain.ts'
import type { LogRow } from '#decision-log/port.ts'
import { verifyLog } from '#decision-log/verify.ts'
import { createReadChains } from '#store/chains.ts'
import { keepLog } from '#store/log-keeper.ts'
import { maintainLog } from '#store/log-maintenance.ts'
import { appendRowsTo, opened } from '../support/append-rows.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { logRow } from '../support/store-samples.ts'

const DAY = 86_400_000
let db: TestDatabase
let append: (rows: readonly LogRow[]) => Promise<void>

beforeAll(async () => {
  db = await openTestDatabase()
  append = appendRowsTo(db)
  for (const tenant of ['short', 'long', 'forever'])
    await db.owner`insert into tenants (tenant, state_version) values (${tenant}, 0)`
})
afterAll(() => db.close())

/** One chain whose rows belong to tenants in turn, one row for each hour from `days` ago on. */
function history(writer: string, days: number, tenants: readonly string[]): readonly LogRow[] {
  const made: LogRow[] = []
  const start = Date.now() - days * DAY
  for (let hour = 0; start + hour * 3_600_000 < Date.now(); hour += 1) {
    const {
      writer: _,
      sequence: __,
      previous_hash: ___,
      hash: ____,
      ...entry
    } = logRow(tenants[hour % tenants.length] ?? '', writer, 1, {
      decided_at: new Date(start + hour * 3_600_000).toISOString(),
    })
    made.push(opened(sealRow(entry, writer, made.at(-1))))
  }
  return made
}

async function retain(tenant: string, days: number | null): Promise<void> {
  await db.owner`update tenants set retention_days = ${days} where tenant = ${tenant}`
}

async function count(tenant: string): Promise<number> {
  const [row] = await db.sql<
    { n: number }[]
  >`select count(*)::int as n from decisions where tenant = ${tenant}`
  return row?.n ?? 0
}

test('partitions are made ahead, once, and readable by the runtime role', async () => {
  const first = await maintainLog(db)
  expect(first.ran).toBe(true)
  expect(first.made.length).toBeGreaterThanOrEqual(3)
  expect((await maintainLog(db)).made).toEqual([])
  expect(await db.sql.unsafe(`select count(*) from ${first.made[0]}`)).toHaveLength(1)
  await expect(db.owner.unsafe(`truncate ${first.made[0]}`)).rejects.toThrow('is insert only')
})

test('retention removes what is past it and nothing else, and the chain stays whole', async () => {
  for (const days of [40, 33, 26, 19, 12])
    await db.owner`select make_log_partition(now() - make_interval(days => ${days}::int))`
  const writer = randomUUID()
  const rows = history(writer, 40, ['short', 'long', 'forever'])
  for (let i = 0; i < rows.length; i += 500) await append(rows.slice(i, i + 500))
  await maintainLog(db)
  expect((await verifyLog(createReadChains(db), { writer })).removed).toBe(0)

  await retain('short', 3)
  await retain('long', 20)
  const report = await maintainLog(db)
  expect(await count('short')).toBe(24)
  expect(await count('long')).toBe(160)
  expect(await count('forever')).toBe(320)
  expect(report).toMatchObject({ ran: true, dropped: [], removed: rows.length - 504 })
  expect(await verifyLog(createReadChains(db), { writer })).toEqual({
    chains: 1,
    rows: 504,
    removed: rows.length - 504,
    breaks: [],
  })

  await retain('forever', 15)
  const dropping = await maintainLog(db)
  expect(dropping.dropped.length).toBeGreaterThanOrEqual(2)
  expect(await count('forever')).toBe(120)
  const checked = await verifyLog(createReadChains(db), { writer })
  expect(checked).toMatchObject({ rows: 24 + 160 + 120, breaks: [] })
  expect(checked.removed).toBe(rows.length - checked.rows)
})

test('what retention removed can not hide what somebody else did', async () => {
  const writer = randomUUID()
  const rows = history(writer, 10, ['short', 'forever'])
  await append(rows)
  await maintainLog(db)
  const chains = createReadChains(db)
  expect((await verifyLog(chains, { writer })).breaks).toEqual([])
  const disturb = async (statement: string): Promise<void> => {
    await db.owner.begin(async (transaction) => {
      await transaction`set local session_replication_role = replica`
      await transaction.unsafe('alter table decisions disable trigger user')
      await transaction.unsafe('alter table removals disable trigger user')
      await transaction.unsafe(statement)
      for (const [table, trigger] of [
        ['decisions', 'decisions_insert_only'],
        ['decisions', 'decisions_retention'],
        ['decisions', 'decisions_chain'],
        ['removals', 'removals_insert_only'],
      ])
        await transaction.unsafe(`alter table ${table} enable always trigger ${trigger}`)
    })
  }
  await disturb(`delete from decisions where writer = '${writer}' and sequence = 100`)
  expect((await verifyLog(chains, { writer })).breaks).toMatchObject([{ sequence: 100, kind: 'gap' }])
  await disturb(`update removals set rows = rows + 1 where id = 1`)
  expect((await verifyLog(chains, {})).breaks[0]).toMatchObject({ sequence: 1, kind: 'removal' })
})

test('only one process maintains; a delete of rows that are not expired is refused to everybody', async () => {
  const reports = await Promise.all([maintainLog(db), maintainLog(db)])
  expect(reports.filter(({ ran }) => ran)).not.toHaveLength(0)
  await expect(db.owner`delete from decisions where tenant = 'forever'`).rejects.toThrow(
    'decisions is insert only: DELETE refused',
  )
  await expect(db.sql`select drop_log_partition('decisions_default')`).rejects.toThrow('permission denied')
  await expect(db.owner`delete from removals`).rejects.toThrow('insert only')
})

test('the keeper maintains soon after the start, and closing it waits for what runs', async () => {
  const reports: unknown[] = []
  const faults: unknown[] = []
  const keeper = keepLog(db, {
    report: (each) => reports.push(each),
    fault: (each) => faults.push(each),
    firstMilliseconds: 1,
  })
  await expect.poll(() => reports.length, { timeout: 20_000 }).toBe(1)
  await keeper.close()
  expect(faults).toEqual([])
})
