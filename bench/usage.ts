import { monitorEventLoopDelay } from 'node:perf_hooks'
import type { Usage } from './protocol.ts'

/** Measures what this process uses between `start` and `stop`. */
export interface UsageWatch {
  start(): void
  stop(): Usage
}

/** Finest resolution that the histogram has; it is part of every value that it records. */
const RESOLUTION_MILLISECONDS = 1

/** Watches the CPU, the memory and the event loop of this process. */
export function watchUsage(rowsLost: () => number, release: () => string | undefined): UsageWatch {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MILLISECONDS })
  let startedAt = performance.now()
  let cpu = process.cpuUsage()
  let turns: ReturnType<typeof watchTurns> | undefined
  return {
    start: () => {
      histogram.reset()
      histogram.enable()
      turns = watchTurns()
      startedAt = performance.now()
      cpu = process.cpuUsage()
    },
    stop: () => {
      const used = process.cpuUsage(cpu)
      const seconds = (performance.now() - startedAt) / 1000
      histogram.disable()
      return {
        seconds,
        cpuMicroseconds: used.user + used.system,
        rssBytes: process.memoryUsage.rss(),
        loopDelayMaxMilliseconds: Math.max(0, histogram.max / 1e6 - RESOLUTION_MILLISECONDS),
        loopCpuMaxMilliseconds: turns?.stop() ?? 0,
        rowsLost: rowsLost(),
        release: release(),
      }
    },
  }
}

/** Longest CPU time of the main thread between two firings of a timer of 1 ms. */
function watchTurns(): { stop(): number } {
  let longest = 0
  let last = threadCpuMilliseconds()
  const timer = setInterval(() => {
    const now = threadCpuMilliseconds()
    longest = Math.max(longest, now - last)
    last = now
  }, RESOLUTION_MILLISECONDS)
  return {
    stop: () => {
      clearInterval(timer)
      return longest
    },
  }
}

function threadCpuMilliseconds(): number {
  const { user, system } = process.threadCpuUsage()
  return (user + system) / 1000
}
