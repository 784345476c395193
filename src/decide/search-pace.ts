import { turnOfOwn } from '#lib/next-turn.ts'
import type { Search } from '#model/request.ts'

/** Most candidates that one page decides, and so most of its results. */
export const JUDGED_MAX = 200
/** Most that one page looks at, decided or left out by what narrows the search. */
export const LOOKED_AT_MAX = 50_000
/** Bytes that one page reads of its question: a large one is read for each candidate that is decided. */
export const BYTES_MAX = 4_194_304
/** How many are decided, or looked at, in one turn of the event loop, and of how many bytes; all searches together have one each turn. */
const JUDGED_PER_TURN = 2
const LOOKED_AT_PER_TURN = 200
const BYTES_PER_TURN = 65_536
/** Most that a page decides that is made at once, and how long it may keep others waiting; then it is lost like the ones before. */
const JUDGED_AT_ONCE = 4
const AT_ONCE_MILLISECONDS = 10

/** How far a page goes, and how much of it without a turn for others. */
export class Pace {
  judged = 0
  #lookedAt = 0
  readonly #max: { readonly judged: number; readonly lookedAt: number }
  readonly #judgedPerTurn: number
  readonly #isAtOnce: boolean
  #startedAt = performance.now()

  constructor(search: Search, isAtOnce: boolean) {
    this.#isAtOnce = isAtOnce
    this.#judgedPerTurn = shareOf(BYTES_PER_TURN, search, JUDGED_PER_TURN)
    this.#max = isAtOnce
      ? { judged: shareOf(BYTES_PER_TURN, search, JUDGED_AT_ONCE), lookedAt: LOOKED_AT_PER_TURN }
      : { judged: shareOf(BYTES_MAX, search, JUDGED_MAX), lookedAt: LOOKED_AT_MAX }
  }

  get isOver(): boolean {
    return this.judged >= this.#max.judged || this.#lookedAt >= this.#max.lookedAt
  }

  async look(): Promise<void> {
    this.#lookedAt += 1
    if (this.#lookedAt % LOOKED_AT_PER_TURN === 0) await this.turn()
  }

  async judge(): Promise<void> {
    this.judged += 1
    if (this.judged % this.#judgedPerTurn === 0) await this.turn()
  }

  /** Lets others have theirs. */
  async turn(): Promise<void> {
    if (this.#isAtOnce && performance.now() - this.#startedAt < AT_ONCE_MILLISECONDS) return
    await turnOfOwn()
    this.#startedAt = performance.now()
  }
}

/** How often the question fits into `bytes`: at least once, and at most `most` times. */
function shareOf(bytes: number, { size }: Search, most: number): number {
  return Math.max(1, Math.min(most, Math.floor(bytes / Math.max(1, size))))
}
