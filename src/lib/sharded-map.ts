/** Shards of a full map; a copy touches one array of this length and the shards that change. */
const SHARDS = 512
/** Shards that are put in order at once: about 3,000 entries in a map of 100,000. */
const SHARDS_PER_TURN = 16

/**
 * A persistent map from strings: `change` gives a new map and leaves the old one as it was. A change of few entries
 * copies only the shards that they fall into, so it stays cheap in a map of 100,000 entries (about 200 per shard).
 */
export class ShardedMap<Value> {
  readonly #shards: readonly (ReadonlyMap<string, Value> | undefined)[]
  readonly size: number

  /** Use `ShardedMap.empty` and `change`. */
  private constructor(shards: readonly (ReadonlyMap<string, Value> | undefined)[], size: number) {
    this.#shards = shards
    this.size = size
  }

  static empty<Value>(): ShardedMap<Value> {
    return new ShardedMap<Value>([], 0)
  }

  get(key: string): Value | undefined {
    return this.#shards[shardOf(key)]?.get(key)
  }

  /** A map with every entry of `changes` set, or removed where its value is undefined. */
  change(changes: ReadonlyMap<string, Value | undefined>): ShardedMap<Value> {
    const shards = [...this.#shards]
    const copied = new Map<number, Map<string, Value>>()
    let size = this.size
    for (const [key, value] of changes) {
      const index = shardOf(key)
      let shard = copied.get(index)
      if (shard === undefined) {
        shard = new Map(shards[index])
        copied.set(index, shard)
        while (shards.length <= index) shards.push(undefined)
        shards[index] = shard
      }
      size -= shard.size
      if (value === undefined) shard.delete(key)
      else shard.set(key, value)
      size += shard.size
    }
    return new ShardedMap(shards, size)
  }

  /** All values in no particular order. */
  *values(): Generator<Value> {
    for (const shard of this.#shards) if (shard !== undefined) yield* shard.values()
  }

  /**
   * Values in the order of their keys (by UTF-16 code units), from the first key that is not before `from`. Now and then undefined
   * comes in between: a place where whoever reads a large map can let others have their turn.
   */
  *inOrder(from: string): Generator<Value | undefined> {
    const heap: Run<Value>[] = []
    for (const [index, shard] of this.#shards.entries()) {
      const run = shard && runFrom(shard, from)
      if (run !== undefined) heap.push(run)
      if (index % SHARDS_PER_TURN === SHARDS_PER_TURN - 1) yield undefined
    }
    for (let at = heap.length >>> 1; at >= 0; at -= 1) sink(heap, at)
    for (let run = heap[0]; run !== undefined; run = heap[0]) {
      yield run.shard.get(run.head)
      run.at += 1
      const head = run.keys[run.at]
      if (head !== undefined) run.head = head
      else heap[0] = heap.at(-1) ?? run
      if (head === undefined) heap.pop()
      sink(heap, 0)
    }
  }
}

/** Keys of shards in order. A shard is never changed once its map is made, and most maps share most of their shards. */
const sortedShards = new WeakMap<ReadonlyMap<string, unknown>, readonly string[]>()

function sortedKeys(shard: ReadonlyMap<string, unknown>): readonly string[] {
  const known = sortedShards.get(shard)
  if (known !== undefined) return known
  const sorted = [...shard.keys()].sort((a, b) => (a < b ? -1 : 1))
  sortedShards.set(shard, sorted)
  return sorted
}

/** What is left of one shard. */
interface Run<Value> {
  readonly shard: ReadonlyMap<string, Value>
  readonly keys: readonly string[]
  at: number
  /** `keys[at]`. */
  head: string
}

/** The part of a shard from `from` on; undefined when there is none. */
function runFrom<Value>(shard: ReadonlyMap<string, Value>, from: string): Run<Value> | undefined {
  const keys = sortedKeys(shard)
  let [low, high] = [0, keys.length]
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((keys[middle] ?? '') < from) low = middle + 1
    else high = middle
  }
  const head = keys[low]
  return head === undefined ? undefined : { shard, keys, at: low, head }
}

/** Moves the run at `at` down until none below it has a smaller head: `heap` has the smallest at its top. */
function sink<Value>(heap: Run<Value>[], at: number): void {
  const run = heap[at]
  if (run === undefined) return
  let hole = at
  for (;;) {
    const [left, right] = [heap[2 * hole + 1], heap[2 * hole + 2]]
    const isRight = left !== undefined && right !== undefined && right.head < left.head
    const smaller = isRight ? right : left
    if (smaller === undefined || smaller.head > run.head) break
    heap[hole] = smaller
    hole = 2 * hole + (isRight ? 2 : 1)
  }
  heap[hole] = run
}

/** FNV-1a over UTF-16 units, folded so that the low bits depend on all of them. */
function shardOf(key: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < key.length; i += 1) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  return (hash ^ (hash >>> 15)) & (SHARDS - 1)
}
