import { unsafeCombinations } from '#config/unsafe-settings.ts'
import { nearest } from '#lib/nearest.ts'
import { failed, type Result, success } from '#lib/result.ts'
import {
  type Address,
  address,
  integer,
  oneOf,
  path,
  postgresUrl,
  publicUrl,
  type SettingKind,
  someOf,
} from '#lib/setting-kinds.ts'

/** One of the three listeners. */
export type ListenerName = 'decisions' | 'admin' | 'ext_authz'

/** Everything that can be set; read once at start. */
export interface Config {
  readonly databaseUrl: string | undefined
  readonly dataDirectory: string
  readonly secretKeyFile: string | undefined
  readonly mcpAuthorizedKeyFile: string | undefined
  readonly engine: 'compiled' | 'wasm' | 'both'
  readonly logMode: 'require' | 'buffer'
  readonly logOverflow: 'deny' | 'shed'
  readonly logQueueMax: number
  readonly listen: Address
  readonly adminListen: Address
  readonly extAuthzListen: Address
  readonly publicUrl: string | undefined
  readonly tlsCertificate: string | undefined
  readonly tlsKey: string | undefined
  readonly tlsListeners: readonly ListenerName[]
  readonly tlsClientAuthorities: string | undefined
  readonly adminTlsClientAuthorities: string | undefined
  readonly freshnessSeconds: number
  readonly pollMilliseconds: number
  readonly workers: number
  readonly bodyBytesMax: number
  readonly requestsInFlightMax: number
  readonly shutdownGraceSeconds: number
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
  readonly demo: 'on' | 'off'
}

/** One reason why the environment can't be used. Never contains the value of a secret. */
export interface ConfigProblem {
  readonly variable: string
  readonly message: string
  readonly help: string
}

/** How one variable is read. */
export interface Setting extends SettingKind<Config[keyof Config]> {
  readonly variable: string
  readonly key: keyof Config
  /** Text that is read when the variable is unset; undefined leaves the setting unset. */
  readonly fallback: string | undefined
  readonly secret: boolean
  readonly about: string
}

function setting(
  variable: string,
  key: keyof Config,
  kind: SettingKind<Config[keyof Config]>,
  fallback: string | undefined,
  about: string,
): Setting {
  return { variable, key, ...kind, fallback, secret: key === 'databaseUrl', about }
}

