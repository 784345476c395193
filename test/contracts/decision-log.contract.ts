import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { sealRow } from '#decision-log/chain.ts'
import type { LogEntry } from '#decision-log/entry.ts'
import type { AppendRows, LogCursor, LogRow, QueryLog } from '#decision-log/port.ts'
import { logRow, newTenant } from '../support/store-samples.ts'

/** What an implementation brings to the suite. */
export interface DecisionLogSubject {
  readonly append: (rows: readonly LogRow[]) => Promise<void>
  readonly appendSealed: AppendRows
  readonly log: QueryLog
  readonly lastOfWriter: (
    writer: string,
  ) => Promise<{ readonly sequence: number; readonly hash: string } | undefined>
  close(): Promise<void>
}

/** The guarantees of `AppendRows` and `QueryLog`, for every implementation. */
// biome-ignore lint/complexity/noExcessiveLinesPerFunction: a suite is one list of guarantees
export function decisionLogContract(open: () => Promise<DecisionLogSubject>): void {
  let subject: DecisionLogSubject
  beforeAll(async () => {
    subject = await open()
  })
  afterAll(() => subject.close())

  const rowsOf = (tenant: string, count: number, writer: string = randomUUID()): readonly LogRow[] =>
    Array.from({ length: count }, (_, i) => logRow(tenant, writer, i + 1))

  async function everything(
    filter: Parameters<QueryLog['page']>[0],
    limit: number,
  ): Promise<readonly LogRow[]> {
    const rows: LogRow[] = []
    let cursor: LogCursor | undefined
    do {
      const page = await subject.log.page(filter, limit, cursor)
      rows.push(...page.rows)
      cursor = page.next
    } while (cursor !== undefined)
    return rows
  }

  test('a row comes back exactly as it was written', async () => {
    const [row] = rowsOf(newTenant(), 1)
    if (row === undefined) throw new Error('no row')
    await subject.append([row])
    expect(await subject.log.find(row.decision_id)).toStrictEqual(row)
    expect(JSON.stringify((await subject.log.find(row.decision_id))?.facts)).toBe(JSON.stringify(row.facts))
  })

  test('repeating a batch writes nothing twice, and adds what is new in it', async () => {
    const tenant = newTenant()
    const rows = rowsOf(tenant, 5)
    await subject.append(rows.slice(0, 3))
    await subject.append(rows.slice(0, 3))
    await subject.append(rows)
    expect((await everything({ tenant }, 10)).map((row) => row.sequence)).toEqual([5, 4, 3, 2, 1])
  })

  test('another row in a taken place of the chain is refused, and nothing of its batch is written', async () => {
    const tenant = newTenant()
    const rows = rowsOf(tenant, 3, 'writer-of-two')
    await subject.append(rows.slice(0, 1))
    const forged = { ...logRow(tenant, 'writer-of-two', 1), hash: 'other' }
    await expect(subject.append([...rows.slice(1), forged])).rejects.toThrow(
      'place 1 in the log of writer `writer-of-two` holds another row',
    )
    expect(await everything({ tenant }, 10)).toHaveLength(1)
  })

  test('text that Postgres can not hold spoils neither its row nor the batch', async () => {
    const tenant = newTenant()
    const writer = randomUUID()
    const spoilt = { agent: 'a\u0000b', facts: { ['k\u0000']: 'x\ud800y', kept: '\\u0000' } }
    const entry = (more?: Parameters<typeof logRow>[3]): LogEntry => {
      const { hash: _hash, ...open } = logRow(tenant, writer, 1, more)
      return open
    }
    const head = sealRow(entry(spoilt), writer, undefined)
    await subject.appendSealed([head, sealRow(entry(), writer, head)])
    const [first, second] = (await everything({ tenant }, 10)).toSorted((a, b) => a.sequence - b.sequence)
    expect(second?.sequence).toBe(2)
    expect(first?.agent).toBe('a\ufffdb')
    expect(first?.facts).toEqual({ 'k\ufffd': 'x\ufffdy', kept: '\\u0000' })
  })

  test('pages are newest first, without holes or repetitions, also among equal times', async () => {
    const tenant = newTenant()
    const decided_at = '2026-01-01T00:00:00.000Z'
    const rows = rowsOf(tenant, 57).map((row) => ({ ...row, decided_at }))
    await subject.append(rows)
    const read = await everything({ tenant }, 10)
    expect(new Set(read.map((row) => row.decision_id)).size).toBe(57)
    expect(read.map((row) => row.decision_id)).toEqual(
      rows
        .map((row) => row.decision_id)
        .toSorted()
        .toReversed(),
    )
  })

  test('rows that are written meanwhile do not shift the pages', async () => {
    const tenant = newTenant()
    const rows = rowsOf(tenant, 6)
    await subject.append(rows.slice(0, 4))
    const first = await subject.log.page({ tenant }, 2)
    await subject.append(rows.slice(4))
    const second = await subject.log.page({ tenant }, 2, first.next)
    expect([...first.rows, ...second.rows].map((row) => row.sequence)).toEqual([4, 3, 2, 1])
    expect(second.next).toBeUndefined()
  })

  test('each filter keeps what matches, byte by byte, and no other tenant', async () => {
    const [tenant, other] = [newTenant(), newTenant()]
    const writer = randomUUID()
    const changed: readonly Partial<LogRow>[] = [
      { decision: 'deny', reason: 'policy.forbid' },
      { agent: 'Planner' },
      { user: 'Ada' },
      { tool: 'mail/Send' },
      {},
    ]
    await subject.append([
      ...changed.map((change, i) => logRow(tenant, writer, i + 1, change)),
      logRow(other, writer, 6, { decision: 'deny', agent: 'Planner' }),
    ])
    const found = async (filter: Parameters<QueryLog['page']>[0]) =>
      (await everything({ tenant, ...filter }, 100)).map((row) => row.sequence)
    expect(await found({})).toEqual([5, 4, 3, 2, 1])
    expect(await found({ decision: 'deny' })).toEqual([1])
    expect(await found({ reason: 'policy.forbid' })).toEqual([1])
    expect(await found({ agent: 'Planner' })).toEqual([2])
    expect(await found({ user: 'Ada' })).toEqual([3])
    expect(await found({ tool: 'mail/Send' })).toEqual([4])
    expect(await found({ tool: "'; drop table decisions; --" })).toEqual([])
    const at = (sequence: number) => new Date(1_800_000_000_000 + sequence).toISOString()
    expect(await found({ since: at(2), until: at(4) })).toEqual([3, 2])
    expect(await found({ since: '2027-01-15T10:00:00.002+02:00' })).toEqual([5, 4, 3, 2])
  })

  test('an id that is none finds nothing; a foreign cursor and a wrong limit are refused', async () => {
    expect(await subject.log.find('nonsense')).toBeUndefined()
    expect(await subject.log.find(randomUUID())).toBeUndefined()
    await expect(subject.log.page({}, 10, 'bm9uc2Vuc2U' as LogCursor)).rejects.toThrow(
      'the cursor is not one that this log gave',
    )
    await expect(subject.log.page({}, 1_001)).rejects.toThrow(
      'the limit of a page must be between 1 and 1,000',
    )
  })

  test('the end of a chain is its highest place, whatever the number of digits', async () => {
    const writer = randomUUID()
    expect(await subject.lastOfWriter(writer)).toBeUndefined()
    await subject.append(rowsOf(newTenant(), 101, writer))
    expect(await subject.lastOfWriter(writer)).toEqual({ sequence: 101, hash: 'h101' })
  })

  test('two writers at once, 10,000 rows: all are there', async () => {
    const tenant = newTenant()
    const write = async (writer: string) => {
      const rows = rowsOf(tenant, 5_000, writer)
      for (let i = 0; i < rows.length; i += 500) await subject.append(rows.slice(i, i + 500))
    }
    await Promise.all([write(randomUUID()), write(randomUUID())])
    expect(await everything({ tenant }, 1_000)).toHaveLength(10_000)
  })
}
