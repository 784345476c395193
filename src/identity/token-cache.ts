import type { CacheStats } from '#lib/cache-stats.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import type { TokenClaims } from './token-claims.ts'

/** Tokens whose signature and claims were verified, so that a repeated token costs a lookup. */
export interface TokenCache {
  /**
   * The claims of exactly this token for this tenant, if they still hold: not expired at `now`, verified with the keys
   * that are current and under the issuer as it is configured now.
   */
  get(
    tenant: TenantId,
    token: string,
    now: EpochSeconds,
    generation: (issuer: Issuer) => number | undefined,
    issuers: readonly Issuer[],
  ): TokenClaims | undefined
  put(tenant: TenantId, token: string, claims: TokenClaims, issuer: Issuer, generation: number): void
  readonly size: number
  stats(): CacheStats
}

interface Entry {
  readonly claims: TokenClaims
  readonly issuer: Issuer
  readonly issuerText: string
  readonly generation: number
}

/**
 * A bounded cache, oldest entry out first.
 *
 * INVARIANT: an entry holds only what no revocation can change (signature, claims). Revocation, registry and tenancy are
 * judged anew for each request.
 *
 * @param entriesMax 1 or more. Default 10,000.
 */
export function createTokenCache(entriesMax = 10_000): TokenCache {
  // The whole token is the key: ECDSA has two valid signatures for one content, and a digest saves nothing.
  const entries = new Map<string, Entry>()
  const texts = new WeakMap<Issuer, string>()
  let hits = 0
  let lookups = 0
  const textOf = (issuer: Issuer): string => {
    const known = texts.get(issuer) ?? JSON.stringify(issuer)
    texts.set(issuer, known)
    return known
  }
  return {
    get(tenant, token, now, generation, issuers) {
      const slot = `${tenant} ${token}`
      lookups += 1
      const entry = entries.get(slot)
      if (entry === undefined) return undefined
      const { claims, issuer } = entry
      const isCurrent =
        claims.usableUntil > now &&
        claims.usableFrom <= now &&
        issuers.some((each) => each === issuer || textOf(each) === entry.issuerText) &&
        generation(issuer) === entry.generation
      if (isCurrent) {
        hits += 1
        return claims
      }
      entries.delete(slot)
      return undefined
    },
    put(tenant, token, claims, issuer, generation) {
      const oldest = entries.keys().next().value
      if (entries.size >= entriesMax && oldest !== undefined) entries.delete(oldest)
      entries.set(`${tenant} ${token}`, { claims, issuer, issuerText: textOf(issuer), generation })
    },
    get size() {
      return entries.size
    },
    stats: () => ({ hits, misses: lookups - hits, entries: entries.size }),
  }
}
