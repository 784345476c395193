/** Everything of one signal that was begun and is not exported yet. */
export interface Backlog {
  /** Whether there is room for one more; a no counts it as lost. */
  admit(): boolean
  /** The exporter is done with so many, and the collector took them or not. */
  settle(count: number, isTaken: boolean): void
  readonly pending: number
  readonly lost: number
}

/**
 * The bound of what waits for a collector, what is under way included: a collector that is slow or gone costs memory for
 * `max` entries and nothing else.
 */
export function createBacklog(max: number): Backlog {
  let pending = 0
  let lost = 0
  return {
    admit: () => {
      if (pending >= max) {
        lost += 1
        return false
      }
      pending += 1
      return true
    },
    settle: (count, isTaken) => {
      pending -= count
      if (!isTaken) lost += count
    },
    get pending() {
      return pending
    },
    get lost() {
      return lost
    },
  }
}
