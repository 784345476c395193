import postgres from 'postgres'

/** A pool of database connections. `types` are not fetched: arrays travel as JSON. */
export type Sql = postgres.Sql

/** Inside a transaction. */
export type Transaction = postgres.TransactionSql

/** Where a database is and how both roles reach it. */
export interface Target {
  readonly kind: 'embedded' | 'external'
  /** Connection string of an outside server; undefined for a socket. */
  readonly url: string | undefined
  /** Unix socket of an embedded server. */
  readonly socket: string | undefined
  readonly database: string | undefined
}

/** How one pool behaves. Timeouts in milliseconds. */
export interface PoolOptions {
  readonly applicationName: string
  readonly max: number
  readonly statementTimeout: number
  /** `owner`: who owns the tables. `runtime`: the least-privileged role. */
  readonly role: 'owner' | 'runtime'
  /** Seconds after which an unused connection closes. Default: never. */
  readonly idleSeconds?: number
  readonly onNotify?: (channel: string, payload: string) => void
  readonly onClose?: () => void
}

/** Role of the serving process's connections. */
export const RUNTIME_ROLE = 'warder_runtime'

/** Name of the embedded server's superuser; only the socket's owner (and root) can connect at all. */
export const EMBEDDED_OWNER = 'warder'

const CONNECT_TIMEOUT_SECONDS = 10
const LOCK_TIMEOUT_MILLISECONDS = 10_000
const IDLE_IN_TRANSACTION_MILLISECONDS = 60_000

/** Opens a pool; connections are made on first use. Every server setting is explicit, so `PG*` variables don't matter. */
export function openPool(target: Target, options: PoolOptions): Sql {
  const embedded = target.kind === 'embedded'
  const settings = {
    max: options.max,
    idle_timeout: options.idleSeconds,
    connect_timeout: CONNECT_TIMEOUT_SECONDS,
    prepare: true,
    fetch_types: false,
    // The default waits up to 20 s after a restart of the database; that is an outage of our own making.
    backoff: (attempt: number) => Math.min(0.02 * attempt, 0.25) * (0.5 + Math.random() / 2),
    onnotice: () => undefined,
    onnotify: options.onNotify,
    onclose: options.onClose ?? (() => undefined),
    connection: {
      application_name: options.applicationName,
      search_path: 'warder',
      statement_timeout: options.statementTimeout,
      lock_timeout: LOCK_TIMEOUT_MILLISECONDS,
      idle_in_transaction_session_timeout: IDLE_IN_TRANSACTION_MILLISECONDS,
      timezone: 'UTC',
      // A real login on the embedded server; elsewhere the owner's login steps down before its first statement.
      ...(options.role === 'runtime' && !embedded ? { role: RUNTIME_ROLE } : {}),
    },
    // The driver renews connections from time to time; on the embedded server that would drop the client lock.
    ...(embedded ? { max_lifetime: null } : {}),
    ...(target.database === undefined ? {} : { database: target.database }),
  }
  if (target.socket !== undefined) {
    const user = options.role === 'runtime' ? RUNTIME_ROLE : EMBEDDED_OWNER
    return postgres({ ...settings, path: target.socket, host: 'localhost', user, pass: 'unused', ssl: false })
  }
  return postgres(checkedUrl(target.url ?? ''), settings)
}

function checkedUrl(url: string): string {
  // The original error carries the whole text, password included.
  if (!URL.canParse(url) || !/^postgres(ql)?:$/.test(new URL(url).protocol)) {
    throw new Error('the database URL is not of the form `postgres://user:password@host:port/database`')
  }
  return url
}

/** The `name` of a target's database as used in messages; never contains credentials. */
export function describeTarget(target: Target): string {
  if (target.kind === 'embedded') return `embedded Postgres at ${target.socket}`
  const url = new URL(checkedUrl(target.url ?? ''))
  return `${url.host}${url.pathname}`
}
