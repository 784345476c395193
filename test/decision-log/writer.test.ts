import { expect, test } from 'vitest'
import { verifyRows } from '#decision-log/chain.ts'
import type { LogEntry } from '#decision-log/entry.ts'
import type { AppendRows, LogRow } from '#decision-log/port.ts'
import { createLogWriter, type LogWriterParts } from '#decision-log/writer.ts'
import { nextTurn } from '#lib/next-turn.ts'
import { opened } from '../support/append-rows.ts'

/** The table: skips what it has, as the store does. */
function createTable() {
  const rows = new Map<number, LogRow>()
  const append: AppendRows = async (batch) => {
    await Promise.resolve()
    for (const row of batch) if (!rows.has(row.sequence)) rows.set(row.sequence, opened(row))
  }
  return { rows: () => [...rows.values()].toSorted((a, b) => a.sequence - b.sequence), append }
}

function entry(id: string, decision: 'allow' | 'deny' = 'allow'): LogEntry {
  return {
    decision_id: id,
    tenant: 'acme',
    decided_at: '2026-01-01T00:00:00.000Z',
    decision,
    reason: decision === 'allow' ? 'policy.permit' : 'policy.forbid',
    reasons: [],
    obligations: [],
    gateway: 'g',
    dialect: 'native',
    request_id: null,
    traceparent: null,
    agent: 'a',
    user: null,
    subject: null,
    tool: null,
    action: null,
    resource: null,
    policies: [],
    release: null,
    state_version: 1,
    duration_us: 10,
    facts: { version: 1, z: 1, a: [1, 2.5, 'x'] },
    trace: { replayable: true },
  }
}

function writerFor(append: AppendRows, more: Partial<LogWriterParts> = {}) {
  return createLogWriter({
    append,
    mode: 'require',
    overflow: 'deny',
    queueMax: 20_000,
    writer: 'w1',
    onFault: () => undefined,
    waitMilliseconds: 60,
    appendMilliseconds: 5_000,
    ...more,
  })
}

const ok = { ok: true, value: undefined }
const unavailable = { ok: false, failure: 'log.unavailable' }
const overflow = { ok: false, failure: 'log.overflow' }

test('10,000 concurrent writes keep their order and one unbroken chain, in grouped appends', async () => {
  const table = createTable()
  let appends = 0
  const writer = writerFor(
    async (rows) => {
      appends += 1
      expect(rows.length).toBeLessThanOrEqual(500)
      await table.append(rows)
    },
    { waitMilliseconds: 60_000 },
  )
  const outcomes = await Promise.all(Array.from({ length: 10_000 }, (_, i) => writer.write(entry(`d${i}`))))
  expect(outcomes.every((outcome) => outcome.ok)).toBe(true)
  expect(table.rows().map((row) => row.decision_id)).toEqual(
    Array.from({ length: 10_000 }, (_, i) => `d${i}`),
  )
  expect(verifyRows(table.rows()).ok).toBe(true)
  expect(appends).toBe(40)
  expect(writer.stats()).toMatchObject({ written: 10_000, batches: 40, queued: 0, underWay: 0, faults: 0 })
})

test.each(['deny', 'shed'] as const)(
  'in `buffer` mode rows that collect never fill a small queue: %s',
  async (overflow) => {
    const table = createTable()
    const writer = writerFor(table.append, { mode: 'buffer', overflow, queueMax: 20 })
    for (let i = 0; i < 200; i += 1) {
      expect(await writer.write(entry(`d${i}`))).toEqual(ok)
      if (i % 5 === 4) await nextTurn()
    }
    await writer.close(60_000)
    expect(writer.stats()).toMatchObject({ refused: 0, shed: 0, written: 200 })
    expect(verifyRows(table.rows()).ok).toBe(true)
  },
)

test('in `buffer` mode rows that nobody waits for leave together', async () => {
  const table = createTable()
  const writer = writerFor(table.append, { mode: 'buffer' })
  for (let i = 0; i < 20; i += 1) {
    await writer.write(entry(`d${i}`))
    await nextTurn()
  }
  await writer.close(60_000)
  expect(writer.stats().written).toBe(20)
  expect(writer.stats().batches).toBeLessThan(10)
})

test('in `buffer` mode closing waits for no more rows to collect', async () => {
  const table = createTable()
  const writer = writerFor(table.append, { mode: 'buffer' })
  await writer.write(entry('d1'))
  expect(await writer.close(0)).toEqual({ unwritten: 0 })
  expect(table.rows()).toHaveLength(1)
})

