import cluster from 'node:cluster'
import type { Config } from '#config.ts'
import type { Share } from '#wire/listeners.ts'
import { startFronts } from '#wire/workers.ts'
import type { RunningServer } from '#wire.ts'
import type { ProcessLog } from './log.ts'
import { type FromFront, isMessage, type ToFront } from './worker-channel.ts'

/** What this process is to do, and when it is to end. */
export interface ProcessShare {
  readonly share: Share
  /** Resolves when it has to drain; says why. */
  readonly stopped: Promise<string>
  /** Connects the running server with the signals and messages that are meant for it. */
  serving(server: RunningServer): void
}

/** Ctrl-C comes twice under npm, from the terminal and from npm; only a signal later than this is a second one. */
const ECHO_MILLISECONDS = 1_000

/** The share of this process by its configuration and by who started it. Takes over the signals at once. */
export function shareOf(config: Config, logger: ProcessLog): ProcessShare {
  if (cluster.isWorker) return frontShare()
  const stopped = new Promise<string>((resolve) => {
    let stoppedAt: number | undefined
    for (const signal of ['SIGTERM', 'SIGINT'] as const) {
      process.on(signal, () => {
        stoppedAt ??= performance.now()
        if (performance.now() - stoppedAt > ECHO_MILLISECONDS) process.exit(1)
        resolve(signal)
      })
    }
  })
  // From the start: what these two do without a listener is to end the process.
  let running: RunningServer | undefined
  process.on('SIGHUP', () => void running?.reload())
  process.on('SIGUSR2', () => {
    running?.restart().catch((error: unknown) => {
      logger.error({ fault: error instanceof Error ? error.message : '' }, 'a worker could not be replaced')
    })
  })
  const serving = (server: RunningServer): void => {
    running = server
  }
  const graceMilliseconds = config.shutdownGraceSeconds * 1000
  const share: Share =
    config.workers === 1
      ? { role: 'whole' }
      : { role: 'keeper', startFronts: () => startFronts(config.workers, graceMilliseconds, logger) }
  return { share, stopped, serving }
}

/** A front does what its keeper says; Ctrl-C reaches it too, and is the keeper's to answer. */
function frontShare(): ProcessShare {
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP', 'SIGUSR2'] as const)
    process.on(signal, () => undefined)
  const listeners = new Set<() => void>()
  const stopped = new Promise<string>((resolve) => {
    process.on('message', (message: ToFront) => {
      if (isMessage(message) && message.kind === 'drain') resolve('drain')
    })
    // INVARIANT: a front whose keeper died does not stay behind.
    process.on('disconnect', () => resolve('the keeper is gone'))
  })
  process.on('message', (message: ToFront) => {
    if (isMessage(message) && message.kind === 'changed') for (const onChange of listeners) onChange()
  })
  const listen = (onChange: () => void) => {
    listeners.add(onChange)
    return { close: async () => void listeners.delete(onChange) }
  }
  const serving = (server: RunningServer): void => {
    process.on('message', (message: ToFront) => void answer(server, message))
    tell({ kind: 'serving', addresses: server.addresses })
  }
  return { share: { role: 'front', worker: String(cluster.worker?.id ?? 0), listen }, stopped, serving }
}

async function answer(server: RunningServer, message: ToFront): Promise<void> {
  if (!isMessage(message)) return
  if (message.kind === 'reload') await server.reload()
  if (message.kind === 'measure')
    tell({ kind: 'measured', question: message.question, samples: await server.samples() })
}

function tell(message: FromFront): void {
  if (process.connected) process.send?.(message)
}
