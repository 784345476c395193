import { execFile, spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { EMBEDDED_OWNER, openPool, type Target } from './connections.ts'
import { type PostgresBinaries, postgresEnvironment } from './postgres-binaries.ts'
import type { ServerFolders } from './postgres-folders.ts'
import { isProcessAlive } from './process-lock.ts'

/** How long a server that is said to run may take to accept a connection. */
const REUSE_MILLISECONDS = 10_000
/** Recovery after a power cut can take long; the process is watched meanwhile. */
const START_MILLISECONDS = 120_000
const STOP_MILLISECONDS = 30_000
const POLL_MILLISECONDS = 15
const LOG_BYTES_MAX = 1_000_000

/** One sync of the whole file system instead of thousands of files one by one: seconds on a busy disk. Linux only. */
const CAN_SYNC_FILE_SYSTEM = process.platform === 'linux'
const INITDB_SYNC = CAN_SYNC_FILE_SYSTEM ? ['--sync-method=syncfs'] : []

const run = promisify(execFile)

/**
 * Reuses the running server of `folders`, or creates and starts one. The caller holds the start lock.
 * @throws with what Postgres said when it does not start.
 */
export async function ensureRunning(
  folders: ServerFolders,
  binaries: PostgresBinaries,
  target: Target,
  onProgress: (text: string) => void,
): Promise<void> {
  if (existsSync(`${folders.data}/PG_VERSION`)) {
    const major = readFileSync(`${folders.data}/PG_VERSION`, 'utf8').trim()
    if (major !== binaries.major) {
      throw new Error(
        `${folders.data} was made by Postgres ${major}, this installation brings ${binaries.major}; ` +
          'dump it with the old one (pg_dump) and load it into a new data folder',
      )
    }
  } else {
    onProgress('creating the database')
    await createCluster(folders, binaries)
  }
  const pid = runningPostmaster(folders)
  if (pid !== undefined) {
    const deadline = performance.now() + REUSE_MILLISECONDS
    while (isProcessAlive(pid) && performance.now() < deadline) {
      if ((await connectError(target)) === undefined) return
      await sleep(POLL_MILLISECONDS * 4)
    }
  }
  onProgress('starting Postgres')
  await start(folders, binaries, target)
}

/** Made beside and renamed, so that a crash leaves either no database or a whole one. */
async function createCluster(folders: ServerFolders, binaries: PostgresBinaries): Promise<void> {
  const unfinished = `${folders.data}.${randomUUID().slice(0, 8)}.new`
  mkdirSync(unfinished, { mode: 0o700 })
  if (folders.account !== undefined) chownSync(unfinished, folders.account.uid, folders.account.gid)
  try {
    const flags = [
      '-U',
      EMBEDDED_OWNER,
      '-A',
      'trust',
      '-E',
      'UTF8',
      '--no-locale',
      '--no-instructions',
      ...INITDB_SYNC,
    ]
    await run(binaries.initdb, ['-D', unfinished, ...flags], {
      ...folders.account,
      cwd: '/',
      env: postgresEnvironment(),
    })
    rmSync(folders.data, { recursive: true, force: true })
    renameSync(unfinished, folders.data)
  } catch (error) {
    rmSync(unfinished, { recursive: true, force: true })
    throw new Error(
      `the embedded database could not be created in ${folders.data}: ${outputOf(error)}; ` +
        'set WARDER_DATABASE_URL to use an outside one',
      { cause: error },
    )
  }
}

function outputOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const stderr = 'stderr' in error ? String(error.stderr).trim() : ''
  return stderr === '' ? error.message : stderr
}

/** Process id of the server that says it runs; a leftover file of a dead one does not count. */
function runningPostmaster(folders: ServerFolders): number | undefined {
  try {
    const pid = Number(readFileSync(`${folders.data}/postmaster.pid`, 'utf8').split('\n')[0])
    return isProcessAlive(pid) && isPostgres(pid, folders) ? pid : undefined
  } catch {
    return undefined
  }
}

/** False only when it is known that the process is another program to which the old process id was given again. */
function isPostgres(pid: number, folders: ServerFolders): boolean {
  let command: string
  try {
    command = readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return true
  }
  if (command.includes('postgres')) return true
  // Postgres itself would refuse to start, taking that program for its predecessor.
  rmSync(`${folders.data}/postmaster.pid`, { force: true })
  return false
}