test('a write does not end before its row is durable', async () => {
  const table = createTable()
  const gate = Promise.withResolvers<void>()
  const writer = writerFor(
    async (rows) => {
      await gate.promise
      await table.append(rows)
    },
    { waitMilliseconds: 60_000 },
  )
  let ended = false
  const write = writer.write(entry('d1')).then(() => {
    ended = true
  })
  await new Promise((resolve) => setTimeout(resolve, 10))
  expect(ended).toBe(false)
  gate.resolve()
  await write
  expect(table.rows()).toHaveLength(1)
})

test('an append that failed is repeated with the same rows until it is confirmed', async () => {
  const table = createTable()
  const seen: (readonly string[])[] = []
  const faults: unknown[] = []
  const writer = writerFor(
    async (rows) => {
      seen.push(rows.map((row) => `${row.sequence}:${row.hash}`))
      if (seen.length < 3) throw new Error('connection refused')
      await table.append(rows)
    },
    { onFault: (fault) => faults.push(fault), waitMilliseconds: 60_000 },
  )
  expect(await writer.write(entry('d1'))).toEqual(ok)
  expect(seen).toHaveLength(3)
  expect(new Set(seen.map(String)).size).toBe(1)
  expect(faults).toHaveLength(2)
  expect(verifyRows(table.rows()).ok).toBe(true)
})

test('an append that succeeded before the connection was lost is neither lost nor doubled', async () => {
  const table = createTable()
  let isFirst = true
  const writer = writerFor(
    async (rows) => {
      await table.append(rows)
      if (isFirst) {
        isFirst = false
        throw new Error('connection lost')
      }
    },
    { waitMilliseconds: 60_000 },
  )
  expect(await Promise.all([writer.write(entry('d1')), writer.write(entry('d2'))])).toEqual([ok, ok])
  expect(table.rows().map((row) => row.decision_id)).toEqual(['d1', 'd2'])
  expect(verifyRows(table.rows()).ok).toBe(true)
})

test('a row that was not sent in time is recorded as the deny that was answered', async () => {
  const table = createTable()
  const gate = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  const writer = writerFor(async (rows) => {
    begun.resolve()
    await gate.promise
    await table.append(rows)
  })
  const sent = writer.write(entry('d1'))
  await begun.promise
  const queued = writer.write(entry('d2'))
  expect(await Promise.all([sent, queued])).toEqual([unavailable, unavailable])
  gate.resolve()
  await writer.close(1_000)

  const [first, second, third] = table.rows()
  expect(first).toMatchObject({ decision_id: 'd1', decision: 'allow' })
  expect(second).toMatchObject({
    decision_id: 'd2',
    decision: 'deny',
    reason: 'log.unavailable',
    reasons: [{ code: 'log.unavailable', message: 'the decision could not be logged' }],
    trace: { withheld: { decision: 'allow', reason: 'policy.permit' } },
  })
  expect(third).toMatchObject({
    decision: 'deny',
    reason: 'log.unavailable',
    trace: { corrects: 'd1', withheld: { decision: 'allow', reason: 'policy.permit' } },
  })
  expect(table.rows()).toHaveLength(3)
  expect(verifyRows(table.rows()).ok).toBe(true)
})

test('an append that never answers is tried again, and its late success does no harm', async () => {
  const table = createTable()
  const late = Promise.withResolvers<void>()
  let calls = 0
  const writer = writerFor(
    async (rows) => {
      calls += 1
      if (calls === 1) {
        await late.promise
      }
      await table.append(rows)
    },
    { appendMilliseconds: 20, waitMilliseconds: 60_000 },
  )
  expect(await writer.write(entry('d1'))).toEqual(ok)
  late.resolve()
  expect(await writer.write(entry('d2'))).toEqual(ok)
  expect(table.rows().map((row) => row.decision_id)).toEqual(['d1', 'd2'])
  expect(verifyRows(table.rows()).ok).toBe(true)
})

test('in a long outage answers come at once, as denies, and the log catches up afterwards', async () => {
  const table = createTable()
  let isDown: boolean = true
  const writer = writerFor(async (rows) => {
    if (isDown) throw new Error('down')
    await table.append(rows)
  })
  expect(await writer.write(entry('d1'))).toEqual(unavailable)
  await new Promise((resolve) => setTimeout(resolve, 40))
  const late = new Promise((resolve) => setImmediate(resolve, 'late'))
  expect(await Promise.race([writer.write(entry('d2')), late])).toEqual(unavailable)
  isDown = false
  expect(await writer.close(3_000)).toEqual({ unwritten: 0 })
  const rows = table.rows()
  expect(rows.filter((row) => row.decision === 'allow').map((row) => row.decision_id)).toEqual(['d1'])
  expect(rows.some((row) => row.trace['corrects'] === 'd1')).toBe(true)
  expect(rows.find((row) => row.decision_id === 'd2')).toMatchObject({ decision: 'deny' })
  expect(verifyRows(rows).ok).toBe(true)
})

