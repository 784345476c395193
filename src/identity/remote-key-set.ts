import type { Clock } from '#lib/clock.ts'
import type { Result } from '#lib/result.ts'
import type { KeySet } from './key-set.ts'
import type { CurrentKeys } from './key-sets.ts'

/** The key set behind one JWKS URL. */
export interface RemoteKeySet {
  load(): Promise<CurrentKeys | undefined>
  reload(): Promise<CurrentKeys | undefined>
  generation(): number | undefined
  health(): KeySetHealth
}

/** How the keys of an issuer are doing. */
export interface KeySetHealth {
  /** `stale`: overdue and still served; `none`: there are no keys to rely on. */
  readonly standing: 'fresh' | 'stale' | 'none'
  /** Usable keys; those of `none` serve nobody and are not counted. */
  readonly keys: number
  /** Since the last fetch that succeeded; undefined before the first, and for keys that were given with the issuer. */
  readonly ageSeconds: number | undefined
  /** Fetches that failed, or brought nothing usable. */
  readonly failures: number
  /** How often overdue keys were handed out to verify a token with. */
  readonly servedStale: number
}

/** Age at which keys are fetched anew in the background, while the old ones still serve; a document may ask for less. */
const REFRESH_AGE_MILLISECONDS = { min: 30_000, max: 5 * 60_000 }
/** Age at which a caller waits for new keys before the old ones serve again. */
const MAX_AGE_MILLISECONDS = 10 * 60_000
/** What a document says about itself (SPIFFE Trust Domain and Bundle, section 4.1). */
export interface BundleFacts {
  /** Rises with each change; undefined where the document does not say. */
  readonly sequence: number | undefined
  /** How often it should be fetched. */
  readonly refreshSeconds: number | undefined
}

/** Age at which keys serve no more, however long the issuer has been unreachable. */
const STALE_MILLISECONDS_MAX = 24 * 60 * 60_000
/** Least time between two fetches that unknown `kid`s cause. */
const UNKNOWN_KID_COOLDOWN_MILLISECONDS = 30_000
const NO_FACTS: BundleFacts = { sequence: undefined, refreshSeconds: undefined }
const BACK_OFF_MILLISECONDS = { first: 1_000, max: 60_000 }

/**
 * One issuer's remote keys with the rules of a cache that an outage or an attacker can't turn against us: one fetch at a
 * time, background refresh, stale-if-error up to 24 hours, back-off after a failure, and a broken or empty document never
 * replaces good keys.
 *
 * INVARIANT: neither does a document with a lower sequence than the one before, or without one where that had one: a cache or a
 * thief may have kept it, with keys that were revoked since.
 */
export function createRemoteKeySet(parts: {
  readonly fetch: () => Promise<unknown>
  readonly parse: (document: unknown) => Result<KeySet, string>
  /** Default: it says nothing. */
  readonly facts?: (document: unknown) => BundleFacts
  readonly clock: Clock
  readonly onFault: (cause: string) => void
}): RemoteKeySet {
  const { clock } = parts
  let current: (CurrentKeys & { readonly text: string }) | undefined
  let facts: BundleFacts = NO_FACTS
  let fetchedAt = 0
  let attemptedAt = Number.NEGATIVE_INFINITY
  let failures = 0
  let failuresEver = 0
  let servedStale = 0
  let underWay: Promise<void> | undefined

  function usable(): CurrentKeys | undefined {
    return current !== undefined && clock() - fetchedAt < STALE_MILLISECONDS_MAX ? current : undefined
  }

  function serve(): CurrentKeys | undefined {
    const keys = usable()
    if (keys !== undefined && clock() - fetchedAt >= MAX_AGE_MILLISECONDS) servedStale += 1
    return keys
  }

  function isBackingOff(): boolean {
    return failures > 0 && clock() - attemptedAt < pauseAfter(failures)
  }

  function refresh(): Promise<void> {
    underWay ??= fetchOnce().finally(() => {
      underWay = undefined
    })
    return underWay
  }

  async function fetchOnce(): Promise<void> {
    attemptedAt = clock()
    try {
      const document = await parts.fetch()
      const parsed = parts.parse(document)
      if (!parsed.ok) throw new Error(`unusable key set: ${parsed.failure}`)
      accept(parsed.value, JSON.stringify(document), parts.facts?.(document) ?? NO_FACTS)
    } catch (fault) {
      failures += 1
      failuresEver += 1
      parts.onFault(fault instanceof Error ? fault.message : 'unknown fault')
    }
  }

  function accept(set: KeySet, text: string, told: BundleFacts): void {
    refuseOlder(told, facts)
    facts = told
    failures = 0
    fetchedAt = clock()
    if (current?.text !== text) current = { set, generation: (current?.generation ?? 0) + 1, text }
  }

  return {
    async load() {
      const age = clock() - fetchedAt
      const isOld = current === undefined || age >= MAX_AGE_MILLISECONDS
      if (isOld && !isBackingOff()) await refresh()
      else if (age >= refreshAge(facts) && !isBackingOff()) void refresh()
      return serve()
    },
    async reload() {
      const isCoolingDown = clock() - attemptedAt < UNKNOWN_KID_COOLDOWN_MILLISECONDS
      if (underWay !== undefined || !isCoolingDown) await refresh()
      return serve()
    },
    generation() {
      if (clock() - fetchedAt >= refreshAge(facts) && !isBackingOff()) void refresh()
      return serve()?.generation
    },
    health() {
      const keys = usable()
      const isFresh = clock() - fetchedAt < MAX_AGE_MILLISECONDS
      return {
        standing: keys === undefined ? 'none' : isFresh ? 'fresh' : 'stale',
        keys: keys?.set.size ?? 0,
        ageSeconds: current === undefined ? undefined : (clock() - fetchedAt) / 1000,
        failures: failuresEver,
        servedStale,
      }
    },
  }
}

/** Milliseconds after which keys are fetched anew, as the document asks, within bounds. */
function refreshAge({ refreshSeconds }: BundleFacts): number {
  const { min, max } = REFRESH_AGE_MILLISECONDS
  return refreshSeconds === undefined ? max : Math.min(Math.max(refreshSeconds * 1000, min), max)
}

/** @throws when a document takes the place of a newer one */
function refuseOlder({ sequence }: BundleFacts, before: BundleFacts): void {
  if (before.sequence === undefined || (sequence !== undefined && sequence >= before.sequence)) return
  throw new Error(`the sequence of the bundle fell from ${before.sequence} to ${sequence ?? 'none'}`)
}

/** Milliseconds until the next try after so many failures. */
function pauseAfter(failures: number): number {
  return Math.min(BACK_OFF_MILLISECONDS.first * 2 ** (failures - 1), BACK_OFF_MILLISECONDS.max)
}
