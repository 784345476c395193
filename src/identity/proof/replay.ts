import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'

/** A proof to be used once. */
export interface Reservation {
  /** SHA-256 (hex) of what makes the proof one. */
  readonly key: string
  /** SHA-256 (hex) of the whole question with the gateway's id of it; undefined where a retry can't be told from a replay. */
  readonly question: string | undefined
  /** When the client made the proof. */
  readonly issuedAt: EpochSeconds
  /** When the proof can no longer be accepted anyway. */
  readonly expiresAt: EpochMilliseconds
  readonly now: EpochMilliseconds
}

/**
 * `first`: it was never used. `retry`: it was used by the same question a moment ago. `replayed`: it was used.
 * `stale`: it is older than what the store remembers, so nobody knows.
 */
export type Reserved = 'first' | 'retry' | 'replayed' | 'stale'

/** Remembers used proofs for all servers. */
export interface ReplayStore {
  /**
   * Takes the proof, in one atomic step. Rejects when the store can't be asked.
   *
   * INVARIANT: of all reservations of one key, on all servers, exactly one is `first`.
   */
  reserve(reservation: Reservation): Promise<Reserved>
}

/** How long the same question may come again with the same proof, as when a gateway asks twice. */
export const RETRY_MILLISECONDS = 5_000
const ENTRIES_MAX = 1_000_000

/** A store for one process: for tests, and for measuring. Rejects when it is full, because forgetting would let a replay pass. */
export function createMemoryReplayStore(entriesMax = ENTRIES_MAX): ReplayStore {
  const used = new Map<
    string,
    { readonly question: string | undefined; readonly at: number; readonly end: number }
  >()
  return {
    async reserve({ key, question, expiresAt, now }) {
      for (const [each, { end }] of used) {
        if (end > now) break
        used.delete(each)
      }
      const before = used.get(key)
      if (before !== undefined) return isRetry(before, question, now) ? 'retry' : 'replayed'
      if (used.size >= entriesMax) throw new Error('the replay store is full')
      used.set(key, { question, at: now, end: expiresAt })
      return 'first'
    },
  }
}

/** Whether `question` is the one that used the proof, and soon enough after it. */
export function isRetry(
  before: { readonly question: string | undefined; readonly at: number },
  question: string | undefined,
  now: number,
): boolean {
  return question !== undefined && before.question === question && now - before.at <= RETRY_MILLISECONDS
}
