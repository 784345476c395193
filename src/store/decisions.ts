import { setTimeout as sleep } from 'node:timers/promises'
import type { AppendRows, LogCursor, LogFilter, LogRow, QueryLog, SealedRow } from '#decision-log/port.ts'
import type { Sql, Transaction } from './connections.ts'
import type { Database } from './database.ts'
import { codeOf, isConnectionLoss, withDeadline } from './faults.ts'
import { logCondition } from './log-filter.ts'
import { checkedLimit, instantText } from './rows.ts'

/** How appending behaves. */
export interface AppendOptions {
  /** How long a batch is tried again after the connection was lost. Default 5,000. */
  readonly deadlineMilliseconds?: number
}

const STATEMENT_MILLISECONDS = 5_000
/** After this the connection is given up: a server that vanished without a word would hold the writer for ever. */
const SILENCE_MILLISECONDS = STATEMENT_MILLISECONDS + 1_000
const UNIQUE_VIOLATION = '23505'
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/**
 * Appends to the log on a connection of its own: one statement with one JSON parameter per batch, all rows or none.
 *
 * Safe to repeat: a row that is there already with the same hash counts as written. A row whose place in the writer's
 * chain holds another hash rejects: two processes would be writing as one.
 */
export function createAppendRows(db: Database, options: AppendOptions = {}): AppendRows {
  const open = () => db.pool({ purpose: 'decision log', max: 1, statementTimeout: STATEMENT_MILLISECONDS })
  let sql = open()
  return async (rows) => {
    const deadline = performance.now() + (options.deadlineMilliseconds ?? 5_000)
    for (let attempt = 1; ; attempt++) {
      const used = sql
      try {
        return await withDeadline(append(used, rows), SILENCE_MILLISECONDS, 'the database is silent', () => {
          void used.end({ timeout: 0 })
          if (sql === used) sql = open()
        })
      } catch (error) {
        if (!isConnectionLoss(error) || performance.now() > deadline) throw error
        await sleep(Math.min(10 * attempt, 200))
      }
    }
  }
}

async function append(sql: Sql, rows: readonly SealedRow[]): Promise<void> {
  if (rows.length === 0) return
  try {
    await insertRows(sql, rows)
  } catch (error) {
    if (codeOf(error) !== UNIQUE_VIOLATION) throw error
    const missing = await rowsNotThere(sql, rows)
    if (missing.length === rows.length) throw error
    if (missing.length > 0) await insertRows(sql, missing)
  }
}

async function insertRows(sql: Sql, rows: readonly SealedRow[]): Promise<void> {
  await sql`
    insert into decisions (tenant, decided_at, decision_id, decision, reason, reasons, obligations, gateway, dialect,
      request_id, traceparent, agent, "user", subject, tool, action, resource, policies, release, state_version,
      duration_us, facts, trace, writer, sequence, previous_hash, hash)
    select * from json_to_recordset(${`[${rows.map(({ json }) => json).join()}]`}::text::json) as given (
      tenant text, decided_at timestamptz, decision_id uuid, decision text, reason text, reasons json,
      obligations json, gateway text, dialect text, request_id text, traceparent text, agent text, "user" text,
      subject text, tool text, action text, resource text, policies json, release text, state_version bigint,
      duration_us integer, facts json, trace json, writer text, sequence bigint, previous_hash text, hash text)`
}

/** Rows whose place in the chain is free. @throws when a place holds another row. */
async function rowsNotThere(sql: Sql, rows: readonly SealedRow[]): Promise<readonly SealedRow[]> {
  const places = rows.map(({ writer, sequence }) => ({ writer, sequence }))
  const found = await sql<{ writer: string; sequence: string; hash: string }[]>`
    select d.writer, d.sequence::text, d.hash from decisions d
    join json_to_recordset(${JSON.stringify(places)}::text::json)
      as given (writer text, sequence bigint) on d.writer = given.writer and d.sequence = given.sequence`
  const hashes = new Map(found.map((row) => [`${row.sequence} ${row.writer}`, row.hash]))
  return rows.filter((row) => {
    const hash = hashes.get(`${row.sequence} ${row.writer}`)
    if (hash !== undefined && hash !== row.hash) {
      throw new Error(`place ${row.sequence} in the log of writer \`${row.writer}\` holds another row`)
    }
    return hash === undefined
  })
}

