import type { Clock } from '#lib/clock.ts'
import type { Result } from '#lib/result.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import type { FetchJwks } from './jwks-fetch.ts'
import { type KeySet, parseKeySet } from './key-set.ts'
import { profileOf } from './profiles.ts'
import {
  type BundleFacts,
  createRemoteKeySet,
  type KeySetHealth,
  type RemoteKeySet,
} from './remote-key-set.ts'

/** Keys of an issuer as they are now. */
export interface CurrentKeys {
  readonly set: KeySet
  /** Changes whenever the keys change; what was verified under another generation must be verified again. */
  readonly generation: number
}

/** The keys of every issuer, held apart by tenant: what one tenant configured never serves another. */
export interface KeySets {
  /**
   * The keys to verify with. Waits for a fetch only when there are none or they are older than their maximum age.
   * Undefined: none could be had. Never rejects.
   */
  load(tenant: TenantId, issuer: Issuer): Promise<CurrentKeys | undefined>
  /** The keys after a refresh because a token named an unknown `kid`; rate limited, so it may change nothing. */
  reload(tenant: TenantId, issuer: Issuer): Promise<CurrentKeys | undefined>
  /** Generation of the keys in memory, undefined when there are none to rely on. Starts a due refresh, waits for nothing. */
  generation(tenant: TenantId, issuer: Issuer): number | undefined
  /** Whether the keys in memory are overdue and serve because newer ones can't be fetched (for up to 24 hours). Fetches nothing. */
  isStale(tenant: TenantId, issuer: Issuer): boolean
  /** How the keys are doing; undefined: nobody has needed them yet. Fetches nothing. */
  health(tenant: TenantId, issuer: Issuer): KeySetHealth | undefined
  /** Stops fetches that are under way. */
  close(): void
}

const REMOTES_MAX = 10_000

/**
 * Key sets of static and remote issuers.
 *
 * @param onFault told when a fetch fails or answers something unusable; the URL and the cause, never a key.
 */
export function createKeySets(parts: {
  readonly fetch: FetchJwks
  readonly clock: Clock
  readonly onFault: (issuer: string, cause: string) => void
}): KeySets {
  const fixed = new WeakMap<Issuer, CurrentKeys>()
  const remotes = new Map<string, RemoteKeySet>()
  const closing = new AbortController()

  function remote(tenant: TenantId, issuer: Issuer, url: string): RemoteKeySet {
    const slot = slotOf(tenant, issuer, url)
    const known = remotes.get(slot)
    if (known !== undefined) return known
    const oldest = remotes.keys().next().value
    if (remotes.size >= REMOTES_MAX && oldest !== undefined) remotes.delete(oldest)
    const made = createRemoteKeySet({
      fetch: () => parts.fetch(issuer, closing.signal),
      parse: (document) => parse(issuer, document),
      ...(issuer.profile === 'spiffe' && { facts: bundleFacts }),
      clock: parts.clock,
      onFault: (cause) => parts.onFault(issuer.issuer, cause),
    })
    remotes.set(slot, made)
    return made
  }

  function staticKeys(issuer: Issuer): CurrentKeys | undefined {
    const known = fixed.get(issuer)
    if (known !== undefined || issuer.keys.kind !== 'static') return known
    const parsed = parse(issuer, { keys: issuer.keys.keys })
    if (!parsed.ok) return undefined
    const made = { set: parsed.value, generation: 0 }
    fixed.set(issuer, made)
    return made
  }

  return {
    async load(tenant, issuer) {
      return issuer.keys.kind === 'static'
        ? staticKeys(issuer)
        : await remote(tenant, issuer, issuer.keys.url).load()
    },
    async reload(tenant, issuer) {
      return issuer.keys.kind === 'static'
        ? staticKeys(issuer)
        : await remote(tenant, issuer, issuer.keys.url).reload()
    },
    generation(tenant, issuer) {
      return issuer.keys.kind === 'static'
        ? staticKeys(issuer)?.generation
        : remote(tenant, issuer, issuer.keys.url).generation()
    },
    isStale(tenant, issuer) {
      if (issuer.keys.kind === 'static') return false
      return remotes.get(slotOf(tenant, issuer, issuer.keys.url))?.health().standing === 'stale'
    },
    health(tenant, issuer) {
      return issuer.keys.kind === 'static'
        ? healthOfGiven(fixed.get(issuer))
        : remotes.get(slotOf(tenant, issuer, issuer.keys.url))?.health()
    },
    close() {
      closing.abort()
    },
  }
}

/** INVARIANT: everything that says where keys come from is part of the slot; a raised revision finds no old keys. */
function slotOf(tenant: TenantId, issuer: Issuer, url: string): string {
  const { keysRevision = 0, privateNetwork = false, profile = '' } = issuer
  return JSON.stringify([tenant, issuer.issuer, url, keysRevision, privateNetwork, profile])
}

function healthOfGiven(keys: CurrentKeys | undefined): KeySetHealth | undefined {
  return (
    keys && { standing: 'fresh', keys: keys.set.size, ageSeconds: undefined, failures: 0, servedStale: 0 }
  )
}

/**
 * INVARIANT: an empty OIDC key set is a mistake of its issuer and never replaces good keys; an empty SPIFFE bundle says that
 * all keys are revoked (SPIFFE Trust Domain and Bundle section 4.1.3).
 */
function parse(issuer: Issuer, document: unknown): Result<KeySet, string> {
  const { keyUse, emptySetRevokes } = profileOf(issuer)
  return parseKeySet(document, keyUse, emptySetRevokes)
}

/** Numbers of a SPIFFE bundle; what is no whole number says nothing. */
function bundleFacts(document: unknown): BundleFacts {
  const { spiffe_sequence: sequence, spiffe_refresh_hint: hint } = Object(document) as {
    readonly spiffe_sequence?: unknown
    readonly spiffe_refresh_hint?: unknown
  }
  return { sequence: wholeNumber(sequence), refreshSeconds: wholeNumber(hint) }
}

function wholeNumber(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}
