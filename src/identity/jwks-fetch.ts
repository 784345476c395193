import type { Issuer } from '#model/issuer.ts'
import { type SendOutbound, sendOutbound } from './outbound.ts'

/** Fetches the JWKS document of an issuer with remote keys; rejects on anything but a 200 with JSON of acceptable size. */
export type FetchJwks = (issuer: Issuer, signal: AbortSignal) => Promise<unknown>

/**
 * A fetcher of key sets: https only, no redirects, at most 64 KiB, at most 5 seconds for each document, public networks only
 * unless the issuer says otherwise. With discovery the metadata must name exactly this issuer (RFC 8414 section 3.3).
 */
export function createFetchJwks(send: SendOutbound = sendOutbound): FetchJwks {
  async function load(issuer: Issuer, url: string, signal: AbortSignal, what: string): Promise<unknown> {
    const headers = { accept: 'application/jwk-set+json, application/json' }
    const answer = await send({ url, headers, privateNetwork: issuer.privateNetwork === true, signal })
    if (answer.status !== 200) throw new Error(`the ${what} URL answered ${answer.status}`)
    return JSON.parse(answer.body)
  }
  return async (issuer, signal) => {
    if (issuer.keys.kind !== 'remote') throw new Error('the issuer has no JWKS URL')
    const { url, discovered } = issuer.keys
    if (discovered !== true) return await load(issuer, url, signal, 'JWKS')
    const metadata = await load(issuer, url, signal, 'metadata')
    return await load(issuer, jwksUrlIn(metadata, issuer.issuer), signal, 'JWKS')
  }
}

/** INVARIANT: metadata of another issuer, or of one that is spelled differently, names no keys of ours. */
function jwksUrlIn(metadata: unknown, issuer: string): string {
  const { issuer: named, jwks_uri: url } = Object(metadata) as { issuer?: unknown; jwks_uri?: unknown }
  if (named !== issuer) throw new Error('the metadata is that of another issuer')
  if (typeof url !== 'string') throw new Error('the metadata names no `jwks_uri`')
  return url
}
