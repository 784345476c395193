/** Shards of a full map; a copy touches one array of this length and the shards that change. */
const SHARDS = 512

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
}

/** FNV-1a over UTF-16 units, folded so that the low bits depend on all of them. */
function shardOf(key: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < key.length; i += 1) hash = Math.imul(hash ^ key.charCodeAt(i), 0x01000193)
  return (hash ^ (hash >>> 15)) & (SHARDS - 1)
}
