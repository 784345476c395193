import { createHash, randomUUID } from 'node:crypto'
import { globSync, lstatSync, mkdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openPool, type Sql, type Target } from '#store/connections.ts'
import { type Database, openTarget } from '#store/database.ts'
import { joinEmbeddedPostgres } from '#store/embedded-postgres.ts'

/** A database of its own for one test or file; `close` drops it. */
export interface TestDatabase extends Database {
  /** Where it is, for a second client. */
  readonly target: Target
  /** A superuser's or owner's pool on the same server, to break things with. */
  readonly server: Sql
}

/** Outside Postgres that the suites run on instead of the embedded one. */
const OUTSIDE_URL = process.env['WARDER_TEST_DATABASE_URL']
const TEMPLATE_LOCK = 7_238_900

interface TestServer {
  readonly sql: Sql
  readonly target: (database: string) => Target
  readonly leave: () => Promise<void>
}

/**
 * A fresh, migrated database: a copy of a template, made in some 20 ms, on one server that all test files share while
 * they run. The last one to close it stops it.
 */
export async function openTestDatabase(): Promise<TestDatabase> {
  const server = await joinTestServer()
  const name = `test_${process.pid}_${randomUUID().slice(0, 8)}`
  const target = server.target(name)
  try {
    const template = await ensureTemplate(server)
    await server.sql`create database ${server.sql(name)} template ${server.sql(template)}`
    const database = await openTarget(target, { applicationName: 'test' }, async () => {
      await server.sql`drop database ${server.sql(name)} with (force)`
      await server.leave()
    })
    return { ...database, target, server: server.sql }
  } catch (error) {
    await server.leave()
    throw error
  }
}

async function joinTestServer(): Promise<TestServer> {
  const embedded =
    OUTSIDE_URL === undefined
      ? await joinEmbeddedPostgres({ dataDir: testFolder(), applicationName: 'test server' })
      : undefined
  const target = (database: string): Target =>
    embedded === undefined
      ? { kind: 'external', url: OUTSIDE_URL, socket: undefined, database }
      : { ...embedded.target, database }
  const sql = openPool(target('postgres'), {
    applicationName: 'test server',
    max: 1,
    statementTimeout: 30_000,
    role: 'owner',
  })
  return {
    sql,
    target,
    leave: async () => {
      await sql.end({ timeout: 1 })
      await embedded?.leave()
    },
  }
}

/** A folder of this user, kept between runs: creating a database cluster is the slow part. */
function testFolder(): string {
  const uid = process.getuid?.() ?? 0
  const folder = join(tmpdir(), `warder-test-${uid}`)
  mkdirSync(folder, { recursive: true, mode: 0o755 })
  const found = lstatSync(folder)
  if (!found.isDirectory() || found.uid !== uid) throw new Error(`${folder} belongs to another user`)
  return folder
}

/** Name of the template for exactly these migrations; made by whoever comes first, under a lock. */
async function ensureTemplate(server: TestServer): Promise<string> {
  const hash = createHash('sha256')
  for (const file of globSync('migrations/*.sql').toSorted()) hash.update(readFileSync(file))
  const template = `template_${hash.digest('hex').slice(0, 12)}`
  await server.sql`select pg_advisory_lock(${TEMPLATE_LOCK}::bigint)`
  try {
    const found = await server.sql`select from pg_database where datname = ${template}`
    if (found.length > 0) return template
    await dropLeftovers(server.sql)
    const unfinished = `unfinished_${template}`
    await server.sql`drop database if exists ${server.sql(unfinished)} with (force)`
    await server.sql`create database ${server.sql(unfinished)}`
    const migrated = await openTarget(
      server.target(unfinished),
      { applicationName: 'test template' },
      async () => undefined,
    )
    await migrated.close()
    await server.sql`alter database ${server.sql(unfinished)} rename to ${server.sql(template)}`
    return template
  } finally {
    await server.sql`select pg_advisory_unlock(${TEMPLATE_LOCK}::bigint)`
  }
}

/** Databases of test processes that were killed, and templates of other migrations. */
async function dropLeftovers(sql: Sql): Promise<void> {
  const rows = await sql<{ datname: string }[]>`
    select datname from pg_database where datname ~ '^(test_[0-9]+_|template_[0-9a-f]{12}$)'`
  for (const { datname } of rows) {
    const pid = Number(/^test_(\d+)_/.exec(datname)?.[1] ?? 0)
    if (!isRunning(pid)) await sql`drop database if exists ${sql(datname)} with (force)`
  }
}

function isRunning(pid: number): boolean {
  if (pid === 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
