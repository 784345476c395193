import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalJson, sealRow, verifyRows } from '#decision-log/chain.ts'
import type { LogEntry } from '#decision-log/entry.ts'
import type { LogRow, SealedRow } from '#decision-log/port.ts'
import { opened } from '../support/append-rows.ts'

function chain(count: number, writer = 'w'): LogRow[] {
  const rows: LogRow[] = []
  let head: SealedRow | undefined
  for (let i = 1; i <= count; i++) {
    const entry = { decision_id: `${writer}${i}`, facts: { i, a: { b: [i] } } } as unknown as LogEntry
    head = sealRow(entry, writer, head)
    rows.push(opened(head))
  }
  return rows
}

function at(rows: readonly LogRow[], i: number): LogRow {
  const row = rows[i]
  if (row === undefined) throw new Error(`no row ${i}`)
  return row
}

describe('a chain', () => {
  test('of several writers, interleaved, holds', () => {
    const [a, b] = [chain(3, 'a'), chain(3, 'b')]
    const result = verifyRows([0, 1, 2].flatMap((i) => [at(a, i), at(b, i)]))
    expect(result).toMatchObject({ ok: true })
    expect(result.ok && [...result.heads.keys()]).toEqual(['a', 'b'])
  })

  test('can be checked page by page', () => {
    const rows = chain(6)
    const first = verifyRows(rows.slice(0, 3))
    expect(first.ok && verifyRows(rows.slice(3), first.heads).ok).toBe(true)
  })

  test('holds after a database has reordered the members of its objects', () => {
    const rows = chain(2).map((row) => ({
      ...row,
      facts: Object.fromEntries(Object.entries(row.facts).toReversed()),
    }))
    expect(verifyRows(rows).ok).toBe(true)
  })

  test.each<[string, (rows: LogRow[]) => LogRow[], object]>([
    [
      'an edited fact',
      (rows) => rows.with(1, { ...at(rows, 1), facts: { i: 99 } }),
      { sequence: 2, kind: 'edited' },
    ],
    [
      'an edited decision',
      (rows) => rows.with(1, { ...at(rows, 1), decision: 'allow' }),
      { sequence: 2, kind: 'edited' },
    ],
    ['a deleted row', (rows) => rows.toSpliced(1, 1), { sequence: 3, kind: 'gap' }],
    ['a missing beginning', (rows) => rows.slice(1), { sequence: 2, kind: 'gap' }],
    ['swapped rows', (rows) => [at(rows, 0), at(rows, 2), at(rows, 1)], { sequence: 3, kind: 'gap' }],
    ['a doubled row', (rows) => [at(rows, 0), at(rows, 0), at(rows, 1)], { sequence: 1, kind: 'reordered' }],
    [
      'a row that was replaced together with its own hash',
      (rows) => {
        const { hash: _hash, ...open } = at(rows, 1)
        return rows.with(1, opened(sealRow({ ...open, facts: { i: 99 } }, 'w', at(rows, 0))))
      },
      { sequence: 3, kind: 'unlinked' },
    ],
  ])('with %s breaks there', (_, tamper, broken) => {
    expect(verifyRows(tamper(chain(4)))).toMatchObject({ ok: false, broken: { writer: 'w', ...broken } })
  })
})

test('canonical JSON is the same for equal values and differs for different ones', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const stored: unknown = JSON.parse(JSON.stringify(value))
      const text = canonicalJson(value as never)
      expect(canonicalJson(stored as never)).toBe(text)
      expect(JSON.parse(text)).toEqual(stored)
    }),
  )
})

test('canonical JSON does not depend on the order in which members were written', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(canonicalJson(reversed(value) as never)).toBe(canonicalJson(value as never))
    }),
  )
  // Node puts names that are numbers first, in the order of the numbers.
  expect(canonicalJson({ b: 1, 9: 2, 10: 3, a: undefined })).toBe('{"10":3,"9":2,"b":1}')
})

function reversed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(reversed)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .toReversed()
      .map(([name, member]) => [name, reversed(member)]),
  )
}
