import { hash } from 'node:crypto'
import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'
import type { VerifiedToken } from '#model/identity.ts'
import type { TenantId } from '#model/ids.ts'

/** A token that was used although a newer one of its session was in use for some time: one of both is in wrong hands. */
export interface ReusedSession {
  readonly tenant: TenantId
  readonly issuer: string
  readonly session: string
}

/** The newest token of a family that a server has seen. It names nobody. */
export interface NewestToken {
  /** 16 bytes (hex) of the SHA-256 of the tenant, then 16 of that of issuer, session, subject and client. */
  readonly family: string
  readonly issuedAt: EpochSeconds
  readonly seenAt: EpochMilliseconds
  /** From then on no older token of the family can be good anyway. */
  readonly expiresAt: EpochMilliseconds
}

/** Remembers the newest token of each session of issuers that rotate. */
export interface TokenFamilies {
  /**
   * Whether `token` is the newest of its family (session, subject and client) that is known here; later ones take its place.
   * A token without session or date of issue has no family.
   */
  isNewest(tenant: TenantId, token: VerifiedToken, client: string, now: EpochMilliseconds): boolean
  /** Takes over what another server has seen; what is known here and newer stays. */
  learn(newest: NewestToken): void
}

/** Who is told what is found here. */
export interface FamilyWatch {
  /** Told each time that an older token is used after the overlap of 60 seconds. */
  readonly onReuse: (reused: ReusedSession) => void
  /** Told of each token that takes the place of another, or begins a family. Default: nobody. */
  readonly onNewest?: (newest: NewestToken) => void
}

/** Of one tenant. */
const FAMILIES_MAX = 100_000
const HALF_CHARACTERS = 32
/** Requests that were under way with the token before are no sign of theft. */
const OVERLAP_MILLISECONDS = 60_000
/** No issuer may let a token live longer than a day, nor tolerate more than 5 minutes. */
const LIFETIME_SECONDS_MAX = 86_400 + 300

/**
 * Families in memory, oldest out first: no decision waits for another server.
 *
 * INVARIANT: no tenant's sessions push out those of another; else its tokens could be used again unseen.
 */
export function createTokenFamilies({ onReuse, onNewest }: FamilyWatch): TokenFamilies {
  const tenants = new Map<string, Map<string, NewestToken>>()
  const familiesBeside = (family: string): Map<string, NewestToken> => {
    const tenant = tenantPart(family)
    const families = tenants.get(tenant) ?? new Map<string, NewestToken>()
    tenants.set(tenant, families)
    return families
  }
  const put = (newest: NewestToken): void => {
    const families = familiesBeside(newest.family)
    const oldest = families.keys().next().value
    if (families.size >= FAMILIES_MAX && oldest !== undefined) families.delete(oldest)
    families.delete(newest.family)
    families.set(newest.family, newest)
  }
  return {
    isNewest(tenant, token, client, now) {
      const { issuer, session, subject } = token
      if (session === undefined || session === '' || token.issuedAt === undefined) return true
      const issuedAt = Math.floor(token.issuedAt) as EpochSeconds
      const family = half(tenant) + half(JSON.stringify([issuer, session, subject, client]))
      const newest = familiesBeside(family).get(family)
      if (newest !== undefined && issuedAt < newest.issuedAt) {
        if (now - newest.seenAt > OVERLAP_MILLISECONDS) onReuse({ tenant, issuer, session })
        return false
      }
      if (newest?.issuedAt === issuedAt) return true
      const expiresAt = ((issuedAt + LIFETIME_SECONDS_MAX) * 1000) as EpochMilliseconds
      const found = { family, issuedAt, seenAt: now, expiresAt }
      put(found)
      onNewest?.(found)
      return true
    },
    learn(newest) {
      // INVARIANT: a family only moves forward, in whatever order servers hear of each other.
      const known = familiesBeside(newest.family).get(newest.family)
      if (known === undefined || known.issuedAt < newest.issuedAt) put(newest)
    },
  }
}

/** What of the name of a family stands for its tenant. */
export function tenantPart(family: string): string {
  return family.slice(0, HALF_CHARACTERS)
}

function half(text: string): string {
  return hash('sha256', text, 'hex').slice(0, HALF_CHARACTERS)
}
