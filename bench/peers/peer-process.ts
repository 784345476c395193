import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { canPin } from '../server-process.ts'

/** A peer's server in a process of its own, alone on core 0 where the system can pin it. */
export interface PeerProcess {
  readonly pid: number
  end(): Promise<void>
}

const READY_MILLISECONDS = 60_000
/** Of `/proc`: 100 on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100

/** Starts a server and waits until `healthUrl` answers 200. Rejects with what it wrote when it does not. */
export async function startPeer(
  command: readonly string[],
  environment: Readonly<Record<string, string>>,
  healthUrl: string,
): Promise<PeerProcess> {
  const [file = '', ...args] = canPin ? ['taskset', '-c', '0', ...command] : command
  const env = { ...process.env, ...environment }
  const child = spawn(file, args, { env, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const keep = (chunk: string): void => {
    output = `${output}${chunk}`.slice(-2_000)
  }
  child.stdout.setEncoding('utf8').on('data', keep)
  child.stderr.setEncoding('utf8').on('data', keep)
  const ended = new Promise<void>((resolve) => {
    child.once('error', keepError)
    child.once('exit', () => resolve())
    function keepError(error: Error): void {
      keep(error.message)
      resolve()
    }
  })
  const end = async (): Promise<void> => {
    child.kill('SIGTERM')
    await ended
  }
  const until = performance.now() + READY_MILLISECONDS
  while (!(await isHealthy(healthUrl))) {
    if (performance.now() > until || child.exitCode !== null || child.pid === undefined) {
      await end()
      throw new Error(`${command[0]} did not start: ${output}`)
    }
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return { pid: child.pid ?? 0, end }
}

/** CPU time of a process since its start in microseconds, all threads, to 10 ms. Linux only. */
export function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND) * 1e6
}

/** Resident memory of a process in MiB. Linux only. */
export function memoryOf(pid: number): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
}

/** A port that is free now, for servers that cannot choose one themselves. */
export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? 0) : 0))
    })
  })
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    return (await fetch(url)).ok
  } catch {
    return false
  }
}
