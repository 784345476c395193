import type { SendOutbound } from '#identity/outbound.ts'
import type { SignSet } from '#identity/set-signer.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { OutgoingEvent } from './transmit.ts'

/** One event that is due, leased to this server for a while. */
export interface DueEvent extends OutgoingEvent {
  readonly id: number
  /** UUID of the registration of its receiver. */
  readonly receiver: string
  readonly tenant: TenantId
  readonly url: string
  /** Sealed `Authorization` header; undefined: the receiver gave none. */
  readonly authorization: string | undefined
  readonly audience: string
  readonly privateNetwork: boolean
  readonly token: string
  readonly issuedAt: EpochSeconds
  /** Attempts so far, this one included. */
  readonly attempts: number
}

/** Events that wait, durably. */
export interface Outbox {
  /**
   * Up to `limit` events that are due, each of another receiver, tenants in turn, of none that is named; nobody else gets them for
   * half a minute.
   */
  lease(
    limit: number,
    except: { readonly receivers: readonly string[]; readonly tenants: readonly TenantId[] },
  ): Promise<readonly DueEvent[]>
  /** The next one of this receiver that is due, leased. */
  next(receiver: string): Promise<DueEvent | undefined>
  delivered(id: number): Promise<void>
  /** Puts it off. */
  retry(id: number, seconds: number): Promise<void>
}

/** How many events wait for receivers, and how many a full queue ever had no room for. */
export interface QueueFigures {
  readonly waiting: number
  readonly dropped: number
}

/** The header that was sealed; undefined when it can't be opened here. */
export type OpenAuthorization = (tenant: TenantId, url: string, sealed: string) => Promise<string | undefined>

/** What a delivery needs. */
export interface DeliveryParts {
  readonly outbox: Outbox
  readonly sign: SignSet
  readonly issuerOf: (tenant: TenantId) => string
  readonly openAuthorization: OpenAuthorization
  readonly send: SendOutbound
  readonly onFault: (url: string, cause: string) => void
}

/** Receivers that this server is pushing to, and their tenants. */
export type UnderWay = Map<string, TenantId>

const LEASED_MAX = 16
/** Receivers that are pushed to at once, and those of one tenant. */
const UNDER_WAY_MAX = 256
const OF_TENANT_MAX = 8
/** Events that a receiver gets one after the other before it is another one's turn. */
const IN_TURN_MAX = 64
const RETRY_SECONDS_MAX = 3_600

/**
 * Delivers what is due by RFC 8935; gives how many events were tried. Any answer but a 2xx is tried again, later each time
 * up to an hour; the caller of `lease` gives up after a number of attempts. It may be called again before it is done.
 *
 * INVARIANT: a receiver has one push under way, and a tenant a few, so that those that answer slowly delay nobody else.
 */
export async function deliverDue(
  parts: DeliveryParts,
  underWay: UnderWay = new Map(),
  signal?: AbortSignal,
): Promise<number> {
  const limit = Math.min(LEASED_MAX, UNDER_WAY_MAX - underWay.size)
  if (limit <= 0) return 0
  const except = { receivers: [...underWay.keys()], tenants: fullTenants(underWay) }
  const leased = await parts.outbox.lease(limit, except)
  for (const { receiver, tenant } of leased) underWay.set(receiver, tenant)
  const tried = await Promise.all(
    leased.map((event) => deliverInTurn(event, parts, signal).finally(() => underWay.delete(event.receiver))),
  )
  return tried.reduce((sum, count) => sum + count, 0)
}

function fullTenants(underWay: UnderWay): readonly TenantId[] {
  const counts = new Map<TenantId, number>()
  for (const tenant of underWay.values()) counts.set(tenant, (counts.get(tenant) ?? 0) + 1)
  return [...counts].filter(([, count]) => count >= OF_TENANT_MAX).map(([tenant]) => tenant)
}

/** Goes on with the next event of the receiver until one fails; gives how many were tried. */
async function deliverInTurn(first: DueEvent, parts: DeliveryParts, signal?: AbortSignal): Promise<number> {
  let event: DueEvent | undefined = first
  let tried = 0
  while (event !== undefined) {
    tried++
    const cause = await deliver(event, parts)
    if (cause !== undefined) {
      parts.onFault(new URL(event.url).host, cause)
      await parts.outbox.retry(event.id, Math.min(2 ** event.attempts, RETRY_SECONDS_MAX))
      break
    }
    await parts.outbox.delivered(event.id)
    const goesOn: boolean = tried < IN_TURN_MAX && signal?.aborted !== true
    event = goesOn ? await parts.outbox.next(event.receiver) : undefined
  }
  return tried
}

/** Undefined when it arrived, else why not. */
async function deliver(event: DueEvent, parts: DeliveryParts): Promise<string | undefined> {
  const { tenant, url, audience, privateNetwork, token, issuedAt, subject, events } = event
  try {
    const about = { aud: audience, jti: token, iat: issuedAt, sub_id: subject, events }
    const body = await parts.sign({ iss: parts.issuerOf(tenant), ...about })
    const headers = {
      'content-type': 'application/secevent+jwt',
      accept: 'application/json',
      ...(await authorizationOf(event, parts)),
    }
    const { status } = await parts.send({ url, method: 'POST', headers, body, privateNetwork })
    return status >= 200 && status < 300 ? undefined : `it answered ${status}`
  } catch (error) {
    return error instanceof Error ? error.message : 'unknown fault'
  }
}

async function authorizationOf(
  { tenant, url, authorization }: DueEvent,
  { openAuthorization }: DeliveryParts,
): Promise<{ readonly authorization?: string }> {
  if (authorization === undefined) return {}
  const opened = await openAuthorization(tenant, url, authorization)
  if (opened === undefined)
    throw new Error('its authorization header can not be opened with the keys of this server')
  return { authorization: opened }
}
