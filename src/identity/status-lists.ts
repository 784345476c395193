import type { Clock, EpochMilliseconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import type { StatusPlace, TokenStatuses } from '#model/token-status.ts'
import type { KeySets } from './key-sets.ts'
import type { SendOutbound } from './outbound.ts'
import { STATUS_LIST_BYTES_MAX, type StatusList, verifyStatusList } from './status-list.ts'

/** Status lists in memory, fetched in the background. */
export interface StatusLists extends TokenStatuses {
  /**
   * Fetches what is due and was asked about lately, and waits for all fetches that are under way; the caller calls it every few
   * seconds. Never rejects.
   */
  refresh(): Promise<void>
  /** Stops fetches that are under way. */
  close(): void
}

interface Slot {
  readonly uri: string
  readonly tenant: TenantId
  readonly issuer: Issuer
  /** What the issuer's registration was when the slot was made. */
  readonly trust: string
  askedAt: EpochMilliseconds
  list?: StatusList
  /** Fetched again from `dueAt`; serves until `endsAt`. Milliseconds since 1970. */
  dueAt: number
  endsAt: number
  failures: number
  underWay: Promise<void> | undefined
}

const LISTS_PER_TENANT_MAX = 64
const TTL_SECONDS = { min: 30, max: 3_600, default: 300 }
const BACK_OFF_MILLISECONDS = { first: 1_000, max: 60_000 }
/** A list that nobody asked about for so long is not kept up to date. */
const IDLE_MILLISECONDS = 24 * 60 * 60_000

/**
 * Status lists of the issuers' allowed URLs (`Issuer.statusLists`), held apart by tenant: at most 64 for each, the one that was
 * not asked about for longest is forgotten first.
 *
 * A list is fetched again when it is as old as its `ttl` says (30 s to an hour; five minutes where it says nothing) and serves
 * for twice that, never beyond its `exp`. A list that is older than the one that is there does not replace it.
 *
 * @param onFault told when a list can't be fetched or used: its URL and the cause.
 */
export function createStatusLists(parts: {
  readonly send: SendOutbound
  readonly keys: KeySets
  readonly clock: Clock
  readonly onFault: (uri: string, cause: string) => void
}): StatusLists {
  const tenants = new Map<TenantId, Map<string, Slot>>()
  const closing = new AbortController()

  /** The slot of an allowed URL, newest last. */
  function slotOf(tenant: TenantId, issuer: Issuer, uri: string): Slot {
    const slots = tenants.get(tenant) ?? new Map<string, Slot>()
    tenants.set(tenant, slots)
    const name = JSON.stringify([issuer.issuer, uri])
    const trust = trustOf(issuer)
    const known = slots.get(name)
    const slot = known?.trust === trust ? known : newSlot({ tenant, issuer, uri, trust })
    slots.delete(name)
    const oldest = slots.keys().next().value
    if (slots.size >= LISTS_PER_TENANT_MAX && oldest !== undefined) slots.delete(oldest)
    slots.set(name, slot)
    slot.askedAt = parts.clock()
    return slot
  }

  async function fetchList(slot: Slot): Promise<void> {
    const { uri, issuer, tenant } = slot
    try {
      const answer = await parts.send({
        url: uri,
        headers: { accept: 'application/statuslist+jwt' },
        privateNetwork: issuer.privateNetwork === true,
        bytesMax: STATUS_LIST_BYTES_MAX,
        signal: closing.signal,
      })
      if (answer.status !== 200) throw new Error(`the list's URL answered ${answer.status}`)
      const trust = { tenant, issuer, keys: parts.keys }
      const verified = await verifyStatusList(answer.body.trim(), uri, trust, parts.clock())
      if (!verified.ok) throw new Error(verified.failure)
      accept(slot, verified.value, parts.clock())
    } catch (fault) {
      slot.failures += 1
      const wait = BACK_OFF_MILLISECONDS.first * 2 ** (slot.failures - 1)
      slot.dueAt = parts.clock() + Math.min(wait, BACK_OFF_MILLISECONDS.max)
      if (!closing.signal.aborted)
        parts.onFault(uri, fault instanceof Error ? fault.message : 'unknown fault')
    }
  }

  function fetchIfDue(slot: Slot): void {
    const isDue = parts.clock() >= slot.dueAt && !closing.signal.aborted
    if (!isDue) return
    slot.underWay ??= fetchList(slot).finally(() => {
      slot.underWay = undefined
    })
  }

  return {
    statusOf(token, { id, issuers }, now) {
      const { status } = token
      if (status === undefined) return 'valid'
      const issuer = issuers.find((each) => each.issuer === token.issuer)
      if (issuer === undefined || !mayFetch(status, issuer)) return 'unknown'
      const slot = slotOf(id, issuer, status.uri)
      fetchIfDue(slot)
      return slot.list === undefined || now >= slot.endsAt ? 'unknown' : slot.list.statusAt(status.index)
    },
    async refresh() {
      const now = parts.clock()
      const slots = [...tenants.values()].flatMap((each) => [...each.values()])
      for (const slot of slots) if (now - slot.askedAt < IDLE_MILLISECONDS) fetchIfDue(slot)
      await Promise.all(slots.map(({ underWay }) => underWay))
    },
    close() {
      closing.abort()
    },
  }
}

function newSlot(about: Pick<Slot, 'tenant' | 'issuer' | 'uri' | 'trust'>): Slot {
  return {
    ...about,
    askedAt: 0 as EpochMilliseconds,
    dueAt: 0,
    endsAt: 0,
    failures: 0,
    underWay: undefined,
  }
}

/** Puts a list in the place of the one before. @throws when it is older than that, as a cache or a thief may have kept it. */
function accept(slot: Slot, list: StatusList, now: EpochMilliseconds): void {
  if (slot.list !== undefined && list.issuedAt < slot.list.issuedAt)
    throw new Error('the list is older than the one before')
  const ttl = Math.min(Math.max(list.ttl ?? TTL_SECONDS.default, TTL_SECONDS.min), TTL_SECONDS.max)
  slot.list = list
  slot.failures = 0
  slot.dueAt = now + ttl * 1000
  slot.endsAt = Math.min(now + 2 * ttl * 1000, (list.expiresAt ?? Number.POSITIVE_INFINITY) * 1000)
}

/**
 * INVARIANT: a token never chooses what is fetched. Its URL is one of the issuer's, or begins with one of those that end in a
 * slash, in the one spelling that has no dot segments left to climb out of it.
 */
function mayFetch({ uri }: StatusPlace, { statusLists = [] }: Issuer): boolean {
  const url = URL.parse(uri)
  if (url === null || url.href !== uri || url.hash !== '' || url.username !== '' || url.password !== '')
    return false
  return statusLists.some((each) => uri === each || (each.endsWith('/') && uri.startsWith(each)))
}

const trusts = new WeakMap<Issuer, string>()

/** INVARIANT: a list that was verified under another registration of the issuer is not believed. */
function trustOf(issuer: Issuer): string {
  const known = trusts.get(issuer)
  if (known !== undefined) return known
  const { algorithms, keys, keysRevision, privateNetwork, profile } = issuer
  const made = JSON.stringify([algorithms, keys, keysRevision, privateNetwork, profile])
  trusts.set(issuer, made)
  return made
}
