import type { Clock, EpochMilliseconds } from '#lib/clock.ts'
import type { ClientDocument, ClientDocuments } from '#model/client-document.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import { isLoopbackHost } from './loopback.ts'
import type { SendOutbound } from './outbound.ts'
import { parseStrictObject } from './strict-json.ts'

/** Documents in memory, fetched in the background. */
export interface FetchedClientDocuments extends ClientDocuments {
  /** Waits for the fetches that are under way. Never rejects. */
  settled(): Promise<void>
  /** Stops them. */
  close(): void
}

interface Slot {
  standing: ClientDocument
  /** Until when a good document serves, and from when it is fetched again. Milliseconds since 1970. */
  endsAt: number
  dueAt: number
  failures: number
  underWay: Promise<void> | undefined
}

/** What the draft recommends (section 6.6 of -01). */
const BYTES_MAX = 5_120
const URL_CHARACTERS_MAX = 512
const SLOTS_PER_TENANT_MAX = 64
const UNDER_WAY_PER_TENANT_MAX = 8
const REFRESH_MILLISECONDS = 5 * 60_000
const SERVES_MILLISECONDS = 60 * 60_000
const BACK_OFF_MILLISECONDS = { first: 1_000, max: 60_000 }

/**
 * Documents of clients, held apart by tenant and issuer: at most 64 for each tenant, and 8 fetches at a time. One that is older than
 * five minutes is fetched again when somebody asks; a good one serves for an hour while it can't be fetched, and no longer than
 * until it is found to be wrong.
 *
 * @param onFault told when a document can't be fetched or used: its URL and the cause.
 */
export function createClientDocuments(parts: {
  readonly send: SendOutbound
  readonly clock: Clock
  readonly onFault: (url: string, cause: string) => void
}): FetchedClientDocuments {
  const tenants = new Map<TenantId, Map<string, Slot>>()
  const closing = new AbortController()

  async function fetchInto(slot: Slot, url: string, privateNetwork: boolean): Promise<void> {
    try {
      const { signal } = closing
      const answer = await parts.send({ url, privateNetwork, bytesMax: BYTES_MAX, signal })
      if (answer.status >= 500 || answer.status === 429) throw new Error(`the URL answered ${answer.status}`)
      const fault = faultOf(answer, url)
      if (fault === undefined) return accept(slot, parts.clock())
      slot.standing = 'wrong'
      later(slot, url, fault)
    } catch (error) {
      later(slot, url, error instanceof Error ? error.message : 'unknown fault')
    }
  }

  function later(slot: Slot, url: string, cause: string): void {
    slot.failures += 1
    const wait = BACK_OFF_MILLISECONDS.first * 2 ** (slot.failures - 1)
    slot.dueAt = parts.clock() + Math.min(wait, BACK_OFF_MILLISECONDS.max)
    if (!closing.signal.aborted) parts.onFault(url, cause)
  }

  return {
    standingOf(url, issuer, tenant, now) {
      if (!isDocumentUrl(url, issuer)) return 'wrong'
      const slots = tenants.get(tenant) ?? new Map<string, Slot>()
      tenants.set(tenant, slots)
      const privateNetwork = issuer.privateNetwork === true
      const slot = slotOf(slots, JSON.stringify([issuer.issuer, privateNetwork, url]))
      const busy = [...slots.values()].filter(({ underWay }) => underWay !== undefined).length
      const isDue = parts.clock() >= slot.dueAt && busy < UNDER_WAY_PER_TENANT_MAX && !closing.signal.aborted
      if (isDue)
        slot.underWay ??= fetchInto(slot, url, privateNetwork).finally(() => {
          slot.underWay = undefined
        })
      return slot.standing === 'good' && now >= slot.endsAt ? 'unknown' : slot.standing
    },
    async settled() {
      await Promise.all(
        [...tenants.values()].flatMap((slots) => [...slots.values()].map((slot) => slot.underWay)),
      )
    },
    close() {
      closing.abort()
    },
  }
}

/** The slot of that name, newest last; who was not asked about for longest makes room. */
function slotOf(slots: Map<string, Slot>, name: string): Slot {
  const slot = slots.get(name) ?? {
    standing: 'unknown',
    endsAt: 0,
    dueAt: 0,
    failures: 0,
    underWay: undefined,
  }
  slots.delete(name)
  // INVARIANT: a fetch that is under way keeps its slot, so that their number stays bounded.
  const oldest = [...slots].find(([, { underWay }]) => underWay === undefined)?.[0]
  if (slots.size >= SLOTS_PER_TENANT_MAX && oldest !== undefined) slots.delete(oldest)
  slots.set(name, slot)
  return slot
}

function accept(slot: Slot, now: EpochMilliseconds): void {
  slot.standing = 'good'
  slot.failures = 0
  slot.dueAt = now + REFRESH_MILLISECONDS
  slot.endsAt = now + SERVES_MILLISECONDS
}

/**
 * Section 3 of the draft: https, a path, one spelling without dot segments, no credentials, no fragment. `http` to this machine, for
 * issuers that may reach private networks.
 */
function isDocumentUrl(text: string, { privateNetwork }: Issuer): boolean {
  const url = text.length <= URL_CHARACTERS_MAX ? URL.parse(text) : null
  if (url === null || url.href !== text || url.pathname === '/') return false
  if (url.username !== '' || url.password !== '' || text.includes('#') || text.includes('@')) return false
  const isHere = url.protocol === 'http:' && privateNetwork === true && isLoopbackHost(url.hostname)
  return url.protocol === 'https:' || isHere
}

/**
 * Why an answer is not the metadata document of the client `url`.
 *
 * INVARIANT: the document names the very URL that it came from, character by character; and it holds no secret, which everybody
 * could read (section 4.1).
 */
function faultOf(
  { status, contentType, body }: Awaited<ReturnType<SendOutbound>>,
  url: string,
): string | undefined {
  if (status !== 200) return `the URL answered ${status}`
  if (!/^application\/(?:[a-z0-9.+-]+\+)?json$/.test(contentType)) return 'the answer is not JSON'
  const document = parseStrictObject(body)
  if (document === undefined) return 'the document is not one JSON object'
  if (document['client_id'] !== url) return 'the document is that of another client'
  const method = document['token_endpoint_auth_method']
  const isSecret = typeof method === 'string' && method.startsWith('client_secret')
  if ('client_secret' in document || 'client_secret_expires_at' in document || isSecret)
    return 'the document speaks of a client secret'
  return undefined
}
