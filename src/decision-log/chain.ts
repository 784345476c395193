import { createHash } from 'node:crypto'
import type { Json } from '#model/value.ts'
import type { LogEntry } from './entry.ts'
import type { LogRow } from './port.ts'

/** `previous_hash` of a writer's first row. */
export const GENESIS_HASH = '0'.repeat(64)

/** End of a writer's chain: where the next row links. */
export interface ChainHead {
  readonly sequence: number
  readonly hash: string
}

/** The first place where a chain does not hold. */
export interface ChainBreak {
  readonly writer: string
  readonly sequence: number
  readonly decision_id: string
  /** `edited`: content and hash differ. `gap`: rows before it are missing. `reordered`: it comes too late or twice. */
  readonly kind: 'edited' | 'gap' | 'reordered' | 'unlinked'
}

/** A row linked to the one before it, with its canonical length in characters for bounding batches. */
export function linkRow(
  entry: LogEntry,
  writer: string,
  previous: ChainHead | undefined,
): { readonly row: LogRow; readonly characters: number } {
  const open = {
    ...entry,
    writer,
    sequence: (previous?.sequence ?? 0) + 1,
    previous_hash: previous?.hash ?? GENESIS_HASH,
  }
  const content = canonicalJson(open)
  return { row: { ...open, hash: digest(content) }, characters: content.length }
}

/**
 * Checks rows of any number of writers, each writer's rows in ascending sequence.
 *
 * @param heads where each writer's chain was left by an earlier call, so that a log can be checked page by page. A writer
 *   that is not named must begin with its first row.
 * @returns the first break in the order of `rows`, or the heads to go on from. Compare them with heads kept elsewhere:
 *   rows cut off at the end leave no trace inside the log.
 */
export function verifyRows(
  rows: Iterable<LogRow>,
  heads: ReadonlyMap<string, ChainHead> = new Map(),
):
  | { readonly ok: true; readonly heads: ReadonlyMap<string, ChainHead> }
  | { readonly ok: false; readonly broken: ChainBreak } {
  const reached = new Map(heads)
  for (const row of rows) {
    const kind = breakAt(row, reached.get(row.writer) ?? { sequence: 0, hash: GENESIS_HASH })
    if (kind !== undefined) {
      const { writer, sequence, decision_id } = row
      return { ok: false, broken: { writer, sequence, decision_id, kind } }
    }
    reached.set(row.writer, { sequence: row.sequence, hash: row.hash })
  }
  return { ok: true, heads: reached }
}

function breakAt(row: LogRow, head: ChainHead): ChainBreak['kind'] | undefined {
  if (row.sequence > head.sequence + 1) return 'gap'
  if (row.sequence <= head.sequence) return 'reordered'
  const { hash, ...open } = row
  if (digest(canonicalJson(open)) !== hash) return 'edited'
  return row.previous_hash === head.hash ? undefined : 'unlinked'
}

/**
 * JSON with sorted members and no spaces: the same text for the same value wherever it was stored meanwhile (a database
 * reorders members). Members that are undefined are left out.
 */
export function canonicalJson(value: Json | { readonly [name: string]: unknown }): string {
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item as Json)).join(',')}]`
  const fields = value as { readonly [name: string]: Json | undefined }
  let text = ''
  for (const name of Object.keys(fields).toSorted(byCodeUnit)) {
    const member = fields[name]
    if (member === undefined) continue
    text += `${text === '' ? '' : ','}${JSON.stringify(name)}:${canonicalJson(member)}`
  }
  return `{${text}}`
}

function byCodeUnit(a: string, b: string): number {
  return a < b ? -1 : Number(a > b)
}

function digest(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
