import type { Page } from '#admin/ports.ts'
import type { Sql, Transaction } from './connections.ts'

/** Rows that travel as one JSON parameter of a bulk statement. */
export const WRITE_BATCH = 500

/** A `timestamptz` column as RFC 3339 text in UTC with milliseconds. */
export function instantText(sql: Sql | Transaction, column: string) {
  return sql`to_char(${sql(column)} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`
}

/** The limit of a page. @throws RangeError outside 1 to 1,000. */
export function limitOf(page: Page): number {
  return checkedLimit(page.limit)
}

/** `limit`, when it is an integer from 1 to 1,000. @throws RangeError otherwise. */
export function checkedLimit(limit: number): number {
  if (Number.isInteger(limit) && limit >= 1 && limit <= 1_000) return limit
  throw new RangeError('the limit of a page must be between 1 and 1,000')
}

/** Consecutive slices of at most `size` items. */
export function* batchesOf<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size)
}
