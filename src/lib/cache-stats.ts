/** How often a cache had what was asked for since the start, and what it holds now. */
export interface CacheStats {
  readonly hits: number
  readonly misses: number
  readonly entries: number
}
