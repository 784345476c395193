import { expect, test } from 'vitest'
import { renderDiagnostic } from '#cli/diagnostic.ts'
import { printable, renderTable, utcTime } from '#cli/table.ts'
import { commaList, instant } from '#cli/values.ts'

test('the caret stands under the column, also behind tabs and wide escapes', () => {
  const place = {
    severity: 'error',
    code: 'policy.syntax',
    message: 'unexpected `x`',
    file: 'a.cedar',
    line: 12,
  } as const
  expect(renderDiagnostic({ ...place, column: 4, source: '\twhen x', help: 'remove it' })).toBe(
    'a.cedar:12:4: error: unexpected `x` [policy.syntax]\n12 | \twhen x\n   | \t  ^\n  help: remove it',
  )
  expect(renderDiagnostic({ ...place, column: 3, source: '\u001bax' })).toContain(
    '12 | \\u{1b}ax\n   |        ^',
  )
})

test('tables are aligned without trailing spaces', () => {
  const columns = [
    { heading: 'id', cell: (row: { id: string; n: number }) => row.id },
    { heading: 'n', cell: (row: { id: string; n: number }) => `${row.n}` },
  ]
  expect(
    renderTable(columns, [
      { id: 'long-one', n: 1 },
      { id: 'b', n: 22 },
    ]),
  ).toEqual(['ID        N', 'long-one  1', 'b         22'])
})

test('control and direction characters are made visible', () => {
  expect(printable('a\u001b[2J\u202eb\n')).toBe('a\\u{1b}[2J\\u{202e}b\\u{a}')
})

test('times are shown in UTC', () => {
  expect(utcTime('2026-11-21T23:59:59.123+02:00')).toBe('2026-11-21 21:59:59Z')
  expect(utcTime(null)).toBe('-')
  expect(utcTime('later')).toBe('later')
})

test('lists and times of options are read', () => {
  expect(commaList('none')).toEqual([])
  expect(commaList('a, b,,c')).toEqual(['a', 'b', 'c'])
  expect(instant('2026-11-21T23:00:00+01:00')).toBe('2026-11-21T22:00:00.000Z')
  expect(instant('2026-11-21')).toBe('2026-11-21T00:00:00.000Z')
  expect(Math.abs(Date.parse(instant('2h')) - (Date.now() - 7_200_000))).toBeLessThan(5_000)
})
