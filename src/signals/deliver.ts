import type { SendOutbound } from '#identity/outbound.ts'
import type { SignSet } from '#identity/set-signer.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { OutgoingEvent } from './transmit.ts'

/** One event that is due, leased to this server for a while. */
export interface DueEvent extends OutgoingEvent {
  readonly id: number
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
  /** Up to `limit` events that are due; nobody else gets them for half a minute. */
  lease(limit: number): Promise<readonly DueEvent[]>
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

const AT_ONCE = 16
const RETRY_SECONDS_MAX = 3_600

/**
 * Delivers what is due by RFC 8935; gives how many events were leased. Any answer but a 2xx is tried again, later each time
 * up to an hour; the caller of `lease` gives up after a number of attempts.
 */
export async function deliverDue(parts: DeliveryParts): Promise<number> {
  const due = await parts.outbox.lease(AT_ONCE)
  await Promise.all(
    due.map(async (event) => {
      const cause = await deliver(event, parts)
      if (cause === undefined) return await parts.outbox.delivered(event.id)
      parts.onFault(new URL(event.url).host, cause)
      await parts.outbox.retry(event.id, Math.min(2 ** event.attempts, RETRY_SECONDS_MAX))
    }),
  )
  return due.length
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
