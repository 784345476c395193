import { setTimeout as sleep } from 'node:timers/promises'
import type { Database } from './database.ts'
import { type MaintenanceReport, maintainLog } from './log-maintenance.ts'
import { type Swept, sweep } from './sweep.ts'

/** What one round did to the log and to what else only grows. */
export type KeeperReport = MaintenanceReport & { readonly swept: Swept }

/** Maintenance that goes on until it is closed. */
export interface LogKeeper {
  close(): Promise<void>
}

const EVERY_MILLISECONDS = 60 * 60_000
const CLOSE_MILLISECONDS = 3_000
const FIRST_MILLISECONDS_MAX = 10_000

/**
 * Maintains the log, and removes what else only grows, soon after the start and then every hour, each time at a random moment near it, so that many servers
 * on one database do not ask together. A fault is reported and the next round tries again.
 */
export function keepLog(
  db: Database,
  on: {
    readonly report: (report: KeeperReport) => void
    readonly fault: (error: unknown) => void
    /** The first round comes within this time. Default 10,000. */
    readonly firstMilliseconds?: number
  },
): LogKeeper {
  const closing = new AbortController()
  let running: Promise<void> | undefined
  let timer: NodeJS.Timeout | undefined
  const round = async (): Promise<void> => {
    try {
      const report = await maintainLog(db, { signal: closing.signal })
      if (report.ran) on.report({ ...report, swept: await sweep(db, closing.signal) })
    } catch (error) {
      if (!closing.signal.aborted) on.fault(error)
    }
    if (!closing.signal.aborted) plan(EVERY_MILLISECONDS * (0.9 + Math.random() / 5))
  }
  const plan = (milliseconds: number): void => {
    timer = setTimeout(() => {
      running = round()
    }, milliseconds)
    timer.unref()
  }
  plan(Math.random() * (on.firstMilliseconds ?? FIRST_MILLISECONDS_MAX))
  return {
    close: async () => {
      closing.abort()
      clearTimeout(timer)
      // What takes longer ends with the connections; the next round does it again.
      await Promise.race([running, sleep(CLOSE_MILLISECONDS, undefined, { ref: false })])
    },
  }
}
