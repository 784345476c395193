import { setTimeout as sleep } from 'node:timers/promises'
import { openPool, type Target } from './connections.ts'
import { findPostgres } from './postgres-binaries.ts'
import { serverFolders, socketPath } from './postgres-folders.ts'
import { ensureRunning, stopServer } from './postgres-server.ts'
import { withProcessLock } from './process-lock.ts'

/** A running embedded server in which this process counts as a client. */
export interface EmbeddedPostgres {
  /** Its `postgres` database; another one is reached by replacing `database`. */
  readonly target: Target
  /** Stops counting as a client; the last client stops the server. Close all other connections first. */
  leave(): Promise<void>
}

/** How to open the embedded server. */
export interface EmbeddedOptions {
  readonly dataDir: string
  readonly applicationName: string
  readonly onProgress?: (text: string) => void
}

/** Key of the advisory lock that every client shares; the leaver asks for it alone. */
const CLIENT_LOCK = 7_238_001
const LOCK_WAIT_MILLISECONDS = 90_000

/**
 * Joins the Postgres of `dataDir`, starting (and on first use creating) it when it does not run. It listens on a Unix
 * socket only, in a folder that nobody but its own account and root can enter. It runs in its own process group and
 * survives this process; should it die while this process lives, it is started again.
 */
export async function joinEmbeddedPostgres(options: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const onProgress = options.onProgress ?? (() => undefined)
  const folders = serverFolders(options.dataDir)
  const target: Target = {
    kind: 'embedded',
    url: undefined,
    socket: socketPath(folders.socketFolder),
    database: 'postgres',
  }
  const binaries = await findPostgres(folders.account, onProgress)
  const presence = openPresence(target, options.applicationName, async () => {
    await withProcessLock(folders.lock, LOCK_WAIT_MILLISECONDS, async () => {
      await ensureRunning(folders, binaries, target, onProgress)
      await presence.enter()
    })
  })
  await presence.join()
  return {
    target,
    leave: () =>
      withProcessLock(folders.lock, LOCK_WAIT_MILLISECONDS, async () => {
        await presence.leave()
        if (!(await isUsedByOthers(target))) await stopServer(folders)
      }),
  }
}

/** Being counted: one connection that holds the shared lock, and that brings the server back when it breaks. */
function openPresence(target: Target, applicationName: string, join: () => Promise<void>) {
  let left = false
  let restoring = false
  const sql = openPool(target, {
    applicationName: `${applicationName}: presence`,
    max: 1,
    statementTimeout: 5_000,
    role: 'owner',
    onClose: () => {
      if (!left && !restoring) void restore()
    },
  })
  async function restore(): Promise<void> {
    restoring = true
    // Every failure is tried again: without the server this process can only deny.
    for (let wait = 50; !left; wait = Math.min(wait * 2, 2_000)) {
      try {
        await join()
        break
      } catch {
        await sleep(wait, undefined, { ref: false })
      }
    }
    restoring = false
  }
  return {
    async join(): Promise<void> {
      restoring = true
      try {
        await join()
      } catch (error) {
        left = true
        await sql.end({ timeout: 0 })
        throw error
      } finally {
        restoring = false
      }
    },
    async enter(): Promise<void> {
      await sql`select pg_advisory_lock_shared(${CLIENT_LOCK}::bigint)`
    },
    async leave(): Promise<void> {
      left = true
      // Said aloud, because the server may notice the closed connection only later than we ask who else is there.
      await sql`select pg_advisory_unlock_shared(${CLIENT_LOCK}::bigint)`.catch(() => undefined)
      await sql.end({ timeout: 1 })
    },
  }
}

async function isUsedByOthers(target: Target): Promise<boolean> {
  const sql = openPool(target, {
    applicationName: 'warder: leave',
    max: 1,
    statementTimeout: 5_000,
    role: 'owner',
  })
  try {
    const [row] = await sql<
      { alone: boolean }[]
    >`select pg_try_advisory_lock(${CLIENT_LOCK}::bigint) as alone`
    return row?.alone !== true
  } catch {
    // It is not known that others depend on it, nor that nobody does: leave it running.
    return true
  } finally {
    await sql.end({ timeout: 1 })
  }
}
