import { setTimeout as wait } from 'node:timers/promises'
import type { Command } from 'commander'
import type { LogFilter, LogRow, QueryLog } from '#decision-log/port.ts'
import type { CliContext } from './context.ts'
import { filterOf, type LogFlags, rowsOf } from './log-rows.ts'
import { logLine } from './log-text.ts'
import { wholeNumber } from './values.ts'

const LAST_DEFAULT = 10
const POLL_MILLISECONDS = 300
/** How far back each look goes: rows become visible in any order, as servers write in batches and clocks differ. */
const OVERLAP_MILLISECONDS = 5_000

/** Completes `warder logs tail` with its own options and with what it does. */
export function addTail(command: Command, context: CliContext): void {
  command
    .option('--limit <number>', 'how many of the last decisions to begin with', wholeNumber, LAST_DEFAULT)
    .option('--no-follow', 'end after those instead of waiting for more')
    .description('print the last decisions and then each new one; with --json one object on each line')
    .action(async (flags: LogFlags & { readonly limit: number; readonly follow: boolean }, self: Command) => {
      const output = context.output(self)
      const { signal } = context.options
      await context.database(output, async ({ log }) => {
        const tail = new Tail(log, filterOf(flags))
        for (const row of await tail.last(flags.limit)) output.line(row, logLine(row))
        while (flags.follow && signal?.aborted !== true) {
          // Rejects when the signal fires, which ends the loop.
          await wait(POLL_MILLISECONDS, undefined, signal === undefined ? {} : { signal }).catch(
            () => undefined,
          )
          for (const row of await tail.next()) output.line(row, logLine(row))
        }
      })
    })
}

/** Follows the log: gives each row once, oldest first. */
class Tail {
  readonly #log: QueryLog
  readonly #filter: LogFilter
  /** When each row of the last moments was decided, by decision id. */
  readonly #seen = new Map<string, number>()
  #newest: number | undefined

  constructor(log: QueryLog, filter: LogFilter) {
    this.#log = log
    this.#filter = filter
  }

  /** The newest `count` rows; everything older counts as seen. */
  async last(count: number): Promise<readonly LogRow[]> {
    const [newest] = await this.#read(this.#filter, 1)
    if (newest !== undefined) this.#see(newest)
    for (const row of await this.#read(this.#recent())) this.#see(row)
    // Read after the rest: what comes in between is either among these or found by the next look.
    const last = await this.#read(this.#filter, count)
    for (const row of last) this.#see(row)
    return last
  }

  /** Rows that became visible since the last look. */
  async next(): Promise<readonly LogRow[]> {
    const fresh = (await this.#read(this.#recent())).filter((row) => !this.#seen.has(row.decision_id))
    for (const row of fresh) this.#see(row)
    const oldest = (this.#newest ?? 0) - 2 * OVERLAP_MILLISECONDS
    for (const [id, at] of this.#seen) if (at < oldest) this.#seen.delete(id)
    return fresh
  }

  #recent(): LogFilter {
    if (this.#newest === undefined) return this.#filter
    const from = Math.max(this.#newest - OVERLAP_MILLISECONDS, Date.parse(this.#filter.since ?? '') || 0)
    return { ...this.#filter, since: new Date(from).toISOString() }
  }

  async #read(filter: LogFilter, limit = Number.POSITIVE_INFINITY): Promise<readonly LogRow[]> {
    const rows: LogRow[] = []
    for await (const page of rowsOf(this.#log, filter, limit)) rows.push(...page)
    return rows.toReversed()
  }

  #see(row: LogRow): void {
    const at = Date.parse(row.decided_at)
    this.#seen.set(row.decision_id, at)
    this.#newest = Math.max(this.#newest ?? at, at)
  }
}
