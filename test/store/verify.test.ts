import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { sealRow } from '#decision-log/chain.ts'
import type { LogRow } from '#decision-log/port.ts'
import { verifyLog } from '#decision-log/verify.ts'
import { createReadChains } from '#store/chains.ts'
import { appendRowsTo, opened } from '../support/append-rows.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { logRow, newTenant } from '../support/store-samples.ts'

let db: TestDatabase
let writer: string
let rows: readonly LogRow[]

/** A chain as the log writer makes it. */
function chain(of: string, count: number, changed: Partial<LogRow> = {}): readonly LogRow[] {
  const made: LogRow[] = []
  const tenant = newTenant()
  for (let i = 1; i <= count; i++) {
    const {
      writer: _,
      sequence: __,
      previous_hash: ___,
      hash: ____,
      ...entry
    } = logRow(tenant, of, i, changed)
    made.push(opened(sealRow(entry, of, made.at(-1))))
  }
  return made
}

const at = (place: number): LogRow => {
  const row = rows[place - 1]
  if (row === undefined) throw new Error(`no row ${place}`)
  return row
}
const check = async () => await verifyLog(createReadChains(db), { writer })
const broken = (sequence: number, kind: string, id: string | null = at(sequence).decision_id) => ({
  breaks: [{ writer, sequence, kind, decision_id: id }],
})

/** As somebody who owns the database and has put its triggers aside. */
async function tamper(...statements: readonly string[]): Promise<void> {
  await db.owner.begin(async (transaction) => {
    for (const table of ['decisions', 'decisions_default'])
      await transaction.unsafe(`alter table ${table} disable trigger user`)
    for (const statement of statements) {
      expect((await transaction.unsafe(statement)).count, statement).toBeGreaterThan(0)
    }
    await transaction.unsafe('alter table decisions enable always trigger decisions_chain')
    await transaction.unsafe('alter table decisions enable always trigger decisions_retention')
    for (const table of ['decisions', 'decisions_default'])
      await transaction.unsafe(`alter table ${table} enable always trigger decisions_insert_only`)
  })
}

beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())
beforeEach(async () => {
  writer = randomUUID()
  rows = chain(writer, 1_001)
  const append = appendRowsTo(db)
  for (let i = 0; i < rows.length; i += 500) await append(rows.slice(i, i + 500))
})

describe('a check of the log finds the first break', () => {
  test('nothing, in a log that nobody touched', async () => {
    expect(await check()).toEqual({ chains: 1, rows: 1_001, removed: 0, breaks: [] })
    const all = await verifyLog(createReadChains(db), {})
    expect(all.breaks.filter((each) => each.writer === writer)).toEqual([])
    expect((await verifyLog(createReadChains(db), { tenant: at(1).tenant })).rows).toBe(1_001)
  })

  test.each([
    ["decision = 'deny'"],
    ["agent = 'somebody-else'"],
    ["facts = '{}'"],
    ["decided_at = decided_at + interval '1 ms'"],
    ["hash = repeat('0', 64)"],
  ])('an edit: %s', async (change) => {
    await tamper(`update decisions set ${change} where writer = '${writer}' and sequence = 700`)
    expect(await check()).toMatchObject(broken(700, 'edited'))
  })

  test('an edit with a hash that fits it, at the row behind it', async () => {
    const { hash: _, writer: __, sequence: ___, previous_hash: ____, ...entry } = { ...at(20), agent: 'eve' }
    const row = sealRow(entry, writer, at(19))
    await tamper(
      `update decisions set agent = 'eve', hash = '${row.hash}' where writer = '${writer}' and sequence = 20`,
    )
    expect(await check()).toMatchObject(broken(21, 'unlinked'))
  })

  test('a deletion in the middle, at the beginning, and of the newest rows', async () => {
    await tamper(`delete from decisions where writer = '${writer}' and sequence = 1001`)
    expect(await check()).toMatchObject(broken(1001, 'cut', null))
    await tamper(`delete from decisions where writer = '${writer}' and sequence between 500 and 502`)
    expect(await check()).toMatchObject(broken(503, 'gap'))
    await tamper(`delete from decisions where writer = '${writer}' and sequence = 1`)
    expect(await check()).toMatchObject(broken(2, 'gap'))
    await tamper(`delete from decisions where writer = '${writer}'`)
    expect(await check()).toMatchObject(broken(1, 'cut', null))
  })

  test('two rows that changed places', async () => {
    await tamper(
      `update decisions set sequence = case sequence when 40 then 41 else 40 end
        where writer = '${writer}' and sequence in (40, 41)`,
    )
    expect(await check()).toMatchObject(broken(40, 'edited', at(41).decision_id))
  })

  test('a row that was put in between, and one that was put at the end', async () => {
    const columns = 'select (json_populate_record(d, $$CHANGE$$)).* from decisions d'
    const copy = (change: object, place: number) =>
      `insert into decisions ${columns.replace('CHANGE', JSON.stringify(change))}
        where writer = '${writer}' and sequence = ${place}`
    const id = randomUUID()
    await tamper(copy({ decision_id: id, decided_at: '2027-06-01T00:00:00Z' }, 500))
    expect(await check()).toMatchObject(broken(500, 'reordered', id))
    await tamper(`delete from decisions where decision_id = '${id}'`)
    const {
      hash: _,
      writer: __,
      sequence: ___,
      previous_hash: ____,
      ...entry
    } = logRow(at(1).tenant, writer, 1)
    const row = opened(sealRow(entry, writer, at(1001)))
    await tamper(copy(row, 1001))
    expect(await check()).toMatchObject(broken(1002, 'unannounced', null))
  })

  test('a chain that nobody registered', async () => {
    const other = randomUUID()
    await tamper(
      `insert into decisions select (json_populate_record(d, '{"writer":"${other}","decision_id":"${randomUUID()}"}')).* from decisions d
        where writer = '${writer}' and sequence = 1`,
    )
    const found = await verifyLog(createReadChains(db), {})
    expect(found.breaks.filter((each) => each.writer === other)).toMatchObject([
      { sequence: 1, kind: 'edited' },
    ])
  })
})

test('rows can only be added at the end of their chain', async () => {
  const append = appendRowsTo(db)
  const later = chain(randomUUID(), 3)
  await expect(append(later.slice(1))).rejects.toThrow('would have a gap')
  const fork = { ...at(5), decision_id: randomUUID(), decided_at: '2027-06-01T00:00:00.000Z', hash: 'other' }
  await expect(append([fork])).rejects.toThrow(`place 5 in the log of writer \`${writer}\` holds another row`)
  await expect(db.sql`update chain_heads set sequence = 0`).rejects.toThrow('permission denied')
})
