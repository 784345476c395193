/** Work that waits for its turn beside the hot path, bounded. */
export interface Backlog<Item> {
  /** Adds an item; false when there is no room, and it is forgotten. */
  offer(item: Item): boolean
  /** Resolves when everything that was offered so far is done. */
  idle(): Promise<void>
  close(): void
}

/** Runs `work` on one item after the other, each from a turn of its own. `work` must not reject. */
export function createBacklog<Item>(sizeMax: number, work: (item: Item) => Promise<void>): Backlog<Item> {
  const waiting: Item[] = []
  let running: Promise<void> | undefined
  let isClosed = false
  const run = async (): Promise<void> => {
    for (let item = waiting.shift(); item !== undefined && !isClosed; item = waiting.shift()) {
      await new Promise((resolve) => setImmediate(resolve))
      await work(item)
    }
    running = undefined
  }
  return {
    offer: (item) => {
      if (isClosed || waiting.length >= sizeMax) return false
      waiting.push(item)
      running ??= run()
      return true
    },
    idle: async () => {
      while (running !== undefined) await running
    },
    close: () => {
      isClosed = true
      waiting.length = 0
    },
  }
}

/** Says which decisions are looked at again. */
export type Sample = (now: number) => boolean

/** A decision in a hundred, chosen so that nobody can tell which. */
const SHARE_DEFAULT = 0.01
/** And one each second, however few there are. */
const INTERVAL_MILLISECONDS = 1_000
/** But no two closer than this, however many there are: each costs as much as a dozen decisions. */
const CLOSEST_MILLISECONDS = 100

/** A sampler of its own for each tenant. `random` is uniform in [0, 1); with a share of 1 every decision is looked at. */
export function createSample(random: () => number, share: number = SHARE_DEFAULT): Sample {
  let sampledAt = Number.NEGATIVE_INFINITY
  return (now) => {
    if (share >= 1) return true
    const since = now - sampledAt
    if (since < CLOSEST_MILLISECONDS || (since < INTERVAL_MILLISECONDS && random() >= share)) return false
    sampledAt = now
    return true
  }
}
