import { hash } from 'node:crypto'
import { breakAt, type ChainBreak, type ChainHead, GENESIS_HASH } from './chain.ts'
import type { LogRow, ReadChains, Removal, RemovedRun } from './port.ts'

/** The first place of a chain that does not hold. */
export interface LogBreak {
  readonly writer: string
  readonly sequence: number
  /** Null where no row is there to name. */
  readonly decision_id: string | null
  /**
   * As in `ChainBreak`, and: `returned`: a row stands where retention removed one. `cut`: the newest rows are missing.
   * `unannounced`: rows were added behind the chain's back. `removal`: a record of removed rows was changed.
   */
  readonly kind: ChainBreak['kind'] | 'returned' | 'cut' | 'unannounced' | 'removal'
}

/** What a check of the log found. */
export interface LogCheck {
  readonly chains: number
  readonly rows: number
  /** Rows that retention removed and whose places are accounted for. */
  readonly removed: number
  /** The first break of each broken chain; empty when everything holds. */
  readonly breaks: readonly LogBreak[]
}

const BATCH = 500

/**
 * Checks every chain, or only those of `scope`, from its first place to the head that was recorded when its newest row
 * was added. Rows that are added or removed by retention meanwhile are no break. Holds one batch in memory.
 *
 * It proves that nothing was changed without changing everything after it, the head and the records of removals too;
 * against somebody who can rewrite the whole database compare heads that were kept elsewhere.
 */
export async function verifyLog(
  chains: ReadChains,
  scope: { readonly tenant?: string | undefined; readonly writer?: string | undefined },
  onProgress: (rows: number, total: number) => void = () => undefined,
): Promise<LogCheck> {
  const total = await chains.estimate()
  const broken = await brokenRemoval(chains)
  const breaks: LogBreak[] = broken === undefined ? [] : [broken]
  const writers = scope.writer === undefined ? await chains.writers(scope.tenant) : [scope.writer]
  let rows = 0
  let removed = 0
  for (const writer of writers) {
    const before = rows
    const check = async () =>
      await verifyChain(chains, writer, (done) => onProgress(Math.min(before + done, total), total))
    let found = await check()
    // Retention may have removed rows between two looks; its record is there at the second.
    if (found.broken !== undefined) found = await check()
    rows += found.rows
    removed += found.removed
    if (found.broken !== undefined) breaks.push(found.broken)
  }
  onProgress(total, total)
  return { chains: writers.length, rows, removed, breaks }
}

async function brokenRemoval(chains: ReadChains): Promise<LogBreak | undefined> {
  let id = 0
  let previous = GENESIS_HASH
  for await (const batch of chains.removals()) {
    for (const each of batch) {
      id += 1
      const content = [previous, each.id, each.writer, each.rows, each.runs].join(' ')
      if (each.id !== id || each.previousHash !== previous || hash('sha256', content, 'hex') !== each.hash)
        return { writer: each.writer, sequence: each.id, decision_id: null, kind: 'removal' }
      previous = each.hash
    }
  }
  return undefined
}

async function verifyChain(
  chains: ReadChains,
  writer: string,
  onProgress: (rows: number) => void,
): Promise<{ readonly rows: number; readonly removed: number; readonly broken: LogBreak | undefined }> {
  const headBefore = await chains.head(writer)
  const walk = new ChainWalk(writer, await runsOf(chains, writer))
  let rows = 0
  let broken: LogBreak | undefined
  let after = 0
  for (;;) {
    const batch = await chains.rows(writer, after, BATCH)
    for (const row of batch) broken ??= walk.next(row)
    rows += batch.length
    onProgress(rows)
    const last = batch.at(-1)
    if (broken !== undefined || last === undefined || batch.length < BATCH) break
    after = last.sequence
  }
  broken ??= walk.end(headBefore, await chains.head(writer))
  return { rows, removed: walk.removed, broken }
}

async function runsOf(chains: ReadChains, writer: string): Promise<readonly RemovedRun[]> {
  const runs: RemovedRun[] = []
  for await (const batch of chains.removals(writer)) {
    for (const each of batch) runs.push(...parseRuns(each))
  }
  return runs.toSorted((a, b) => a.first - b.first)
}

function parseRuns(removal: Removal): readonly RemovedRun[] {
  const runs = JSON.parse(removal.runs) as readonly (readonly [number, number, string, string])[]
  return runs.map(([first, last, previousHash, hash]) => ({ first, last, previousHash, hash }))
}

/** Follows one chain over its rows and over the runs that retention removed. */
class ChainWalk {
  removed = 0
  readonly #writer: string
  readonly #runs: readonly RemovedRun[]
  #nextRun = 0
  #head: ChainHead = { sequence: 0, hash: GENESIS_HASH }

  constructor(writer: string, runs: readonly RemovedRun[]) {
    this.#writer = writer
    this.#runs = runs
  }

  next(row: LogRow): LogBreak | undefined {
    const missing = this.#passRuns(row.sequence)
    if (missing !== undefined) return missing
    if (this.#removedAt(row.sequence)) return this.#broken(row.sequence, row.decision_id, 'returned')
    const kind = breakAt(row, this.#head)
    if (kind !== undefined) return this.#broken(row.sequence, row.decision_id, kind)
    this.#head = row
    return undefined
  }

  /** After the last row: `before` is the head that was recorded when the walk began, `now` the present one. */
  end(before: ChainHead | undefined, now: ChainHead | undefined): LogBreak | undefined {
    const missing = this.#passRuns(Number.POSITIVE_INFINITY)
    if (missing !== undefined) return missing
    const { sequence, hash: reached } = this.#head
    if (sequence < (before?.sequence ?? 0)) return this.#broken(sequence + 1, null, 'cut')
    if (sequence > (now?.sequence ?? 0)) return this.#broken((now?.sequence ?? 0) + 1, null, 'unannounced')
    const isOther = [before, now].some((head) => head?.sequence === sequence && head.hash !== reached)
    return isOther ? this.#broken(sequence, null, 'edited') : undefined
  }

  /** Goes over the runs that begin before `place`. */
  #passRuns(place: number): LogBreak | undefined {
    for (let run = this.#runs[this.#nextRun]; run !== undefined; run = this.#runs[this.#nextRun]) {
      if (run.first > place) return undefined
      const { sequence, hash: reached } = this.#head
      if (run.first > sequence + 1) return this.#broken(sequence + 1, null, 'gap')
      if (run.first <= sequence) return this.#broken(run.first, null, 'returned')
      if (run.previousHash !== reached) return this.#broken(run.first, null, 'unlinked')
      this.#head = { sequence: run.last, hash: run.hash }
      this.removed += run.last - run.first + 1
      this.#nextRun += 1
    }
    return undefined
  }

  #removedAt(place: number): boolean {
    const run = this.#runs[this.#nextRun - 1]
    return run !== undefined && place >= run.first && place <= run.last
  }

  #broken(sequence: number, decisionId: string | null, kind: LogBreak['kind']): LogBreak {
    return { writer: this.#writer, sequence, decision_id: decisionId, kind }
  }
}
