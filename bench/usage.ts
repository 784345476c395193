import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Usage } from './protocol.ts'

/** Measures what this process uses between `start` and `stop`; `turns`: those of the event loop too. */
export interface UsageWatch {
  start(turns: boolean): void
  stop(): Usage
}

/** Finest resolution that the histogram has; it is part of every value that it records. */
const RESOLUTION_MILLISECONDS = 1

/** Watches the CPU, the memory and the event loop of this process. */
export function watchUsage(rowsLost: () => number, release: () => string | undefined): UsageWatch {
  let startedAt = performance.now()
  let cpu = process.cpuUsage()
  let turns: ReturnType<typeof watchTurns> | undefined
  return {
    start: (watched) => {
      turns = watched ? watchTurns() : undefined
      startedAt = performance.now()
      cpu = process.cpuUsage()
    },
    stop: () => {
      const used = process.cpuUsage(cpu)
      const seconds = (performance.now() - startedAt) / 1000
      const longest = turns?.stop()
      return {
        seconds,
        cpuMicroseconds: used.user + used.system,
        rssBytes: process.memoryUsage.rss(),
        loopDelayMaxMilliseconds: longest?.clock ?? 0,
        loopCpuMaxMilliseconds: longest?.cpu ?? 0,
        rowsLost: rowsLost(),
        release: release(),
      }
    },
  }
}

interface LongestTurn {
  readonly clock: number
  readonly cpu: number
}

/** Longest time on the clock, and CPU time of the main thread, between two firings of a timer of 1 ms. */
function watchTurns(): { stop(): LongestTurn } {
  const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MILLISECONDS })
  delays.enable()
  let cpu = 0
  let last = threadCpuMilliseconds()
  const timer = setInterval(() => {
    const now = threadCpuMilliseconds()
    cpu = Math.max(cpu, now - last)
    last = now
  }, RESOLUTION_MILLISECONDS)
  return {
    stop: () => {
      clearInterval(timer)
      delays.disable()
      return { cpu, clock: Math.max(0, delays.max / 1e6 - RESOLUTION_MILLISECONDS) }
    },
  }
}

const cell = new Int32Array(new SharedArrayBuffer(4))

/** Linux accounts for a running thread at its ticks (4 ms) and whenever it stops: so it stops for a moment first. */
function threadCpuMilliseconds(): number {
  Atomics.wait(cell, 0, 0, 0.001)
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