/** Announces a process that writes the log; its chain can't vanish as a whole without a trace. */
export async function registerWriter(db: Database, writer: string, application: string): Promise<void> {
  await db.sql`insert into writers (writer, application) values (${writer}, ${application}) on conflict do nothing`
}

/** The newest row of a writer's chain; undefined before its first. */
export async function lastOfWriter(
  db: Database,
  writer: string,
): Promise<{ readonly sequence: number; readonly hash: string } | undefined> {
  const [row] = await db.sql<{ sequence: string; hash: string }[]>`
    select sequence::text, hash from decisions where writer = ${writer} order by decisions.sequence desc limit 1`
  return row === undefined ? undefined : { sequence: Number(row.sequence), hash: row.hash }
}

/** Reads the log newest first, by (decided_at, decision_id); rows written meanwhile never shift a page. */
export function createQueryLog(db: Database): QueryLog {
  const { sql } = db
  return {
    async page(filter, limit, cursor) {
      const size = checkedLimit(limit)
      const rows = await sql.begin('read only', async (transaction) => {
        // Newest first and only a page: reading all of a week to sort it is never the shorter way.
        await transaction`set local enable_seqscan = off`
        return await selectRows(transaction, where(transaction, filter, cursor), size + 1)
      })
      const page = rows.slice(0, size)
      const last = page.at(-1)
      return { rows: page, next: rows.length > size && last !== undefined ? cursorAfter(last) : undefined }
    },
    async find(decisionId) {
      if (!UUID.test(decisionId)) return undefined
      const [row] = await selectRows(sql, sql`decision_id = ${decisionId}`, 1)
      return row
    },
  }
}

/** The later row that takes back an answer which did not leave; it has the time of the row that it corrects. */
export async function findCorrection({ sql }: Database, row: LogRow): Promise<LogRow | undefined> {
  const [found] = await selectRows(
    sql,
    sql`tenant = ${row.tenant} and decided_at = ${row.decided_at}::text::timestamptz
      and trace->>'corrects' = ${row.decision_id}`,
    1,
  )
  return found
}

type Condition = ReturnType<typeof instantText>

function where(sql: Sql | Transaction, filter: LogFilter, cursor: LogCursor | undefined): Condition {
  const condition = logCondition(sql, filter)
  if (cursor === undefined) return condition
  const { decidedAt, decisionId } = parseCursor(cursor)
  return sql`${condition}
    and (decided_at, decision_id) < (${decidedAt}::text::timestamptz, ${decisionId}::text::uuid)`
}

/** `bigint` columns, which the driver gives as text. */
type NumberColumn = 'state_version' | 'sequence'

async function selectRows(
  sql: Sql | Transaction,
  condition: Condition,
  limit: number,
): Promise<readonly LogRow[]> {
  const order = sql`order by decisions.decided_at desc, decision_id desc limit ${limit}`
  return await selectLogRows(sql, sql`${condition} ${order}`)
}

/** Rows as they were written; `rest` is what follows `where`. */
export async function selectLogRows(sql: Sql | Transaction, rest: Condition): Promise<readonly LogRow[]> {
  const rows = await sql<StoredRow[]>`
    select decision_id, tenant, ${instantText(sql, 'decisions.decided_at')} as decided_at, decision, reason, reasons,
      obligations, gateway, dialect, request_id, traceparent, agent, "user", subject, tool, action, resource,
      policies, release, state_version::text, duration_us, facts, trace, writer, sequence::text, previous_hash, hash
    from decisions where ${rest}`
  return rows.map((row) => ({
    ...row,
    state_version: Number(row.state_version),
    sequence: Number(row.sequence),
  }))
}

type StoredRow = Omit<LogRow, NumberColumn> & Record<NumberColumn, string>

function cursorAfter(row: LogRow): LogCursor {
  return Buffer.from(`${row.decided_at} ${row.decision_id}`).toString('base64url') as LogCursor
}

function parseCursor(cursor: LogCursor): { readonly decidedAt: string; readonly decisionId: string } {
  const [decidedAt = '', decisionId = ''] = Buffer.from(cursor, 'base64url').toString().split(' ')
  if (Number.isNaN(Date.parse(decidedAt)) || !UUID.test(decisionId)) {
    throw new RangeError('the cursor is not one that this log gave')
  }
  return { decidedAt, decisionId }
}
