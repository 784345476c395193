import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Answer, LoopResult, Question, ServerSettings, Usage } from './protocol.ts'

const SERVER = fileURLToPath(new URL('./server.ts', import.meta.url))
const EMPTY_SERVER = fileURLToPath(new URL('./empty-server.ts', import.meta.url))
const ECHO_SERVER = fileURLToPath(new URL('./echo-server.ts', import.meta.url))
const START_MILLISECONDS = 60_000

/** A measured server in a process of its own, alone on core 0 where the system can pin it. */
export interface ServerProcess {
  readonly port: number
  readonly pid: number
  /** Begins to measure; `turns`: those of the event loop too. */
  start(turns?: 'turns'): Promise<void>
  stop(): Promise<Usage>
  /** Digest of the policies that decide now. */
  release(): Promise<string | undefined>
  loop(milliseconds: number, decisionsMin: number): Promise<LoopResult>
  end(): Promise<void>
}

/** Whether processes can be bound to a core here. */
export const canPin = availableParallelism() > 1 && works('taskset', ['-c', '0', 'true'])

/** Leaves core 0 to the server: this process with V8's threads, and everything that it starts from now on (Postgres), run on core 1. */
export function leaveCoreZero(): void {
  if (canPin) execFileSync('taskset', ['-acp', '1', String(process.pid)])
}

/** Starts a server. `nodeOptions` are options of Node itself, such as `--cpu-prof`. */
export function startServerProcess(
  settings: ServerSettings,
  nodeOptions: readonly string[] = [],
): Promise<ServerProcess> {
  return startNode([...nodeOptions, SERVER, JSON.stringify(settings)])
}

/** A server that decides nothing. */
export type PlainServer = Pick<ServerProcess, 'port' | 'pid' | 'end'>

/** Starts a server that always gives the same answer. */
export function startEmptyServer(): Promise<PlainServer> {
  return startNode([EMPTY_SERVER])
}

/** Starts a Hono that gives JSON back. */
export function startEchoServer(): Promise<PlainServer> {
  return startNode([ECHO_SERVER])
}

async function startNode(argv: readonly string[]): Promise<ServerProcess> {
  const node = [process.execPath, ...argv]
  const [command = '', ...args] = canPin ? ['taskset', '-c', '0', ...node] : node
  const child = spawn(command, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  const ready = await answerOf(child, 'ready')
  const ask = (question: Question): void => {
    child.send(question)
  }
  return {
    port: ready.port,
    pid: child.pid ?? 0,
    start: async (turns) => {
      ask({ ask: 'start', turns: turns !== undefined })
      await answerOf(child, 'started')
    },
    stop: async () => {
      ask({ ask: 'stop' })
      return (await answerOf(child, 'usage')).usage
    },
    release: async () => {
      ask({ ask: 'release' })
      return (await answerOf(child, 'release')).release
    },
    loop: async (milliseconds, decisionsMin) => {
      ask({ ask: 'loop', milliseconds, decisionsMin })
      return (await answerOf(child, 'looped')).result
    },
    end: () =>
      new Promise((resolve) => {
        child.once('exit', () => resolve())
        child.disconnect()
      }),
  }
}

/** Counts the user-space instructions of `pid` for so long; undefined where the machine has no such counter. */
export function countInstructions(pid: number, milliseconds: number): Promise<number | undefined> {
  if (!canCount) return Promise.resolve(undefined)
  return new Promise((resolve) => {
    const args = [...PERF, '-p', String(pid), 'sleep', String(milliseconds / 1000)]
    const child = spawn('perf', args, { stdio: ['ignore', 'ignore', 'pipe'] })
    let output = ''
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk
    })
    child.once('error', () => resolve(undefined))
    child.once('exit', () => resolve(instructionsIn(output)))
  })
}

const PERF = ['stat', '-x', ',', '-e', 'instructions:u'] as const

/** Whether this machine counts instructions; many virtual ones do not. */
export const canCount = works('perf', [...PERF, '-o', '/dev/stdout', 'true'], instructionsIn)

function instructionsIn(output: string): number | undefined {
  const count = /^(\d+),,instructions/m.exec(output)?.[1]
  return count === undefined ? undefined : Number(count)
}

function works(
  command: string,
  args: readonly string[],
  read: (output: string) => unknown = () => true,
): boolean {
  try {
    const output = execFileSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
    return read(output) !== undefined
  } catch {
    return false
  }
}

/** The next answer of one kind. Rejects when the server ends first, or says nothing for a minute. */
function answerOf<Say extends Answer['say']>(
  child: ChildProcess,
  wanted: Say,
): Promise<Extract<Answer, { say: Say }>> {
  return new Promise((resolve, reject) => {
    const settle = (act: () => void): void => {
      clearTimeout(timer)
      child.off('message', onMessage)
      child.off('exit', onExit)
      act()
    }
    const onMessage = (answer: Answer): void => {
      if (isSaying(answer, wanted)) settle(() => resolve(answer))
    }
    const onExit = (): void => settle(() => reject(new Error('the measured server ended early')))
    const timer = setTimeout(
      () => settle(() => reject(new Error(`the measured server did not say \`${wanted}\``))),
      START_MILLISECONDS,
    )
    child.on('message', onMessage)
    child.on('exit', onExit)
  })
}

function isSaying<Say extends Answer['say']>(
  answer: Answer,
  wanted: Say,
): answer is Extract<Answer, { say: Say }> {
  return answer.say === wanted
}
