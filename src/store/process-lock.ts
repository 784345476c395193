import { randomUUID } from 'node:crypto'
import { linkSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { hostname } from 'node:os'
import { setTimeout as sleep } from 'node:timers/promises'

/** Who holds a lock: enough to tell a living owner from a process id that was used again. */
interface Holder {
  readonly token: string
  readonly pid: number
  readonly started: string
  readonly host: string
}

const RETRY_MILLISECONDS = 25
/** A holder on another host (or container) can't be looked up; the lock is never held longer than this. */
const FOREIGN_HOLDER_MILLISECONDS = 120_000

/**
 * Runs `work` while this process alone holds the lock file at `path`. A lock left by a dead process is taken over.
 * @param timeoutMilliseconds how long to wait for a living holder.
 * @throws when the holder did not let go in time; the message names it.
 */
export async function withProcessLock<T>(
  path: string,
  timeoutMilliseconds: number,
  work: () => Promise<T>,
): Promise<T> {
  const self: Holder = {
    token: randomUUID(),
    pid: process.pid,
    started: startOf(process.pid) ?? '',
    host: hostname(),
  }
  const deadline = performance.now() + timeoutMilliseconds
  while (!tryTake(path, self)) {
    if (performance.now() > deadline) {
      throw new Error(`process ${readHolder(path)?.pid ?? '(unknown)'} holds ${path} for too long`)
    }
    await sleep(RETRY_MILLISECONDS * (0.5 + Math.random()))
  }
  try {
    return await work()
  } finally {
    rmSync(path, { force: true })
  }
}

/**
 * One attempt, without any wait in between, so that only a crash can interrupt it.
 *
 * INVARIANT: a stale lock is replaced only by the holder of the claim that carries the stale token, and only after it has
 * seen that token once more under the claim. Tokens are never used twice, so no living holder is ever displaced.
 */
function tryTake(path: string, self: Holder): boolean {
  if (link(path, self)) return true
  const holder = readHolder(path)
  if (holder === undefined || isAlive(path, holder)) return false
  const claim = `${path}.${holder.token}`
  if (!tryTake(claim, self)) return false
  try {
    if (readHolder(path)?.token !== holder.token) return false
    const mine = writeBeside(path, self)
    renameSync(mine, path)
    return true
  } finally {
    rmSync(claim, { force: true })
  }
}

function link(path: string, self: Holder): boolean {
  const mine = writeBeside(path, self)
  try {
    linkSync(mine, path)
    return true
  } catch (error) {
    if (isCode(error, 'EEXIST')) return false
    throw error
  } finally {
    rmSync(mine, { force: true })
  }
}

function writeBeside(path: string, self: Holder): string {
  const mine = `${path}.${self.token}.new`
  writeFileSync(mine, JSON.stringify(self), { mode: 0o644 })
  return mine
}

/** The holder written in the file; undefined when there is none (any more). */
function readHolder(path: string): Holder | undefined {
  try {
    return parseHolder(readFileSync(path, 'utf8'))
  } catch (error) {
    if (isCode(error, 'ENOENT')) return undefined
    throw error
  }
}

function parseHolder(text: string): Holder {
  try {
    const { token, pid, started, host } = JSON.parse(text) as Partial<Holder>
    if (typeof token === 'string' && /^[\w-]+$/.test(token) && typeof pid === 'number') {
      return { token, pid, started: String(started), host: String(host) }
    }
  } catch {
    // Falls through: a power cut can leave an empty file.
  }
  return { token: 'damaged', pid: -1, started: '', host: hostname() }
}

function isAlive(path: string, holder: Holder): boolean {
  if (holder.host !== hostname()) return ageMilliseconds(path) < FOREIGN_HOLDER_MILLISECONDS
  if (!isProcessAlive(holder.pid)) return false
  const started = startOf(holder.pid)
  return started === undefined || started === holder.started
}

function ageMilliseconds(path: string): number {
  try {
    return Date.now() - statSync(path).mtimeMs
  } catch {
    return 0
  }
}

/** Whether a process with this id exists, whoever owns it. */
export function isProcessAlive(pid: number): boolean {
  if (pid <= 0) return false
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return isCode(error, 'EPERM')
  }
}

/** Boot and start time of a process; undefined where the system has no /proc. */
function startOf(pid: number): string | undefined {
  try {
    const boot = readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command name in parentheses may contain spaces; start time is the 20th field after it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return `${boot}:${fields[19]}`
  } catch {
    return undefined
  }
}

/** Whether `error` is a system error with this code. */
export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
