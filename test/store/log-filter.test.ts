import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { LogFilter, LogRow } from '#decision-log/port.ts'
import { createQueryLog } from '#store/decisions.ts'
import { logCondition } from '#store/log-filter.ts'
import { maintainLog } from '#store/log-maintenance.ts'
import { appendRowsTo } from '../support/append-rows.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { logRow } from '../support/store-samples.ts'

const HOUR = 3_600_000
const ROWS = 20_000
const RARE = ROWS / 5_000
let db: TestDatabase
const hex = (i: number) => `sha256:${String(i).repeat(64).slice(0, 64)}`

/** Rows of four weeks, the newest first in the chain's last places. */
function row(writer: string, i: number): LogRow {
  const rare = i % 5_000 === 17
  return logRow(i % 4 === 0 ? 'small' : 'large', writer, i + 1, {
    decided_at: new Date(Date.now() - ((ROWS - i) / ROWS) * 27 * 24 * HOUR).toISOString(),
    decision: i % 50 === 0 ? 'deny' : 'allow',
    reason: i % 50 === 0 ? 'policy.forbid' : 'policy.permit',
    agent: `agent-${i % 400}`,
    user: `user-${i % 3_000}`,
    tool: `server/tool-${i % 120}`,
    gateway: `gateway-${i % 6}`,
    request_id: `request-${i}`,
    policies: rare ? ['p.rare', 'p.base'] : ['p.base'],
    release: hex(rare ? 9 : i % 3),
    facts: { request: { arguments: { repository: rare ? 'warehouse-7/crates' : `repo-${i}` } } },
  })
}

beforeAll(async () => {
  db = await openTestDatabase()
  for (let week = 1; week <= 4; week++)
    await db.owner`select make_log_partition(now() - make_interval(weeks => ${week}::int))`
  const append = appendRowsTo(db)
  const writer = randomUUID()
  for (let start = 0; start < ROWS; start += 2_500)
    await append(Array.from({ length: 2_500 }, (_, i) => row(writer, start + i)))
  await maintainLog(db)
  await db.owner`analyze decisions`
}, 240_000)
afterAll(() => db.close())

const filters: readonly LogFilter[] = [
  {},
  { decision: 'deny' },
  { reason: 'policy.forbid' },
  { agent: 'agent-7' },
  { user: 'user-7' },
  { tool: 'server/tool-7' },
  { gateway: 'gateway-3' },
  { release: hex(1) },
  { release: hex(9) },
  { policy: 'p.rare' },
  { policy: 'p.base' },
  { text: 'warehouse-7' },
  { text: 'nothing has these words' },
  { requestId: 'request-4711' },
  { since: new Date(Date.now() - HOUR).toISOString() },
]
const all = filters.flatMap((filter) => [{ ...filter, tenant: 'small' }, filter])

test.each(all)('no sequential scan for %j', async (filter) => {
  const { plan } = await db.sql.begin(async (sql) => {
    await sql`set local enable_seqscan = off`
    const [found] = await sql<{ 'QUERY PLAN': object }[]>`
      explain (format json) select * from decisions where ${logCondition(sql, filter)}
      order by decided_at desc, decision_id desc limit 51`
    return { plan: JSON.stringify(found?.['QUERY PLAN']) }
  })
  expect(plan).not.toContain('"Seq Scan"')
  expect(plan).toMatch(/Index (Only )?Scan/)
})

test('policy and words of closed weeks are found by their own indexes', async () => {
  const plan = async (filter: LogFilter) => {
    const [found] = await db.sql<{ 'QUERY PLAN': object }[]>`
      explain (format json) select * from decisions where ${logCondition(db.sql, filter)}`
    return JSON.stringify(found?.['QUERY PLAN'])
  }
  expect(await plan({ policy: 'p.rare' })).toMatch(/decisions_\d+_policies/)
  expect(await plan({ text: 'warehouse-7 crates' })).toMatch(/decisions_\d+_words/)
})

test('each filter finds what it says, in closed weeks and in the present one', async () => {
  const log = createQueryLog(db)
  const found = async (filter: LogFilter) => (await log.page(filter, 1_000)).rows
  expect(await found({ policy: 'p.rare' })).toHaveLength(RARE)
  expect(await found({ release: hex(9) })).toHaveLength(RARE)
  for (const text of ['warehouse-7', 'WAREHOUSE 7', 'warehouse-7/crates', '"crates"'])
    expect(await found({ text }), text).toHaveLength(RARE)
  expect(await found({ text: 'crates warehouse' })).toHaveLength(0)
  expect(await found({ text: '--' })).toHaveLength(0)
  expect(
    await found({ text: 'server/tool-7', since: new Date(Date.now() - 24 * HOUR).toISOString() }),
  ).not.toHaveLength(0)
  expect((await found({ requestId: 'request-4711' })).map((each) => each.sequence)).toEqual([4712])
  const gateway = await found({ gateway: 'gateway-3', tenant: 'small' })
  expect(gateway).toHaveLength(0)
  expect(new Set((await found({ gateway: 'gateway-3' })).map((each) => each.gateway))).toEqual(
    new Set(['gateway-3']),
  )
})