test('every allow that a caller did not get is contradicted in the log, whatever fails when', async () => {
  const table = createTable()
  let call = 0
  const writer = writerFor(
    async (rows) => {
      call += 1
      if (call % 5 === 1) await new Promise((resolve) => setTimeout(resolve, 45))
      if (call % 5 === 2) throw new Error('refused')
      await table.append(rows)
      if (call % 5 === 3) throw new Error('lost')
    },
    { waitMilliseconds: 30, appendMilliseconds: 200 },
  )
  const answers = new Map<string, boolean>()
  for (let i = 0; i < 300; i++) {
    const id = `d${i}`
    void writer.write(entry(id)).then((outcome) => answers.set(id, outcome.ok))
    if (i % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 5))
  }
  expect(await writer.close(10_000)).toEqual({ unwritten: 0 })
  const rows = table.rows()
  expect(verifyRows(rows).ok).toBe(true)
  const corrected = new Set(rows.map((row) => row.trace['corrects']))
  const effective = new Map(
    rows.map((row) => [row.decision_id, row.decision === 'allow' && !corrected.has(row.decision_id)]),
  )
  expect(answers.size).toBe(300)
  for (const [id, wasAllowed] of answers) expect([id, effective.get(id)]).toEqual([id, wasAllowed])
  expect([...answers.values()].filter((wasAllowed) => !wasAllowed).length).toBeGreaterThan(0)
})

test('a full queue refuses with log.overflow, and the next row tells how many are missing', async () => {
  const table = createTable()
  const gate = Promise.withResolvers<void>()
  const writer = writerFor(
    async (rows) => {
      await gate.promise
      await table.append(rows)
    },
    { queueMax: 2, waitMilliseconds: 5_000 },
  )
  const kept = [writer.write(entry('d1')), writer.write(entry('d2'))]
  expect(await writer.write(entry('d3'))).toEqual(overflow)
  gate.resolve()
  await Promise.all(kept)
  expect(await writer.write(entry('d4'))).toEqual(ok)
  const rows = table.rows()
  expect(rows.map((row) => row.decision_id)).toEqual(['d1', 'd2', 'd4'])
  expect(rows.map((row) => row.trace['unlogged_before'])).toContain(1)
  expect(verifyRows(rows).ok).toBe(true)
  expect(writer.stats()).toMatchObject({ refused: 1, shed: 0 })
})

test('closing gives up at its deadline, says how many rows are missing, and lets nobody wait', async () => {
  const writer = writerFor(() => new Promise(() => undefined), { waitMilliseconds: 10_000 })
  const write = writer.write(entry('d1'))
  expect(await writer.close(30)).toEqual({ unwritten: 1 })
  expect(await write).toEqual(unavailable)
  expect(await writer.write(entry('d2'))).toEqual(unavailable)
})
test('a write ends at once and its row follows', async () => {
  const table = createTable()
  const writer = writerFor(table.append, { mode: 'buffer' })
  expect(await writer.write(entry('d1'))).toEqual(ok)
  expect(await writer.close(1_000)).toEqual({ unwritten: 0 })
  expect(table.rows().map((row) => row.decision_id)).toEqual(['d1'])
})

test.each([
  ['deny', overflow, { refused: 3, shed: 0 }],
  ['shed', ok, { refused: 0, shed: 3 }],
] as const)('a full queue under `%s` is counted and never grows', async (policy, expected, counts) => {
  const table = createTable()
  const gate = Promise.withResolvers<void>()
  const writer = writerFor(
    async (rows) => {
      await gate.promise
      await table.append(rows)
    },
    { mode: 'buffer', overflow: policy, queueMax: 2 },
  )
  const outcomes = []
  for (let i = 0; i < 5; i++) outcomes.push(await writer.write(entry(`d${i}`)))
  expect(outcomes).toEqual([ok, ok, expected, expected, expected])
  expect(writer.stats()).toMatchObject(counts)
  gate.resolve()
  await writer.close(1_000)
  expect(table.rows()).toHaveLength(2)
  expect(verifyRows(table.rows()).ok).toBe(true)
})

test('in `buffer` a row is sealed when it is written: what its objects become later changes nothing', async () => {
  const table = createTable()
  const writer = writerFor(table.append, { mode: 'buffer' })
  const facts = { version: 1, kept: 'as it was' }
  await writer.write({ ...entry('d1'), facts })
  facts.kept = 'changed'
  await writer.close(1_000)
  expect(table.rows().map((row) => row.facts)).toEqual([{ version: 1, kept: 'as it was' }])
  expect(verifyRows(table.rows()).ok).toBe(true)
})
