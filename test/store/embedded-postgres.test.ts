import { type ChildProcess, spawn } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, test, vi } from 'vitest'
import { systemClock } from '#lib/clock.ts'
import { assembleRelease } from '#policy/engine/release-index.ts'
import { applyEntities, emptyRegistry } from '#registry/snapshot.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { type Database, openDatabase } from '#store/database.ts'
import { serverFolders, socketPath } from '#store/postgres-folders.ts'
import { isProcessAlive } from '#store/process-lock.ts'
import { openStateFeed } from '#store/state-feed.ts'
import { openStateSeen } from '#store/state-seen.ts'
import { appendRowsTo } from '../support/append-rows.ts'
import { logRow, newTenant } from '../support/store-samples.ts'

const CLIENT = fileURLToPath(new URL('../support/embedded-client.ts', import.meta.url))

/** One client process of the embedded database. */
class Client {
  readonly writer: string
  readonly #child: ChildProcess
  readonly #lines: string[] = []
  readonly exited: Promise<unknown>

  constructor(dataDir: string, writer: string) {
    this.writer = writer
    this.#child = spawn(process.execPath, [CLIENT, dataDir, writer], { stdio: ['pipe', 'pipe', 'inherit'] })
    if (this.#child.stdout === null) throw new Error('no output')
    createInterface({ input: this.#child.stdout }).on('line', (line) => this.#lines.push(line))
    this.exited = new Promise((resolve) => this.#child.once('exit', resolve))
  }

  /** Process id of Postgres, once this client is connected. */
  async postgres(): Promise<number> {
    await until(() => this.#lines.some((line) => line.startsWith('open ')))
    return Number(this.#lines.find((line) => line.startsWith('open '))?.slice(5))
  }

  /** The last row that was acknowledged. */
  get acknowledged(): number {
    return Number(this.#lines.findLast((line) => line.startsWith('row '))?.slice(4) ?? 0)
  }

  async close(): Promise<void> {
    this.#child.stdin?.end()
    await this.exited
    expect(this.#lines.at(-1)).toBe('closed')
  }

  async kill(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.exited
  }
}

async function until(condition: () => boolean, milliseconds = 20_000): Promise<void> {
  const deadline = performance.now() + milliseconds
  while (!condition()) {
    if (performance.now() > deadline) throw new Error('waited too long')
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

const cleanups: (() => void)[] = []
afterAll(() => {
  for (const cleanup of cleanups.splice(0)) cleanup()
})

/** A data directory that is removed again, its server with it. */
function newDataDir(name = 'data', mode = 0o755): string {
  const root = mkdtempSync(join(tmpdir(), 'warder-pg-'))
  const dataDir = join(root, name)
  mkdirSync(dataDir, { recursive: true })
  // mkdtemp makes the folder 0700, as a home folder would be.
  if (mode !== 0o700) chmodSync(root, mode)
  cleanups.push(() => {
    const { data, socketFolder, log } = serverFolders(dataDir)
    const pid = postmaster(dataDir)
    if (pid !== undefined) process.kill(pid, 'SIGKILL')
    for (const path of [root, data, log]) rmSync(path, { recursive: true, force: true })
    if (socketFolder !== data) rmSync(socketFolder, { recursive: true, force: true })
  })
  return dataDir
}

function postmaster(dataDir: string): number | undefined {
  const file = `${serverFolders(dataDir).data}/postmaster.pid`
  if (!existsSync(file)) return undefined
  const pid = Number(readFileSync(file, 'utf8').split('\n')[0])
  return isProcessAlive(pid) ? pid : undefined
}

/** One database cluster for the tests that don't need a new one: making it is the slow part. */
const shared = newDataDir()

async function open(dataDir: string): Promise<Database> {
  return await openDatabase({ url: undefined, dataDir, applicationName: 'test' })
}

async function rowsOf(db: Database, writer: string): Promise<number> {
  const [row] = await db.sql<{ count: string }[]>`
    select count(*)::text as count from decisions where writer = ${writer}`
  return Number(row?.count)
}

describe('several processes', () => {
  test('two that start at once on an empty folder share one server; the last one stops it', async () => {
    const dataDir = shared
    const [first, second] = [new Client(dataDir, 'first'), new Client(dataDir, 'second')]
    const pid = await first.postgres()
    expect(await second.postgres()).toBe(pid)
    await first.close()
    const before = second.acknowledged
    await until(() => second.acknowledged > before + 5)
    expect(isProcessAlive(pid)).toBe(true)
    await second.close()
    expect(postmaster(dataDir)).toBeUndefined()
    expect(existsSync(`${serverFolders(dataDir).lock}`)).toBe(false)
  })

  test('after kill -9 of the only process its server is joined, not fought over, and nothing is lost', async () => {
    const dataDir = shared
    const client = new Client(dataDir, 'killed')
    const pid = await client.postgres()
    await until(() => client.acknowledged > 20)
    await client.kill()
    expect(isProcessAlive(pid)).toBe(true)
    const db = await open(dataDir)
    expect(postmaster(dataDir)).toBe(pid)
    expect(await rowsOf(db, 'killed')).toBeGreaterThanOrEqual(client.acknowledged)
    await db.close()
    expect(postmaster(dataDir)).toBeUndefined()
  })

  test('after kill -9 of Postgres the process brings it back itself and loses no acknowledged row', async () => {
    const dataDir = shared
    const client = new Client(dataDir, 'survivor')
    const pid = await client.postgres()
    await until(() => client.acknowledged > 20)
    process.kill(pid, 'SIGKILL')
    const before = client.acknowledged
    await until(() => client.acknowledged > before + 20)
    await client.close()
    expect(postmaster(dataDir)).toBeUndefined()
    const db = await open(dataDir)
    expect(await rowsOf(db, 'survivor')).toBe(client.acknowledged)
    await db.close()
  })

  test('after kill -9 of everything the next start recovers every acknowledged row', async () => {
    const dataDir = shared
    const client = new Client(dataDir, 'gone')
    const pid = await client.postgres()
    await until(() => client.acknowledged > 20)
    process.kill(pid, 'SIGKILL')
    await client.kill()
    const db = await open(dataDir)
    expect(await rowsOf(db, 'gone')).toBeGreaterThanOrEqual(client.acknowledged)
    await db.close()
  })
})

describe('the running server', () => {
  test('listens on no network, syncs to disk, lets nobody else in, and has a process group of its own', async () => {
    const dataDir = shared
    const db = await open(dataDir)
    const [settings] = await db.sql`
      select current_setting('listen_addresses') as addresses, current_setting('fsync') as fsync,
        current_setting('synchronous_commit') as commit, current_setting('server_encoding') as encoding`
    expect(settings).toEqual({ addresses: '', fsync: 'on', commit: 'on', encoding: 'UTF8' })
    const { socketFolder, data } = serverFolders(dataDir)
    expect(statSync(socketFolder).mode & 0o077).toBe(0)
    expect(statSync(data).mode & 0o077).toBe(0)
    const pid = postmaster(dataDir) ?? 0
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    const group = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[2])
    expect(group).toBe(pid)
    await db.close()
  })

  test('the state feed and the log go on after a restart of the database', async () => {
    const dataDir = shared
    const db = await open(dataDir)
    const store = createAdminStore(db)
    const faults: unknown[] = []
    const feed = await openStateFeed(db, {
      seen: await openStateSeen(dataDir, (error) => faults.push(error)),
      assembleRelease,
      emptyRegistry,
      applyEntities,
      clock: systemClock,
      pollMilliseconds: 100,
      onFault: (error) => faults.push(error),
    })
    const append = appendRowsTo(db)
    await append([logRow('t', 'w', 1)])
    process.kill(postmaster(dataDir) ?? 0, 'SIGKILL')
    await append([logRow('t', 'w', 2)])
    const tenant = newTenant()
    // Administration does not retry by itself; its caller sees the outage.
    await vi.waitFor(() => store.addTenant(tenant), { timeout: 20_000 })
    await until(() => feed.state.tenant(tenant) !== undefined)
    expect(await rowsOf(db, 'w')).toBe(2)
    await feed.close()
    await db.close()
  })
})

describe('folders', () => {
  test('a path that is too long for a socket gets a shorter one, the same for every process', async () => {
    const dataDir = newDataDir('d'.repeat(120))
    const folders = serverFolders(dataDir)
    expect(Buffer.byteLength(socketPath(folders.socketFolder))).toBeLessThan(100)
    expect(folders.socketFolder).not.toBe(folders.data)
    const first = await open(dataDir)
    const second = await open(dataDir)
    expect(await second.sql`select 1 as one`).toEqual([{ one: 1 }])
    await Promise.all([first.close(), second.close()])
    expect(postmaster(dataDir)).toBeUndefined()
  })

  test('data below a 0700 folder works too', async () => {
    const dataDir = newDataDir('data', 0o700)
    const isRoot = process.getuid?.() === 0
    expect(serverFolders(dataDir).data.startsWith(isRoot ? '/var/lib/warder/' : dataDir)).toBe(true)
    expect(serverFolders(`${dataDir}/../data`)).toEqual(serverFolders(dataDir))
    const db = await open(dataDir)
    expect(await db.sql`select 1 as one`).toEqual([{ one: 1 }])
    await db.close()
  })

  test('a start that was killed leaves nothing in the way', async () => {
    const dataDir = shared
    const { lock } = serverFolders(dataDir)
    writeFileSync(lock, '')
    const db = await open(dataDir)
    await db.close()
    expect(existsSync(lock)).toBe(false)
  })

  test('data of another major version is refused with the way out', async () => {
    const dataDir = newDataDir()
    const { data } = serverFolders(dataDir)
    mkdirSync(data, { mode: 0o700 })
    writeFileSync(`${data}/PG_VERSION`, '12\n')
    await expect(open(dataDir)).rejects.toThrow(
      /was made by Postgres 12, this installation brings 18; dump it/,
    )
  })
})
