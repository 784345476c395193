import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'

/** A program that runs beside the tests. */
export interface Program {
  readonly pid: number
  /** Everything that it wrote to stdout and stderr. */
  output(): string
  isRunning(): boolean
  signal(signal: NodeJS.Signals): void
  /** Sends `signal` and waits for the end; gives the exit code, or null after a signal. */
  end(signal: NodeJS.Signals): Promise<number | null>
}

/** Starts a program in a process group of its own, as a service manager would. */
export function startProgram(
  command: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv = process.env,
): Program {
  const child = spawn(command, args, { env, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  const keep = (chunk: Buffer) => {
    output += chunk.toString()
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  const ended = endOf(child)
  return {
    pid: child.pid ?? 0,
    output: () => output,
    isRunning: () => child.exitCode === null && child.signalCode === null,
    signal: (signal) => void child.kill(signal),
    end(signal) {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal)
      return ended
    },
  }
}

function endOf(child: ChildProcess): Promise<number | null> {
  return new Promise((resolve) => {
    child.once('error', () => resolve(null))
    child.once('exit', (code) => resolve(code))
  })
}

/** A process and everything below it, parents first (Linux only). */
export function processTree(pid: number): readonly number[] {
  const parents = new Map(allProcesses().map((each) => [each, parentOf(each)]))
  const tree = [pid]
  for (const parent of tree)
    for (const [child, itsParent] of parents) if (itsParent === parent) tree.push(child)
  return tree
}

function allProcesses(): readonly number[] {
  return readdirSync('/proc').map(Number).filter(Number.isInteger)
}

function parentOf(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The command name in parentheses may contain anything; the parent is the second field after it.
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1])
  } catch {
    return undefined
  }
}

/** SIGKILL to each of `pids`; one that is gone already is no error. */
export function killAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch {
      // It ended by itself.
    }
  }
}
