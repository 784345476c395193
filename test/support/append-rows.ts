import type { LogRow, SealedRow } from '#decision-log/port.ts'
import type { Database } from '#store/database.ts'
import { type AppendOptions, createAppendRows } from '#store/decisions.ts'

/** Appends rows as they are, linked or not. */
export function appendRowsTo(
  db: Database,
  options?: AppendOptions,
): (rows: readonly LogRow[]) => Promise<void> {
  const append = createAppendRows(db, options)
  return (rows) => append(rows.map(sealed))
}

function sealed(row: LogRow): SealedRow {
  return { writer: row.writer, sequence: row.sequence, hash: row.hash, json: JSON.stringify(row) }
}

/** The row that was sealed. */
export function opened({ json }: SealedRow): LogRow {
  return JSON.parse(json)
}
