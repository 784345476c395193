import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'
import { failed, type Result, success } from '#lib/result.ts'
import { type ChainHead, sealRow } from './chain.ts'
import { correctionOf, withheld, withNote } from './correction.ts'
import type { LogEntry } from './entry.ts'
import type { AppendRows, SealedRow } from './port.ts'

/** Why a decision may not leave as it is: its row is not durable, or there is no room for it. */
export type LogFailure = 'log.unavailable' | 'log.overflow'

/** What a log writer is built from. */
export interface LogWriterParts {
  /** Must skip rows whose writer and sequence are stored already: after an ambiguous failure they come again. */
  readonly append: AppendRows
  /** `require`: a write ends when its row is durable. `buffer`: at once, the row follows. */
  readonly mode: 'require' | 'buffer'
  /** When the queue is full in `buffer` mode: refuse the write, or accept it and drop the row. Both are counted. */
  readonly overflow: 'deny' | 'shed'
  /** Rows that may wait or be under way. */
  readonly queueMax: number
  /** Unique for each start of a process: names the hash chain. */
  readonly writer: string
  /** Told about each append that was not confirmed. */
  readonly onFault: (fault: unknown) => void
  /** How long a write may wait for its row. Default 2,000. */
  readonly waitMilliseconds?: number
  /** How long one append may take before it is tried again. Default 12,000, more than the store takes. */
  readonly appendMilliseconds?: number
}

/** Counters since the start, for metrics. */
export interface LogWriterStats {
  readonly queued: number
  readonly underWay: number
  readonly written: number
  readonly batches: number
  readonly faults: number
  /** Writes answered `log.unavailable`. */
  readonly unavailable: number
  /** Writes refused because the queue was full. */
  readonly refused: number
  /** Rows dropped because the queue was full. */
  readonly shed: number
}

interface Waiting {
  /** Sealed rows can't change any more. */
  row: LogEntry | SealedRow
  readonly deadline: number
  /** Undefined once the caller has its answer. */
  settle: ((outcome: Result<undefined, LogFailure>) => void) | undefined
}

const BATCH_ROWS_MAX = 250
/** How long rows that nobody waits for collect before they leave: an append costs as much as several of its rows. */
const GATHER_MILLISECONDS = 10
/** Keeps the making of one batch from stalling the event loop. */
const BATCH_CHARACTERS_MAX = 2_000_000
const BACK_OFF_MILLISECONDS = { first: 25, max: 1_000 }

/** A log writer that groups rows: while one append is under way rows collect, and the next one takes them all. */
export function createLogWriter(parts: LogWriterParts): LogWriter {
  return new LogWriter(parts)
}

/**
 * Writes rows in the order of the calls, each exactly once, into one gap-free hash chain.
 *
 * INVARIANT: a caller that was told `log.unavailable` or `log.overflow` answers deny, and the log never says otherwise
 * without contradiction. A row that was not sent yet becomes a deny row with that reason. A row that was sent may be
 * durable already, so it stays as it is (same sequence, same hash) until the database confirms it, and an allow is
 * followed by a deny row whose `trace.corrects` names its decision.
 * (A process that dies between the two leaves a sent allow without its contradiction; nobody received that allow.)
 */
export class LogWriter {
  readonly #parts: LogWriterParts
  readonly #waitMilliseconds: number
  readonly #closing = new AbortController()
  #queue: Waiting[] = []
  #underWay: readonly Waiting[] = []
  #head: ChainHead | undefined
  #pump: Promise<void> | undefined
  #timer: NodeJS.Timeout | undefined
  /** Ends the gathering of rows that is under way. */
  #goOn: (() => void) | undefined
  #failingSince: number | undefined
  readonly #life: { isClosed: boolean } = { isClosed: false }
  /** Rows that were never queued since the last one that was; the next row says so. */
  #unlogged = 0
  #counts = { written: 0, batches: 0, faults: 0, unavailable: 0, refused: 0, shed: 0 }

