import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'
import type { VerifiedToken } from '#model/identity.ts'
import type { TenantId } from '#model/ids.ts'

/** A token that was used although a newer one of its session was in use for some time: one of both is in wrong hands. */
export interface ReusedSession {
  readonly tenant: TenantId
  readonly issuer: string
  readonly session: string
}

/** Remembers the newest token of each session of issuers that rotate. */
export interface TokenFamilies {
  /**
   * Whether `token` is the newest of its family (session, subject and client) that this process has seen; later ones
   * take its place. A token without session or date of issue has no family.
   */
  isNewest(tenant: TenantId, token: VerifiedToken, client: string, now: EpochMilliseconds): boolean
}

interface Newest {
  readonly issuedAt: EpochSeconds
  readonly seenAt: EpochMilliseconds
}

const FAMILIES_MAX = 100_000
/** Requests that were under way with the token before are no sign of theft. */
const OVERLAP_MILLISECONDS = 60_000

/**
 * Families in memory, oldest out first: no decision waits for another server. What goes to the others is the sign of theft.
 *
 * @param onReuse told each time that an older token is used after the overlap of 60 seconds
 */
export function createTokenFamilies(onReuse: (reused: ReusedSession) => void): TokenFamilies {
  const families = new Map<string, Newest>()
  return {
    isNewest(tenant, token, client, now) {
      const { issuer, session, subject, issuedAt } = token
      if (session === undefined || session === '' || issuedAt === undefined) return true
      const slot = JSON.stringify([tenant, issuer, session, subject, client])
      const newest = families.get(slot)
      if (newest !== undefined && issuedAt < newest.issuedAt) {
        if (now - newest.seenAt > OVERLAP_MILLISECONDS) onReuse({ tenant, issuer, session })
        return false
      }
      if (newest?.issuedAt === issuedAt) return true
      const oldest = families.keys().next().value
      if (families.size >= FAMILIES_MAX && oldest !== undefined) families.delete(oldest)
      families.delete(slot)
      families.set(slot, { issuedAt, seenAt: now })
      return true
    },
  }
}
