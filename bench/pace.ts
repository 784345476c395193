import { execFileSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { canPin } from './server-process.ts'

/** What a fixed piece of work takes on the server's core with nothing beside it, in microseconds; by tenths of a second, for eight seconds. */
export interface Pace {
  /** In the fastest tenth of the time. */
  readonly fast: number
  /** In the slowest tenth of the time. */
  readonly slow: number
}

const LOOP = fileURLToPath(new URL('./pace-loop.ts', import.meta.url))

/**
 * How steady the machine is. One that is shared can halve the speed of a core for tenths of a second or for seconds, and Linux counts
 * that as the process' own time: half of what a server takes at full speed is then all that it takes, and latencies at half load are
 * those of a queue.
 */
export function measurePace(): Pace {
  const node = [process.execPath, LOOP]
  const [command = '', ...args] = canPin ? ['taskset', '-c', '0', ...node] : node
  return JSON.parse(execFileSync(command, args, { encoding: 'utf8' })) as Pace
}