  constructor(parts: LogWriterParts) {
    this.#parts = parts
    this.#waitMilliseconds = parts.waitMilliseconds ?? 2_000
  }

  /** Never rejects; in `require` mode it settles within the configured wait. */
  write(entry: LogEntry): Promise<Result<undefined, LogFailure>> {
    if (this.#life.isClosed) return Promise.resolve(this.#fail('log.unavailable'))
    if (this.#queue.length + this.#underWay.length >= this.#parts.queueMax) return this.#overflow()
    const now = performance.now()
    if (this.#parts.mode === 'buffer') {
      // Nobody can take it back, so it is sealed at once: the queue holds texts, and no batch is sealed in one long turn.
      this.#push({ row: this.#seal(entry), deadline: now, settle: undefined })
      return Promise.resolve(success(undefined))
    }
    // After a whole wait without any success there is nothing to hope for within another one.
    if (this.#failingSince !== undefined && now - this.#failingSince > this.#waitMilliseconds) {
      this.#push({ row: withheld(entry), deadline: now, settle: undefined })
      return Promise.resolve(this.#fail('log.unavailable'))
    }
    return new Promise((settle) => {
      this.#push({ row: entry, deadline: now + this.#waitMilliseconds, settle })
      this.#timer ??= setTimeout(() => this.#expire(), this.#waitMilliseconds)
    })
  }

  /** Counters and the rows that are on their way. */
  stats(): LogWriterStats {
    return { queued: this.#queue.length, underWay: this.#underWay.length, ...this.#counts }
  }

  /**
   * Takes no more rows, writes those that wait, and gives up after `deadlineMilliseconds`.
   *
   * @returns how many rows were not confirmed; callers that waited for one of them got `log.unavailable`.
   */
  async close(deadlineMilliseconds: number): Promise<{ readonly unwritten: number }> {
    this.#life.isClosed = true
    this.#goOn?.()
    const deadline = setTimeout(() => this.#closing.abort(), deadlineMilliseconds)
    await this.#pump
    clearTimeout(deadline)
    clearTimeout(this.#timer)
    const left = [...this.#underWay, ...this.#queue]
    for (const waiting of left) this.#settle(waiting, this.#fail('log.unavailable'))
    return { unwritten: left.length }
  }

  #push(waiting: Waiting): void {
    this.#queue.push(waiting)
    if (this.#goOn !== undefined && this.#isEnough()) this.#goOn()
    // The first append waits for the current turn of the event loop, so that a burst goes out together.
    this.#pump ??= Promise.resolve().then(() => this.#drain())
  }

  #overflow(): Promise<Result<undefined, LogFailure>> {
    this.#unlogged += 1
    if (this.#parts.mode === 'require' || this.#parts.overflow === 'deny')
      return Promise.resolve(this.#fail('log.overflow'))
    this.#counts.shed += 1
    return Promise.resolve(success(undefined))
  }

  async #drain(): Promise<void> {
    while (this.#queue.length > 0) {
      if (this.#parts.mode === 'buffer') await this.#gather()
      const rows = this.#nextBatch()
      if (!(await this.#appendUntilDurable(rows))) break
      this.#counts.written += rows.length
      this.#counts.batches += 1
      const durable = this.#underWay
      this.#underWay = []
      for (const waiting of durable) this.#settle(waiting, success(undefined))
    }
    // In the same turn as the last look at the queue, so that no row is left behind without a pump.
    this.#pump = undefined
  }

  /** Lets rows collect until they fill a batch or half of the room that there is. */
  async #gather(): Promise<void> {
    if (this.#life.isClosed || this.#isEnough()) return
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(resolve, GATHER_MILLISECONDS)
    this.#goOn = resolve
    await promise
    clearTimeout(timer)
    this.#goOn = undefined
  }

  #isEnough(): boolean {
    return this.#queue.length >= Math.min(BATCH_ROWS_MAX, this.#parts.queueMax / 2)
  }

  /** Moves the next rows out of the queue; from here on none of them can change. */
  #nextBatch(): readonly SealedRow[] {
    const rows: SealedRow[] = []
    let characters = 0
    for (const waiting of this.#queue) {
      if (rows.length === BATCH_ROWS_MAX || characters > BATCH_CHARACTERS_MAX) break
      const row = isSealed(waiting.row) ? waiting.row : this.#seal(waiting.row)
      characters += row.json.length
      rows.push(row)
    }
    this.#underWay = this.#queue.slice(0, rows.length)
    this.#queue = this.#queue.slice(rows.length)
    return rows
  }

  /** Gives a row its place in the chain: in the order of the queue. */
  #seal(entry: LogEntry): SealedRow {
    const noted = this.#unlogged === 0 ? entry : withNote(entry, this.#unlogged)
    this.#unlogged = 0
    const row = sealRow(noted, this.#parts.writer, this.#head)
    this.#head = { sequence: row.sequence, hash: row.hash }
    return row
  }

  /** Sends the same rows until the database confirms them; false when closing gave up first. */
  async #appendUntilDurable(rows: readonly SealedRow[]): Promise<boolean> {
    const { signal } = this.#closing
    for (let wait = BACK_OFF_MILLISECONDS.first; !signal.aborted; wait *= 2) {
      if (await this.#tryAppend(rows)) return true
      await delay(Math.min(wait, BACK_OFF_MILLISECONDS.max), undefined, { signal }).catch(() => undefined)
    }
    return false
  }

  async #tryAppend(rows: readonly SealedRow[]): Promise<boolean> {
    // A plain timer: this runs for each batch, and abort signals that are raced cost more than the rows of a small one.
    const { promise: given, reject: giveUp } = Promise.withResolvers<never>()
    const late = (): void => giveUp(new Error('the append was not confirmed in time'))
    const timer = setTimeout(late, this.#parts.appendMilliseconds ?? 12_000)
    this.#closing.signal.addEventListener('abort', late, { once: true })
    try {
      await Promise.race([this.#parts.append(rows), given])
      this.#failingSince = undefined
      return true
    } catch (fault) {
      this.#failingSince ??= performance.now()
      this.#counts.faults += 1
      this.#parts.onFault(fault)
      return false
    } finally {
      clearTimeout(timer)
      this.#closing.signal.removeEventListener('abort', late)
    }
  }

  /** Answers everyone whose wait is over; see the INVARIANT above. */
  #expire(): void {
    const now = performance.now()
    this.#timer = undefined
    for (const waiting of this.#queue)
      if (isDue(waiting, now)) {
        if (!isSealed(waiting.row)) waiting.row = withheld(waiting.row)
        this.#settle(waiting, this.#fail('log.unavailable'))
      }
    const corrections: LogEntry[] = []
    for (const waiting of this.#underWay)
      if (isDue(waiting, now)) {
        if (!isSealed(waiting.row) && waiting.row.decision === 'allow')
          corrections.push(correctionOf(waiting.row))
        this.#settle(waiting, this.#fail('log.unavailable'))
      }
    this.#queue.push(...corrections.map((row) => ({ row, deadline: now, settle: undefined })))
    const next = [...this.#underWay, ...this.#queue].find((waiting) => waiting.settle !== undefined)
    if (next === undefined) return
    // In an outage thousands wait, each with its own deadline; they are answered in a few groups.
    const pause = Math.max(this.#waitMilliseconds / 20, next.deadline - now)
    this.#timer = setTimeout(() => this.#expire(), pause)
  }

  #settle(waiting: Waiting, outcome: Result<undefined, LogFailure>): void {
    waiting.settle?.(outcome)
    waiting.settle = undefined
  }

  #fail(code: LogFailure): Result<undefined, LogFailure> {
    if (code === 'log.overflow') this.#counts.refused += 1
    else this.#counts.unavailable += 1
    return failed(code)
  }
}

function isSealed(row: LogEntry | SealedRow): row is SealedRow {
  return 'json' in row
}

function isDue(waiting: Waiting, now: number): boolean {
  return waiting.settle !== undefined && waiting.deadline <= now
}
