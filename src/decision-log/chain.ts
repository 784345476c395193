import { hash } from 'node:crypto'
import type { Json } from '#model/value.ts'
import type { LogEntry } from './entry.ts'
import { sortedNames } from './json-object.ts'
import type { LogRow, SealedRow } from './port.ts'

/** `previous_hash` of a writer's first row. */
export const GENESIS_HASH = '0'.repeat(64)

const NEEDS_NO_ESCAPE = /^[ !#-[\]-~]*$/
// Canonical JSON writes both as escapes. A text that spells such an escape is caught too; it only costs time.
const MAY_BE_UNSTORABLE = /\\u(?:0000|d[89a-f])/
const ESCAPE = /\\(?:u[0-9a-f]{4}|.)/g
const UNSTORABLE = /^\\u(?:0000|d[89a-f])/

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

/**
 * A row linked to the one before it.
 *
 * INVARIANT: the hash is of what a database can hold. It takes neither NUL nor half surrogates; were they replaced later,
 * a caller could make its own rows look edited, and the whole chain with them.
 */
export function sealRow(entry: LogEntry, writer: string, previous: ChainHead | undefined): SealedRow {
  const open = inOrder(entry, writer, previous)
  const content = storable(canonicalJson(open))
  const hashed = digest(content)
  return {
    writer,
    sequence: open.sequence,
    hash: hashed,
    json: `${content.slice(0, -1)},"hash":"${hashed}"}`,
  }
}

/** The row without its hash, its columns in canonical order. */
function inOrder(entry: LogEntry, writer: string, previous: ChainHead | undefined): Omit<LogRow, 'hash'> {
  return {
    action: entry.action,
    agent: entry.agent,
    decided_at: entry.decided_at,
    decision: entry.decision,
    decision_id: entry.decision_id,
    dialect: entry.dialect,
    duration_us: entry.duration_us,
    facts: entry.facts,
    gateway: entry.gateway,
    obligations: entry.obligations,
    policies: entry.policies,
    previous_hash: previous?.hash ?? GENESIS_HASH,
    reason: entry.reason,
    reasons: entry.reasons,
    release: entry.release,
    request_id: entry.request_id,
    resource: entry.resource,
    sequence: (previous?.sequence ?? 0) + 1,
    state_version: entry.state_version,
    subject: entry.subject,
    tenant: entry.tenant,
    tool: entry.tool,
    trace: entry.trace,
    traceparent: entry.traceparent,
    user: entry.user,
    writer,
  }
}

function storable(content: string): string {
  if (!MAY_BE_UNSTORABLE.test(content)) return content
  const kept = content.replaceAll(ESCAPE, (found) => (UNSTORABLE.test(found) ? '\\ufffd' : found))
  // The character that stands for them is written as itself in canonical JSON.
  return canonicalJson(JSON.parse(kept) as Json)
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

/** How `row` does not continue the chain that ends with `head`; undefined when it does. */
export function breakAt(row: LogRow, head: ChainHead): ChainBreak['kind'] | undefined {
  if (row.sequence > head.sequence + 1) return 'gap'
  if (row.sequence <= head.sequence) return 'reordered'
  const { hash: claimed, ...open } = row
  if (digest(canonicalJson(open)) !== claimed) return 'edited'
  return row.previous_hash === head.hash ? undefined : 'unlinked'
}

/**
 * JSON with sorted members and no spaces: the same text for the same value wherever it was stored meanwhile (a database
 * reorders members). Members that are undefined are left out.
 */
export function canonicalJson(value: Json | { readonly [name: string]: unknown }): string {
  // Entries are made with their members in order; then Node's own writer gives the same text at a fraction of the cost.
  return isInOrder(value) ? JSON.stringify(value) : sortedJson(value)
}

/** Whether `JSON.stringify` would write the members of each object in canonical order. */
function isInOrder(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return value !== undefined
  if (Array.isArray(value)) return value.every(isInOrder)
  let before = ''
  for (const name in value) {
    if (name < before) return false
    before = name
    const member: unknown = (value as { readonly [name: string]: unknown })[name]
    if (typeof member === 'object' && member !== null && !isInOrder(member)) return false
  }
  return true
}

function sortedJson(value: Json | { readonly [name: string]: unknown }): string {
  if (typeof value === 'string') return quoted(value)
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  let text = ''
  if (Array.isArray(value)) {
    for (const item of value) text += `${text === '' ? '' : ','}${sortedJson(item as Json)}`
    return `[${text}]`
  }
  const fields = value as { readonly [name: string]: Json | undefined }
  for (const name of sortedNames(fields)) {
    const member = fields[name]
    if (member === undefined) continue
    text += `${text === '' ? '' : ','}${quoted(name)}:${sortedJson(member)}`
  }
  return `{${text}}`
}

/** What `JSON.stringify` gives, at a third of the cost for text that needs no escape; nearly all of it does not. */
function quoted(text: string): string {
  return NEEDS_NO_ESCAPE.test(text) ? `"${text}"` : JSON.stringify(text)
}

function digest(text: string): string {
  return hash('sha256', text, 'hex')
}
