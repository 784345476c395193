import type { LogRow } from '#decision-log/port.ts'
import { type Column, printable, utcTime } from './table.ts'

/** Columns of a list of decisions. */
export const LOG_COLUMNS: readonly Column<LogRow>[] = [
  { heading: 'time', cell: (row) => utcTime(row.decided_at) },
  { heading: 'tenant', cell: (row) => row.tenant },
  { heading: 'decision', cell: (row) => row.decision },
  { heading: 'reason', cell: (row) => row.reason },
  { heading: 'agent', cell: (row) => row.agent ?? row.subject ?? '-' },
  { heading: 'user', cell: (row) => row.user ?? '-' },
  { heading: 'tool', cell: (row) => row.tool ?? row.action ?? '-' },
  { heading: 'resource', cell: (row) => row.resource ?? '-' },
  { heading: 'decision id', cell: (row) => row.decision_id },
]

/** One decision on one line. */
export function logLine(row: LogRow): string {
  return LOG_COLUMNS.map((column) => column.cell(row)).join('  ')
}

/** Every field of a row, one on each line; structures as indented JSON. */
export function logDetails(row: LogRow): readonly string[] {
  const fields = Object.entries(row)
  const width = Math.max(...fields.map(([name]) => name.length))
  return fields.flatMap(([name, value]) => {
    const text = typeof value === 'string' ? value : JSON.stringify(value, null, 2)
    const [first = '', ...rest] = text.split('\n').map(printable)
    return [`${name.padEnd(width)}  ${first}`, ...rest.map((line) => `${' '.repeat(width)}  ${line}`)]
  })
}
