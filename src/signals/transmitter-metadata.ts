import type { SendOutbound } from '#identity/outbound.ts'
import { parseStrictObject } from '#identity/strict-json.ts'
import type { JsonObject } from '#model/value.ts'
import { isCallable } from './transmitter-access.ts'

/** Where a transmitter lets its receivers manage their streams (SSF 1.0 section 7.1). Absent: it does not offer that. */
export interface Endpoints {
  readonly configuration: string
  readonly status?: string
  readonly verification?: string
  readonly addSubject?: string
  readonly removeSubject?: string
}

/** What a transmitter says of itself. */
export interface TransmitterMetadata {
  readonly endpoints: Endpoints
  /** Undefined: it does not say which delivery methods it has. */
  readonly deliveryMethods: readonly string[] | undefined
}

/** Events are pushed to the receiver (RFC 8935), or fetched by it (RFC 8936). */
export const DELIVERY = { push: 'urn:ietf:rfc:8935', poll: 'urn:ietf:rfc:8936' } as const

const WELL_KNOWN = '/.well-known/ssf-configuration'

/**
 * URL of the metadata of `issuer`: the well-known path stands between host and path, of which an ending `/` is dropped (SSF 1.0
 * section 7.2). Undefined for an issuer that has none: with a query or fragment, or not of a web server.
 */
export function metadataUrl(issuer: string): string | undefined {
  const url = URL.parse(issuer)
  if (url === null || !/^https?:$/.test(url.protocol) || /[?#@]/.test(issuer)) return undefined
  return `${url.origin}${WELL_KNOWN}${url.pathname.replace(/\/$/, '')}`
}

/**
 * Fetches what the transmitter `issuer` says of itself.
 *
 * INVARIANT: metadata of another issuer, or of one that is spelled differently, is not used (SSF 1.0 section 7.2.4).
 *
 * @throws when it can't be had, is somebody else's, or lets nobody set up a stream
 */
export async function discoverTransmitter(
  { issuer, privateNetwork }: { readonly issuer: string; readonly privateNetwork: boolean },
  send: SendOutbound,
): Promise<TransmitterMetadata> {
  const url = metadataUrl(issuer)
  if (url === undefined) throw new Error('the issuer is no URL that metadata could be found for')
  const { status, contentType, body } = await send({ url, privateNetwork })
  if (status !== 200) throw new Error(`the metadata URL answered ${status}`)
  if (contentType !== 'application/json') throw new Error('the metadata is not JSON')
  const metadata = parseStrictObject(body)
  if (metadata?.['issuer'] !== issuer) throw new Error('the metadata is that of another issuer')
  const configuration = endpointIn(metadata, 'configuration_endpoint', privateNetwork)
  if (configuration === undefined)
    throw new Error('the metadata names no `configuration_endpoint`: streams are set up by hand there')
  if (endpointIn(metadata, 'jwks_uri', privateNetwork) === undefined)
    throw new Error('the metadata names no `jwks_uri`')
  return {
    endpoints: { configuration, ...optionalEndpoints(metadata, privateNetwork) },
    deliveryMethods: textsIn(metadata['delivery_methods_supported']),
  }
}

function optionalEndpoints(metadata: JsonObject, privateNetwork: boolean): Omit<Endpoints, 'configuration'> {
  const [status, verification, addSubject, removeSubject] = [
    'status_endpoint',
    'verification_endpoint',
    'add_subject_endpoint',
    'remove_subject_endpoint',
  ].map((name) => endpointIn(metadata, name, privateNetwork))
  return {
    ...(status !== undefined && { status }),
    ...(verification !== undefined && { verification }),
    ...(addSubject !== undefined && { addSubject }),
    ...(removeSubject !== undefined && { removeSubject }),
  }
}

function endpointIn(metadata: JsonObject, name: string, privateNetwork: boolean): string | undefined {
  const value = metadata[name]
  if (value === undefined) return undefined
  if (!isCallable(value, privateNetwork))
    throw new Error(`the metadata has a \`${name}\` that is no https URL`)
  return value
}

/** The texts of a list, or of a text alone; undefined for anything else. */
export function textsIn(value: unknown): readonly string[] | undefined {
  const values: readonly unknown[] = Array.isArray(value) ? value : [value]
  const texts = values.filter((each) => typeof each === 'string')
  return texts.length === values.length && texts.length > 0 ? texts : undefined
}
