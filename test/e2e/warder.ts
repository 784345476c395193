import { execFile } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { send } from './http.ts'
import { freePorts, until } from './ports.ts'
import { killAll, type Program, processTree, startProgram } from './process.ts'

/** A real server with a database and a data folder of its own. It keeps its ports over restarts. */
export interface Warder {
  readonly dataDir: string
  readonly decisionPort: number
  readonly adminPort: number
  readonly extAuthzPort: number
  readonly dataDirectory: string
  /** Runs `warder ...` beside the server; gives stdout. Rejects with stderr when the exit code is not 0. */
  cli(...args: readonly string[]): Promise<string>
  /** Runs `warder ... --json` and reads what it prints. */
  json(...args: readonly string[]): Promise<unknown>
  /** Starts the server and waits until it is ready. */
  start(): Promise<void>
  /** Starts the server and waits until it answers, ready or not. */
  startUnready(): Promise<void>
  /** Process id of the server. */
  pid(): number
  /** Process ids of its embedded database, the postmaster first. */
  databasePids(): readonly number[]
  /** SIGKILL to the server alone. */
  kill(): Promise<void>
  /** SIGKILL to the server and to every process of its database at once. */
  killEverything(): Promise<void>
  /** Freezes the server: its connections stay, but nothing answers. */
  pause(): void
  resume(): void
  /** SIGTERM; gives the exit code. */
  stop(): Promise<number | null>
  /** Whether the database has not stopped, or not cleanly. */
  databaseIsRunning(): boolean
  /** Everything that this start of the server wrote. */
  output(): string
  /** Stops the server and removes its data. */
  remove(): Promise<void>
}

const NODE = process.execPath
const READY_MILLISECONDS = 120_000
const CLI_MILLISECONDS = 120_000

/** Where and how a server runs, beside its settings. */
export interface WarderPlace {
  /** A folder of the caller's, who removes it. Default: a new one. */
  readonly dataDir?: string
  /** The data folder of a server that has stopped; the new one begins with a copy of it. Default: with nothing. */
  readonly copyOf?: string | undefined
  /** Arguments of Node.js itself. */
  readonly nodeArguments?: readonly string[]
}

/** Starts a server on free ports, with an empty data folder unless `place` says otherwise. */
export async function startWarder(
  settings: Readonly<Record<string, string>> = {},
  place: WarderPlace = {},
): Promise<Warder> {
  const dataDir = place.dataDir ?? mkdtempSync(join(tmpdir(), 'warder-e2e-'))
  // As root the database runs as another user, who must be able to reach its folder.
  if (place.dataDir === undefined) chmodSync(dataDir, 0o755)
  if (place.copyOf !== undefined) await copyFolder(place.copyOf, dataDir)
  const [decisionPort = 0, adminPort = 0, extAuthzPort = 0] = await freePorts(3)
  const env = {
    ...withoutSettings(process.env),
    WARDER_DATA_DIR: dataDir,
    WARDER_LISTEN: `127.0.0.1:${decisionPort}`,
    WARDER_ADMIN_LISTEN: `127.0.0.1:${adminPort}`,
    WARDER_EXT_AUTHZ_LISTEN: `127.0.0.1:${extAuthzPort}`,
    WARDER_LOG_LEVEL: 'warn',
    ...settings,
  }
  let program: Program | undefined
  const startUntil = async (isEnough: (status: number) => boolean) => {
    const started = startProgram(NODE, [...(place.nodeArguments ?? []), 'src/main.ts', 'serve'], env)
    program = started
    await until('the server is ready', READY_MILLISECONDS, async () => {
      return !started.isRunning() || isEnough((await send(adminPort, { path: '/readyz' })).status)
    })
    if (!started.isRunning()) throw new Error(`it ended: ${started.output()}`)
  }
  const warder: Warder = {
    dataDir,
    decisionPort,
    adminPort,
    extAuthzPort,
    dataDirectory: dataDir,
    cli: (...args) => runCli(args, env),
    json: async (...args) => JSON.parse(await runCli([...args, '--json'], env)),
    start: () => startUntil((status) => status === 200),
    startUnready: () => startUntil(() => true),
    pid: () => program?.pid ?? 0,
    databasePids() {
      const postmaster = postmasterOf(dataDir)
      return postmaster === undefined ? [] : processTree(postmaster)
    },
    async kill() {
      await program?.end('SIGKILL')
    },
    async killEverything() {
      const postmaster = postmasterOf(dataDir)
      if (program === undefined || postmaster === undefined) throw new Error('it does not run')
      killAll([program.pid, ...processTree(postmaster)])
      await program.end('SIGKILL')
    },
    pause: () => program?.signal('SIGSTOP'),
    resume: () => program?.signal('SIGCONT'),
    async stop() {
      return (await program?.end('SIGTERM')) ?? null
    },
    databaseIsRunning: () => postmasterOf(dataDir) !== undefined,
    output: () => program?.output() ?? '',
    async remove() {
      await warder.stop()
      if (place.dataDir === undefined) rmSync(dataDir, { recursive: true, force: true })
    },
  }
  try {
    await warder.start()
  } catch (error) {
    await warder.remove()
    throw error
  }
  return warder
}

/** Copies what is in `from` into `to`, with owner and mode: as root the database belongs to another account. */
export async function copyFolder(from: string, to: string): Promise<void> {
  await promisify(execFile)('cp', ['-a', `${from}/.`, to])
}

/** The process id in the first line of Postgres' own pid file; undefined when it has stopped cleanly. */
function postmasterOf(dataDir: string): number | undefined {
  const file = join(dataDir, 'postgres', 'postmaster.pid')
  return existsSync(file) ? Number(readFileSync(file, 'utf8').split('\n')[0]) : undefined
}

async function runCli(args: readonly string[], env: NodeJS.ProcessEnv): Promise<string> {
  const options = { env, timeout: CLI_MILLISECONDS, maxBuffer: 256 * 1024 * 1024 }
  const { stdout } = await promisify(execFile)(NODE, ['src/main.ts', ...args], options)
  return stdout
}

function withoutSettings(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('WARDER_')))
}
