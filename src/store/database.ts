import { openPool, type PoolOptions, type Sql, type Target } from './connections.ts'
import { joinEmbeddedPostgres } from './embedded-postgres.ts'
import { migrateDatabase } from './migrations.ts'
import { ensureRuntimeRole } from './runtime-role.ts'

/** An open database with every migration applied. */
export interface Database {
  readonly kind: 'embedded' | 'external'
  /** Connections of the least-privileged role: reads, and inserts into the decision log. */
  readonly sql: Sql
  /** Connections of the owner: administration. */
  readonly owner: Sql
  /** What an operator should know, such as missing rights to separate the roles. */
  readonly warnings: readonly string[]
  /** One more pool of the runtime role, for a purpose that must not wait for others; closed with the database. */
  pool(options: RuntimePool): Sql
  /** Waits for running statements, then leaves; the last process stops an embedded server. */
  close(): Promise<void>
}

/** How an additional pool behaves; `purpose` becomes part of the application name. */
export interface RuntimePool extends Pick<PoolOptions, 'max' | 'statementTimeout' | 'onNotify' | 'onClose'> {
  readonly purpose: string
}

/** Where the database is and who opens it. */
export interface DatabaseOptions {
  /** Connection string of an outside Postgres, 15 or newer; undefined: the embedded one in `dataDir`. */
  readonly url: string | undefined
  readonly dataDir: string
  readonly applicationName: string
  /** Called with a short text before each step that can take a while. */
  readonly onProgress?: (text: string) => void
  /** Called for each connection of the runtime role that ended, for whatever reason. */
  readonly onConnectionEnd?: () => void
}

const EMBEDDED_DATABASE = 'warder'
const RUNTIME_CONNECTIONS_MAX = 6
const OWNER_CONNECTIONS_MAX = 4
const RUNTIME_STATEMENT_MILLISECONDS = 10_000
const OWNER_STATEMENT_MILLISECONDS = 60_000
const IDLE_SECONDS = 60
const DRAIN_SECONDS = 5

/**
 * Opens the outside database of `url`, or else the embedded one, and brings it up to date.
 * @throws when it can't be reached, is older than Postgres 15, or newer than this installation.
 */
export async function openDatabase(options: DatabaseOptions): Promise<Database> {
  if (options.url !== undefined) {
    const target: Target = { kind: 'external', url: options.url, socket: undefined, database: undefined }
    return openTarget(target, options, async () => undefined)
  }
  const server = await joinEmbeddedPostgres(options)
  try {
    await createDatabase(server.target, EMBEDDED_DATABASE)
    const target = { ...server.target, database: EMBEDDED_DATABASE }
    return await openTarget(target, options, () => server.leave())
  } catch (error) {
    await server.leave()
    throw error
  }
}

/** Opens one database of a server that is known to run; `leave` is called after its connections are closed. */
export async function openTarget(
  target: Target,
  options: Pick<DatabaseOptions, 'applicationName' | 'onProgress' | 'onConnectionEnd'>,
  leave: () => Promise<void>,
): Promise<Database> {
  const { applicationName } = options
  await migrateDatabase(target, applicationName, options.onProgress ?? (() => undefined))
  const owner = openPool(target, {
    applicationName: `${applicationName}: owner`,
    max: OWNER_CONNECTIONS_MAX,
    statementTimeout: OWNER_STATEMENT_MILLISECONDS,
    role: 'owner',
    idleSeconds: IDLE_SECONDS,
  })
  const warning = await ensureRuntimeRole(owner, target.kind)
  const role = warning === undefined ? 'runtime' : 'owner'
  const pools: Sql[] = [owner]
  const pool = ({ purpose, ...rest }: RuntimePool): Sql => {
    const onClose = (): void => {
      options.onConnectionEnd?.()
      rest.onClose?.()
    }
    const opened = openPool(target, {
      ...rest,
      applicationName: `${applicationName}: ${purpose}`,
      role,
      onClose,
    })
    pools.push(opened)
    return opened
  }
  const sql = pool({
    purpose: 'runtime',
    max: RUNTIME_CONNECTIONS_MAX,
    statementTimeout: RUNTIME_STATEMENT_MILLISECONDS,
  })
  let closing: Promise<void> | undefined
  return {
    kind: target.kind,
    sql,
    owner,
    warnings: warning === undefined ? [] : [warning],
    pool,
    close: () => {
      closing ??= Promise.all(pools.map((each) => each.end({ timeout: DRAIN_SECONDS }))).then(leave)
      return closing
    },
  }
}

/** Creates an empty database unless it exists; processes may do so at the same time. */
export async function createDatabase(server: Target, name: string): Promise<void> {
  const sql = openPool(server, {
    applicationName: 'warder: setup',
    max: 1,
    statementTimeout: OWNER_STATEMENT_MILLISECONDS,
    role: 'owner',
  })
  try {
    const found = await sql`select from pg_database where datname = ${name}`
    if (found.length === 0) await sql`create database ${sql(name)}`
  } catch (error) {
    const again = await sql`select from pg_database where datname = ${name}`
    if (again.length === 0) throw error
  } finally {
    await sql.end({ timeout: 1 })
  }
}