async function start(folders: ServerFolders, binaries: PostgresBinaries, target: Target): Promise<void> {
  const deadline = performance.now() + REUSE_MILLISECONDS
  for (;;) {
    const failure = await startOnce(folders, binaries, target)
    if (failure === undefined) return
    // After kill -9 of the server its workers need a moment to notice and let go of the shared memory.
    const isTransient = /pre-existing shared memory|lock file .* already exists/.test(failure)
    if (!isTransient || performance.now() > deadline) {
      throw new Error(`the embedded Postgres did not start: ${failure} (see ${folders.log})`)
    }
    await sleep(100)
  }
}

/** Starts the server and waits until it accepts a connection; gives what it said when it stopped instead. */
async function startOnce(
  folders: ServerFolders,
  binaries: PostgresBinaries,
  target: Target,
): Promise<string | undefined> {
  if (existsSync(folders.log) && statSync(folders.log).size > LOG_BYTES_MAX) {
    renameSync(folders.log, `${folders.log}.1`)
  }
  const before = existsSync(folders.log) ? statSync(folders.log).size : 0
  const log = openSync(folders.log, 'a', 0o600)
  const settings = serverSettings(folders).flatMap((setting) => ['-c', setting])
  const child = spawn(binaries.postgres, ['-D', folders.data, ...settings], {
    ...folders.account,
    cwd: '/',
    env: postgresEnvironment(),
    // Own session: Ctrl-C in the terminal must not stop the database before our drain.
    detached: true,
    stdio: ['ignore', 'ignore', log],
  })
  closeSync(log)
  let ended: string | undefined
  child.once('error', (error) => {
    ended = error.message
  })
  child.once('exit', (code, signal) => {
    ended ??= `ended with ${signal ?? code}`
  })
  child.unref()
  const deadline = performance.now() + START_MILLISECONDS
  while (ended === undefined) {
    if ((await connectError(target)) === undefined) return undefined
    if (performance.now() > deadline) return 'it did not accept a connection in time'
    await sleep(POLL_MILLISECONDS)
  }
  const said = existsSync(folders.log) ? readFileSync(folders.log).subarray(before).toString().trim() : ''
  return said === '' ? ended : said.slice(-2_000)
}

function serverSettings(folders: ServerFolders): readonly string[] {
  return [
    'listen_addresses=',
    `unix_socket_directories=${folders.socketFolder}`,
    'unix_socket_permissions=0700',
    'port=5432',
    'fsync=on',
    'synchronous_commit=on',
    // Before recovery after a crash; see above.
    `recovery_init_sync_method=${CAN_SYNC_FILE_SYSTEM ? 'syncfs' : 'fsync'}`,
    'max_connections=100',
    'shared_buffers=64MB',
    'jit=off',
    'timezone=UTC',
    'log_timezone=UTC',
    'log_min_messages=warning',
    // Statements carry request facts; they belong in the decision log, not here.
    'log_min_error_statement=panic',
  ]
}

/** Undefined when a connection could be made and answered. */
async function connectError(target: Target): Promise<unknown> {
  if (target.socket !== undefined && !existsSync(target.socket)) return new Error('no socket')
  const sql = openPool(target, {
    applicationName: 'warder: probe',
    max: 1,
    statementTimeout: 5_000,
    role: 'owner',
  })
  try {
    await sql`select 1`
    return undefined
  } catch (error) {
    return error
  } finally {
    await sql.end({ timeout: 0 })
  }
}

/** Fast shutdown: sessions end, a checkpoint is written. The caller holds the start lock. */
export async function stopServer(folders: ServerFolders): Promise<void> {
  const pid = runningPostmaster(folders)
  if (pid === undefined) return
  process.kill(pid, 'SIGINT')
  const deadline = performance.now() + STOP_MILLISECONDS
  // The file goes last; the process id may stay visible for longer where nobody reaps orphans.
  while (existsSync(`${folders.data}/postmaster.pid`) && performance.now() < deadline) {
    await sleep(POLL_MILLISECONDS)
  }
}
