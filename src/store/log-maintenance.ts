import { setTimeout as sleep } from 'node:timers/promises'
import type { Sql } from './connections.ts'
import type { Database } from './database.ts'
import { codeOf } from './faults.ts'

/** What one round of maintenance did. */
export interface MaintenanceReport {
  /** False when another process was at it. */
  readonly ran: boolean
  /** Partitions made ahead, and those dropped. */
  readonly made: readonly string[]
  readonly dropped: readonly string[]
  /** Rows that retention removed. */
  readonly removed: number
  /** Search indexes built on partitions that get no more rows. */
  readonly indexed: readonly string[]
}

/** How a round of maintenance behaves. */
export interface MaintenanceOptions {
  readonly onProgress?: (text: string) => void
  readonly signal?: AbortSignal | undefined
}

const MAINTENANCE_LOCK = 7_238_005
const WEEKS_AHEAD = 4
/** Rows of one statement: it holds no lock that matters, but its record and its undo stay small. */
const PURGE_ROWS = 5_000
/** Appending waits behind a lock that waits, so each try is short. */
const LOCK_MILLISECONDS = 250
const LOCK_TRIES = 5
const LOCK_NOT_AVAILABLE = '55P03'
const STATEMENT_MILLISECONDS = 60 * 60_000

/**
 * Keeps the log as its tenants' settings want it: makes the partitions of the coming weeks, drops those whose rows are
 * all past retention, deletes expired rows from the others (recorded in `removals`), and gives partitions that get no
 * more rows their search indexes, which would slow down appending. One process at a time; others do nothing.
 */
export async function maintainLog(
  db: Database,
  options: MaintenanceOptions = {},
): Promise<MaintenanceReport> {
  const connection = await db.owner.reserve()
  try {
    const [lock] = await connection<{ taken: boolean }[]>`
      select pg_try_advisory_lock(${MAINTENANCE_LOCK}::bigint) as taken`
    if (lock?.taken !== true) return { ran: false, made: [], dropped: [], removed: 0, indexed: [] }
    try {
      await connection`select set_config('statement_timeout', ${`${STATEMENT_MILLISECONDS}`}, false),
        set_config('lock_timeout', ${`${LOCK_MILLISECONDS}`}, false)`
      return await maintain(connection, options)
    } finally {
      await connection`reset all`
      await connection`select pg_advisory_unlock(${MAINTENANCE_LOCK}::bigint)`
    }
  } finally {
    connection.release()
  }
}

async function maintain(sql: Sql, options: MaintenanceOptions): Promise<MaintenanceReport> {
  const made = await makePartitions(sql)
  const { dropped, rows } = await dropPartitions(sql, options)
  const purged = await purgeTenants(sql, options)
  const indexed = await indexClosed(sql, options)
  return { ran: true, made, dropped, removed: rows + purged, indexed }
}

async function makePartitions(sql: Sql): Promise<readonly string[]> {
  const made: string[] = []
  for (let week = 0; week <= WEEKS_AHEAD; week++) {
    const [row] = await withShortLocks(
      () => sql<{ name: string | null }[]>`
        select make_log_partition(now() + make_interval(weeks => ${week}::int)) as name`,
    )
    if (typeof row?.name === 'string') made.push(row.name)
  }
  return made
}

async function dropPartitions(
  sql: Sql,
  { onProgress, signal }: MaintenanceOptions,
): Promise<{ readonly dropped: readonly string[]; readonly rows: number }> {
  // A partition that is only emptied later is dropped by the next round.
  const candidates = await sql<{ name: string }[]>`
    select name from log_partitions()
    where until < now() - make_interval(days => (select coalesce(min(retention_days), 36500) from tenants))`
  const dropped: string[] = []
  let rows = 0
  for (const { name } of candidates) {
    if (signal?.aborted === true) break
    const [row] = await withShortLocks(
      () => sql<{ removed: string | null }[]>`select drop_log_partition(${name}::text)::text as removed`,
    )
    if (row?.removed === null || row === undefined) continue
    rows += Number(row.removed)
    dropped.push(name)
    onProgress?.(`dropped ${name} with ${row.removed} rows`)
  }
  return { dropped, rows }
}

async function purgeTenants(sql: Sql, { onProgress, signal }: MaintenanceOptions): Promise<number> {
  const tenants = await sql<{ tenant: string; until: string }[]>`
    select tenant, (now() - make_interval(days => retention_days))::text as until from tenants
    where retention_days is not null order by tenant`
  let total = 0
  for (const { tenant, until } of tenants) {
    for (;;) {
      if (signal?.aborted === true) return total
      const removed = await purgeOnce(sql, tenant, until)
      if (removed === 0) break
      total += removed
      onProgress?.(`removed ${removed} expired rows of tenant ${tenant}`)
    }
  }
  return total
}

/** The tenant's oldest expired rows: up to a time, so that the statement finds them by index in few partitions. */
async function purgeOnce(sql: Sql, tenant: string, until: string): Promise<number> {
  const [batch] = await sql<{ newest: string | null }[]>`
    select max(decided_at)::text as newest from (
      select decided_at from decisions where tenant = ${tenant} and decided_at < ${until}::text::timestamptz
      order by decided_at limit ${PURGE_ROWS}) as oldest`
  if (typeof batch?.newest !== 'string') return 0
  const removed = await sql`
    delete from decisions where tenant = ${tenant} and decided_at <= ${batch.newest}::text::timestamptz`
  return removed.count
}

const CLOSED_INDEXES: readonly { readonly suffix: string; readonly on: string }[] = [
  { suffix: 'policies', on: 'using gin ((policies::jsonb) jsonb_path_ops)' },
  {
    suffix: 'words',
    on: 'using gin (warder.log_words(agent, "user", subject, tool, action, resource, request_id, reason, reasons::text, facts::text))',
  },
  { suffix: 'release', on: '(tenant, release, decided_at, decision_id)' },
  { suffix: 'gateway', on: '(tenant, gateway, decided_at, decision_id)' },
]

async function indexClosed(sql: Sql, { onProgress, signal }: MaintenanceOptions): Promise<readonly string[]> {
  const closed = await sql<{ name: string }[]>`
    select name from log_partitions() where until < now() - interval '1 hour'`
  const indexed: string[] = []
  for (const { name } of closed) {
    for (const { suffix, on } of CLOSED_INDEXES) {
      if (signal?.aborted === true) return indexed
      const index = `${name}_${suffix}`
      const [found] = await sql<{ valid: boolean }[]>`
        select indisvalid as valid from pg_index where indexrelid = to_regclass(${`warder.${index}`})`
      if (found?.valid === true) continue
      onProgress?.(`building the index ${index}`)
      // A build that was interrupted leaves an index that is of no use.
      await withShortLocks(() => sql.unsafe(`drop index if exists warder.${index}`))
      await sql`select set_config('lock_timeout', '0', false)`
      await sql.unsafe(`create index concurrently ${index} on warder.${name} ${on}`)
      await sql`select set_config('lock_timeout', ${`${LOCK_MILLISECONDS}`}, false)`
      indexed.push(index)
    }
  }
  return indexed
}

async function withShortLocks<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work()
    } catch (error) {
      if (codeOf(error) !== LOCK_NOT_AVAILABLE || attempt === LOCK_TRIES) throw error
      await sleep(200 * attempt * (0.5 + Math.random()))
    }
  }
}
