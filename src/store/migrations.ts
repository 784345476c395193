import { fileURLToPath } from 'node:url'
import { readMigrationFiles } from 'drizzle-orm/migrator'
import { drizzle } from 'drizzle-orm/postgres-js'
import { migrate } from 'drizzle-orm/postgres-js/migrator'
import { describeTarget, openPool, type Sql, type Target } from './connections.ts'

const FOLDER = fileURLToPath(new URL('../../migrations', import.meta.url))
const TABLE = 'migrations'
const SCHEMA = 'warder'
/** Key of the advisory lock that makes all others wait while one process migrates. */
const MIGRATION_LOCK = 7_238_002
/** An index on a large log takes its time; the lock waits as long. */
const STATEMENT_TIMEOUT_MILLISECONDS = 15 * 60_000
const SERVER_VERSION_MIN = 150_000

/**
 * Brings the database to the newest migration of this installation; costs one round trip when it is there already.
 * Processes that start together wait for each other.
 * @throws when the server is too old, or the database newer than this installation.
 */
export async function migrateDatabase(
  target: Target,
  applicationName: string,
  onProgress: (text: string) => void,
): Promise<void> {
  // A pool of its own: drizzle changes how its connection reads dates and JSON.
  const sql = openPool(target, {
    applicationName: `${applicationName}: migrations`,
    max: 1,
    statementTimeout: STATEMENT_TIMEOUT_MILLISECONDS,
    role: 'owner',
  })
  try {
    await checkServer(sql, target)
    if (await isCurrent(sql, target)) return
    await sql`set lock_timeout = 0`
    await sql`select pg_advisory_lock(${MIGRATION_LOCK}::bigint)`
    if (await isCurrent(sql, target)) return
    onProgress('migrating the database')
    await migrate(drizzle(sql), {
      migrationsFolder: FOLDER,
      migrationsSchema: SCHEMA,
      migrationsTable: TABLE,
    })
  } finally {
    await sql.end({ timeout: 1 })
  }
}

async function checkServer(sql: Sql, target: Target): Promise<void> {
  const [row] = await sql<
    { version: string; number: string }[]
  >`select current_setting('server_version') as version, current_setting('server_version_num') as number`
  if (Number(row?.number) < SERVER_VERSION_MIN) {
    throw new Error(`${describeTarget(target)} runs Postgres ${row?.version}; Warder needs 15 or newer`)
  }
}

async function isCurrent(sql: Sql, target: Target): Promise<boolean> {
  const known = readMigrationFiles({ migrationsFolder: FOLDER }).map(({ folderMillis }) => folderMillis)
  const applied = await appliedMigrations(sql)
  const newest = Math.max(...known)
  if (applied.some((at) => at > newest || !known.includes(at))) {
    throw new Error(
      `the database at ${describeTarget(target)} was migrated by a newer version of Warder; ` +
        'update this installation, or use the database that belongs to it',
    )
  }
  return applied.length === known.length
}

async function appliedMigrations(sql: Sql): Promise<readonly number[]> {
  const [found] = await sql<
    { exists: boolean }[]
  >`select to_regclass('warder.migrations') is not null as exists`
  if (found?.exists !== true) return []
  const rows = await sql<{ created_at: string }[]>`select created_at::text from warder.migrations`
  return rows.map((row) => Number(row.created_at))
}
