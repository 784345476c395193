import { isIP } from 'node:net'
import { mayReach } from '#identity/addresses.ts'
import { isLoopbackHost } from '#identity/loopback.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { NewSettings, Receiver } from './outgoing.ts'
import { invalidStream, type Refusal } from './refusal.ts'

/** RFC 8935 and RFC 8936, as streams name them. */
export const DELIVERY_METHODS = { push: 'urn:ietf:rfc:8935', poll: 'urn:ietf:rfc:8936' } as const

const URL_TEXT = /^[\x21-\x7e]{1,2000}$/
const AUTHORIZATION = /^[\x21-\x7e](?:[\x20-\x7e]{0,4094}[\x21-\x7e])?$/
const URI = /^[\x21-\x7e]{1,500}$/

/** `delivery` of a stream, as its receiver writes it (SSF 6.1). */
export interface Delivery {
  readonly method: string
  readonly endpoint_url?: string | null | undefined
  readonly authorization_header?: string | null | undefined
}

/** How events are to be delivered; undefined when the request does not say. */
export function parseDelivery(
  delivery: Delivery | undefined,
  { privateNetwork, origin }: Pick<Receiver, 'privateNetwork' | 'origin'>,
): Result<Pick<NewSettings, 'url' | 'authorization'> | undefined, Refusal> {
  if (delivery === undefined) return success(undefined)
  const { method, endpoint_url: url, authorization_header: authorization } = delivery
  if (method === DELIVERY_METHODS.poll) return success({ url: undefined, authorization: undefined })
  if (method !== DELIVERY_METHODS.push)
    return failed(
      invalidStream(`\`delivery.method\` is \`${DELIVERY_METHODS.push}\` or \`${DELIVERY_METHODS.poll}\``),
    )
  if (url === undefined || url === null)
    return failed(invalidStream('`delivery.endpoint_url` must be the URL that events are pushed to'))
  const objection = objectionTo(url, privateNetwork)
  if (objection !== undefined) return failed(invalidStream(`\`delivery.endpoint_url\` ${objection}`))
  // INVARIANT: who let the receiver into a private network let it to this origin, and nobody else takes it to another.
  if (origin !== undefined && new URL(url).origin !== origin)
    return failed(
      invalidStream('`delivery.endpoint_url` must keep the origin that the receiver was added with'),
    )
  if (authorization === undefined || authorization === null) return success({ url, authorization: undefined })
  return AUTHORIZATION.test(authorization)
    ? success({ url, authorization })
    : failed(
        invalidStream('`delivery.authorization_header` must be one header value of at most 4,096 characters'),
      )
}

/**
 * Why events may not be pushed to `url`; undefined: they may, as far as the URL tells.
 *
 * INVARIANT: this is for the receiver to hear of early. Where the URL leads is checked each time that something is sent
 * (identity/outbound.ts), so a name that leads elsewhere tomorrow gains nothing.
 */
export function objectionTo(url: string, privateNetwork: boolean): string | undefined {
  const parsed = URL_TEXT.test(url) ? URL.parse(url) : null
  if (parsed === null) return 'must be a URL of at most 2,000 characters'
  const { protocol, hostname, username, password, hash } = parsed
  if (username !== '' || password !== '') return 'must not hold credentials; send `authorization_header`'
  if (hash !== '') return 'must not have a fragment'
  const isLocal = protocol === 'http:' && privateNetwork && isLoopbackHost(hostname)
  if (protocol !== 'https:' && !isLocal) return 'must be https'
  const host = hostname.replaceAll(/^\[|\]$/g, '')
  const leadsInside =
    (isIP(host) !== 0 && !mayReach(host, privateNetwork)) || (isLoopbackHost(hostname) && !privateNetwork)
  return leadsInside ? 'leads into a network that is not public' : undefined
}

/** What a receiver asks for, without what can't be the name of an event (SSF 8.1.1). */
export function requestedEvents(events: readonly string[]): readonly string[] {
  return [...new Set(events.filter((event) => URI.test(event)))]
}
