import { closedLoop, type LoadTarget } from './load.ts'
import type { ServerProcess } from './server-process.ts'

/** How long a server is used before anything is measured. */
export interface WarmUp {
  /** Decisions inside the process. */
  readonly decisions: number
  /** Then for so long over HTTP, as fast as it goes. */
  readonly httpMilliseconds: number
}

/**
 * V8 goes on optimising what decides for some tens of thousands of decisions, on the core that the server has: until then they
 * cost several times the CPU, and the thread waits for the compiler. A server in use is long past this.
 */
export const WARM: WarmUp = { decisions: 40_000, httpMilliseconds: 8_000 }

/** Enough for the slices of policies that the traffic needs; the figures say whether it runs. */
export const HARDLY_WARM: WarmUp = { decisions: 400, httpMilliseconds: 300 }

/** Uses a server until it is warm; gives the CPU time in microseconds that a decision cost meanwhile, without HTTP. */
export async function warmUp(
  server: ServerProcess,
  target: LoadTarget,
  { decisions, httpMilliseconds }: WarmUp,
): Promise<number> {
  const loop = await server.loop(0, decisions)
  await closedLoop(target, httpMilliseconds)
  return loop.cpuMicroseconds / loop.decisions
}
