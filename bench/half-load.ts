import { closedLoop, type LoadResult, type LoadTarget, openLoop } from './load.ts'
import type { Usage } from './protocol.ts'
import { countInstructions, type ServerProcess } from './server-process.ts'
import { median } from './statistics.ts'

/** A server under full load in short bursts, and at half of it in the windows between them. */
export interface HalfLoad {
  readonly rate: number
  readonly cpuMicroseconds: number
  readonly kiloInstructions: number | undefined
  /** Of a decision at half load, where each wakes the server. This and what follows: medians of the windows that count. */
  readonly halfCpuMicroseconds: number
  /** How much of its core the server used at half load, 0 to 1. */
  readonly busy: number
  readonly p50Milliseconds: number
  readonly p99Milliseconds: number
  /** Of a server that does nothing, at the same rates, in turn with the windows: what the machine itself adds. */
  readonly emptyP99Milliseconds: number
  readonly windows: number
  /** Windows in which the machine kept its speed. */
  readonly steady: number
  readonly rssMebibytes: number
  readonly failed: number
}

const STEADY_WINDOWS = 5
const WINDOWS_MAX = 12
/** Where the rate after a window differs more from that before it, what was asked for was not half of what the server takes. */
const RATIO_MAX = 1.2

interface Window {
  readonly before: Burst
  readonly after: Burst
  readonly half: LoadResult
  readonly halfUsage: Usage
  readonly empty: LoadResult
}

interface Burst extends LoadResult {
  readonly rate: number
  readonly cpuMicroseconds: number
  readonly instructions: number | undefined
  readonly rssBytes: number
  /** Since the server's start. */
  readonly rowsLost: number
}

/**
 * A machine that is shared changes its speed by half from one second to the next. So the load is taken anew from a burst before each
 * window, and a window counts when the burst after it took as much. Where none did, all count.
 */
export async function measureHalfLoad(
  server: ServerProcess,
  target: LoadTarget,
  empty: LoadTarget,
  milliseconds: number,
): Promise<HalfLoad> {
  const windows: Window[] = []
  let before = await burst(server, target, milliseconds / 4)
  while (windows.length < WINDOWS_MAX && windows.filter(isSteady).length < STEADY_WINDOWS) {
    const perSecond = before.rate / 2
    await server.start()
    const half = await openLoop(target, perSecond, milliseconds)
    const halfUsage = await server.stop()
    const ofEmpty = await openLoop(empty, perSecond, milliseconds / 2)
    const after = await burst(server, target, milliseconds / 4)
    windows.push({ before, half, halfUsage, empty: ofEmpty, after })
    before = after
  }
  return summarise(windows)
}

function isSteady({ before, after }: Window): boolean {
  return Math.max(before.rate / after.rate, after.rate / before.rate) <= RATIO_MAX
}

function summarise(windows: readonly Window[]): HalfLoad {
  const steady = windows.filter(isSteady)
  const counted = steady.length === 0 ? windows : steady
  const middle = (pick: (window: Window) => number): number => median(counted.map(pick))
  const bursts = windows.map(({ after }) => after)
  const instructions = bursts.flatMap((each) =>
    each.instructions === undefined ? [] : [each.instructions / each.answers / 1000],
  )
  return {
    rate: median(bursts.map(({ rate }) => rate)),
    cpuMicroseconds: median(bursts.map(({ cpuMicroseconds }) => cpuMicroseconds)),
    kiloInstructions: instructions.length === 0 ? undefined : median(instructions),
    halfCpuMicroseconds: middle(({ half, halfUsage }) => halfUsage.cpuMicroseconds / half.answers),
    busy: middle(({ halfUsage }) => halfUsage.cpuMicroseconds / halfUsage.seconds / 1e6),
    p50Milliseconds: middle(({ half }) => half.p50Milliseconds),
    p99Milliseconds: middle(({ half }) => half.p99Milliseconds),
    emptyP99Milliseconds: middle(({ empty }) => empty.p99Milliseconds),
    windows: windows.length,
    steady: steady.length,
    rssMebibytes: (windows.at(-1)?.after.rssBytes ?? 0) / 2 ** 20,
    failed:
      windows.reduce((sum, { half, after }) => sum + half.failed + after.failed, 0) +
      (windows.at(-1)?.after.rowsLost ?? 0),
  }
}

async function burst(server: ServerProcess, target: LoadTarget, milliseconds: number): Promise<Burst> {
  await server.start()
  const [full, instructions] = await Promise.all([
    closedLoop(target, milliseconds),
    countInstructions(server.pid, milliseconds),
  ])
  const { cpuMicroseconds, rssBytes, rowsLost } = await server.stop()
  return {
    ...full,
    rate: full.answers / full.seconds,
    cpuMicroseconds: cpuMicroseconds / full.answers,
    instructions,
    rssBytes,
    rowsLost,
  }
}