/** The one table of settings, in the order of the documentation. */
export const SETTINGS: readonly Setting[] = [
  setting(
    'WARDER_DATABASE_URL',
    'databaseUrl',
    postgresUrl,
    undefined,
    'Postgres 15 or newer. Unset: an embedded Postgres in the data folder.',
  ),
  setting(
    'WARDER_DATA_DIR',
    'dataDirectory',
    path,
    './data',
    'Folder of the embedded database and of local credentials. Must be readable by the operator only.',
  ),
  setting(
    'WARDER_ENGINE',
    'engine',
    oneOf('compiled', 'wasm', 'both'),
    'compiled',
    'What evaluates policies. `compiled`: the fast evaluator for releases that were proven against cedar-wasm, cedar-wasm for the others. `wasm`: cedar-wasm alone. `both`: each decision by both, and a deny where they disagree.',
  ),
  setting(
    'WARDER_SECRET_KEY_FILE',
    'secretKeyFile',
    path,
    undefined,
    'File with the keys that seal secrets in the database, one a line, base64 of 32 bytes; the first one seals. Unset: `sealing.key` in the data folder, made on first use. Several servers need the same file.',
  ),
  setting(
    'WARDER_MCP_AUTHORIZED_KEY_FILE',
    'mcpAuthorizedKeyFile',
    path,
    undefined,
    'File with a private EC key on P-256 (PKCS #8, PEM) that signs `x-mcp-authorized` for a Kuadrant MCP gateway. Several servers need the same file. Unset: no list is signed.',
  ),
  setting(
    'WARDER_LOG_MODE',
    'logMode',
    oneOf('require', 'buffer'),
    'require',
    'Decision log. `require`: the row is durable before the answer leaves. `buffer`: rows are written soon after it, and a crash can lose the newest.',
  ),
  setting(
    'WARDER_LOG_OVERFLOW',
    'logOverflow',
    oneOf('deny', 'shed'),
    'deny',
    'What happens in `buffer` mode when the queue is full: deny the request, or answer it and drop the row. Both are counted.',
  ),
  setting(
    'WARDER_LOG_QUEUE_MAX',
    'logQueueMax',
    integer(1, 1_000_000, 'rows'),
    '10000',
    'Longest queue of rows that wait for the database.',
  ),
  setting(
    'WARDER_LISTEN',
    'listen',
    address,
    '127.0.0.1:8180',
    'Listener for decisions. Gateway keys travel over it: beyond one machine let it speak TLS, or put TLS in front.',
  ),
  setting(
    'WARDER_ADMIN_LISTEN',
    'adminListen',
    address,
    '127.0.0.1:8181',
    'Listener for health, readiness, metrics and the admin API. Loopback only, unless it speaks TLS.',
  ),
  setting(
    'WARDER_EXT_AUTHZ_LISTEN',
    'extAuthzListen',
    address,
    '127.0.0.1:9191',
    'Listener for Envoy: every path on it is a question.',
  ),
  setting(
    'WARDER_PUBLIC_URL',
    'publicUrl',
    publicUrl,
    undefined,
    'URL under which the decision listener is reached, for AuthZEN metadata and the issuers of security events (URL/tenants/TENANT). Unset: made from the address of the listener.',
  ),
  setting(
    'WARDER_TLS_CERT',
    'tlsCertificate',
    path,
    undefined,
    'PEM file with the certificate of the listeners and its intermediates. Read again when it changes and on SIGHUP; one that can not be used is reported, and the one before stays. TLS 1.2 or newer.',
  ),
  setting('WARDER_TLS_KEY', 'tlsKey', path, undefined, 'PEM file with the key of the certificate.'),
  setting(
    'WARDER_TLS_LISTENERS',
    'tlsListeners',
    someOf('decisions', 'admin', 'ext_authz'),
    'decisions,admin,ext_authz',
    'Listeners that speak TLS once there is a certificate; the others speak plain HTTP.',
  ),
  setting(
    'WARDER_TLS_CLIENT_CA',
    'tlsClientAuthorities',
    path,
    undefined,
    'PEM file with the authorities of gateways. Set: nobody connects to the listeners for decisions and for Envoy without a certificate of theirs.',
  ),
  setting(
    'WARDER_ADMIN_TLS_CLIENT_CA',
    'adminTlsClientAuthorities',
    path,
    undefined,
    'The same for the admin listener, health probes and metrics included.',
  ),
  setting(
    'WARDER_FRESHNESS_SECONDS',
    'freshnessSeconds',
    integer(1, 3600, 'seconds'),
    '10',
    'Without news from the database for longer than this, every answer is a deny (`state.stale`).',
  ),
  setting(
    'WARDER_POLL_MILLISECONDS',
    'pollMilliseconds',
    integer(50, 60_000, 'milliseconds'),
    '500',
    'How often the database is asked for changes, beside its notifications. Must fit twice into the freshness bound.',
  ),
  setting(
    'WARDER_WORKERS',
    'workers',
    integer(1, 64, 'processes'),
    '1',
    'Processes that decide, all on the same ports; as many as there are processors for them. SIGUSR2 replaces one after the other.',
  ),
  setting(
    'WARDER_BODY_BYTES_MAX',
    'bodyBytesMax',
    integer(1024, 16_777_216, 'bytes'),
    '1048576',
    'Longest request body that is read.',
  ),
  setting(
    'WARDER_REQUESTS_IN_FLIGHT_MAX',
    'requestsInFlightMax',
    integer(1, 100_000, 'requests'),
    '1000',
    'Requests that are worked on at the same time; more are refused with 503.',
  ),
  setting(
    'WARDER_SHUTDOWN_GRACE_SECONDS',
    'shutdownGraceSeconds',
    integer(0, 600, 'seconds'),
    '10',
    'How long a stopping server waits for requests that it has accepted.',
  ),
  setting(
    'WARDER_DEMO',
    'demo',
    oneOf('on', 'off'),
    'on',
    'Whether the first start on a database without tenants makes the tenant `demo` with a gateway key and an admin token, and prints them. `off` for production.',
  ),
  setting(
    'WARDER_LOG_LEVEL',
    'logLevel',
    oneOf('debug', 'info', 'warn', 'error'),
    'info',
    'Lowest level of operational log lines.',
  ),
]

/**
 * Reads the environment. Finds every problem at once: wrong values, unknown `WARDER_*` variables (those beginning with
 * `WARDER_TEST_` are ignored) and combinations that would be unsafe. An empty variable counts as unset.
 */
export function readConfig(
  env: Record<string, string | undefined>,
): Result<Config, readonly ConfigProblem[]> {
  const problems: ConfigProblem[] = [...unknownVariables(env)]
  const values = new Map<keyof Config, Config[keyof Config]>()
  for (const { variable, key, parse, fallback, secret } of SETTINGS) {
    const given = env[variable] === undefined || env[variable] === '' ? fallback : env[variable]
    if (given === undefined) continue
    const parsed = parse(given)
    if (parsed.ok) values.set(key, parsed.value)
    else {
      const help = secret ? 'its value is not shown here because it is a secret' : `it is \`${given}\``
      problems.push({ variable, message: parsed.failure, help })
    }
  }
  if (problems.length > 0) return failed(problems)
  const config = toConfig(values)
  const unsafe = unsafeCombinations(config)
  return unsafe.length > 0 ? failed(unsafe) : success(config)
}

function toConfig(values: ReadonlyMap<keyof Config, Config[keyof Config]>): Config {
  const unset = {
    databaseUrl: undefined,
    secretKeyFile: undefined,
    mcpAuthorizedKeyFile: undefined,
    publicUrl: undefined,
    tlsCertificate: undefined,
    tlsKey: undefined,
    tlsClientAuthorities: undefined,
    adminTlsClientAuthorities: undefined,
  }
  // Every other setting has a fallback that its own parser accepts (a test reads an empty environment).
  return { ...unset, ...Object.fromEntries(values) } as Config
}

function unknownVariables(env: Record<string, string | undefined>): readonly ConfigProblem[] {
  const known = SETTINGS.map((entry) => entry.variable)
  return Object.keys(env)
    .filter((name) => name.startsWith('WARDER_') && !name.startsWith('WARDER_TEST_') && !known.includes(name))
    .toSorted()
    .map((variable) => {
      const near = nearest(variable, known)
      const help = near === undefined ? 'docs/configuration.md lists all settings' : `did you mean ${near}?`
      return { variable, message: 'is not a setting', help }
    })
}
