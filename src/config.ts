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
} from '#lib/setting-kinds.ts'

/** Everything that can be set; read once at start. */
export interface Config {
  readonly databaseUrl: string | undefined
  readonly dataDirectory: string
  readonly logMode: 'require' | 'buffer'
  readonly logOverflow: 'deny' | 'shed'
  readonly logQueueMax: number
  readonly listen: Address
  readonly adminListen: Address
  readonly extAuthzListen: Address
  readonly publicUrl: string | undefined
  readonly freshnessSeconds: number
  readonly pollMilliseconds: number
  readonly bodyBytesMax: number
  readonly requestsInFlightMax: number
  readonly shutdownGraceSeconds: number
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error'
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
    'Listener for decisions. Gateway keys travel over it: beyond one machine put TLS in front.',
  ),
  setting(
    'WARDER_ADMIN_LISTEN',
    'adminListen',
    address,
    '127.0.0.1:8181',
    'Listener for health, readiness and metrics. Loopback only, because it does not speak TLS.',
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
    'URL under which gateways reach the decision listener, for AuthZEN metadata. Unset: made from the address of the listener.',
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
    'WARDER_LOG_LEVEL',
    'logLevel',
    oneOf('debug', 'info', 'warn', 'error'),
    'info',
    'Lowest level of operational log lines.',
  ),
]

/** Whether `host` is reachable from this machine only. Names other than `localhost` count as public. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)
}

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
  const unset = { databaseUrl: undefined, publicUrl: undefined }
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

function unsafeCombinations(config: Config): readonly ConfigProblem[] {
  const problems: ConfigProblem[] = []
  if (!isLoopback(config.adminListen.host)) {
    problems.push({
      variable: 'WARDER_ADMIN_LISTEN',
      message: `\`${config.adminListen.host}\` can be reached from other machines, and this listener does not speak TLS`,
      help: 'use a loopback address and put a proxy with TLS in front',
    })
  }
  if (config.pollMilliseconds * 2 > config.freshnessSeconds * 1000) {
    problems.push({
      variable: 'WARDER_POLL_MILLISECONDS',
      message: 'must fit twice into WARDER_FRESHNESS_SECONDS, else a healthy server denies everything',
      help: `set it to at most ${config.freshnessSeconds * 500}`,
    })
  }
  return [...problems, ...sharedListeners(config)]
}

function sharedListeners(config: Config): readonly ConfigProblem[] {
  const seen = new Map<string, string>()
  const problems: ConfigProblem[] = []
  for (const { variable, key } of SETTINGS) {
    if (key !== 'listen' && key !== 'adminListen' && key !== 'extAuthzListen') continue
    const { host, port } = config[key]
    const other = seen.get(`${host}:${port}`)
    if (port !== 0 && other !== undefined) {
      problems.push({
        variable,
        message: `is the same address as ${other}`,
        help: 'give each listener its own',
      })
    }
    seen.set(`${host}:${port}`, variable)
  }
  return problems
}

/** The text of docs/configuration.md, made from the table. */
export function renderConfiguration(): string {
  const sections = SETTINGS.map((entry) => {
    const initial = entry.fallback === undefined ? 'unset' : `\`${entry.fallback}\``
    const secret = entry.secret ? ' · secret, never shown or logged' : ''
    return `## ${entry.variable}\n${entry.about}\n\n${entry.accepts} · default ${initial}${secret}\n`
  })
  return `# Configuration
Warder reads environment variables, once, at start. It reports every problem together and does not start with one: a value
out of range, an unknown \`WARDER_*\` variable, or an unsafe combination (an admin listener beyond loopback, two listeners on
one address, polling too slow for the freshness bound). An empty variable counts as unset.

${sections.join('\n')}`
}
