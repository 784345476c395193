import { hash } from 'node:crypto'
import type { Gateway } from '#model/gateway.ts'

/**
 * The gateway whose key has this SHA-256 (lower-case hex), or whose client certificate has it with `x509-sha256:` before it,
 * and that is not revoked.
 */
export type FindGateway = (keyHash: string) => Gateway | undefined

/** Where a gateway's key may stand beside the path (`/g/KEY/...`, everywhere). */
export type KeySource = 'bearer' | 'header'

/** A request target taken apart: the key of a `/g/KEY` prefix and the rest, both exactly as sent. */
export interface KeyedTarget {
  readonly key: string | undefined
  readonly rawUrl: string
}

const KEY = /^[\x21-\x7e]{16,256}$/
const BEARER = /^bearer +([\x21-\x7e]+)$/i

/** Splits `/g/KEY/rest` into key and `/rest`; any other target has no key. Nothing is decoded or normalised. */
export function splitTarget(target: string): KeyedTarget {
  if (!target.startsWith('/g/')) return { key: undefined, rawUrl: target }
  const end = target.indexOf('/', 3)
  if (end < 0) return { key: target.slice(3), rawUrl: '/' }
  return { key: target.slice(3, end), rawUrl: target.slice(end) }
}

/** What a request presents to prove its gateway: hashed once, looked up as often as it has to hold. */
export interface Presented {
  /** SHA-256 (lower-case hex) of the key. */
  readonly keyHash: string | undefined
  /** SHA-256 (lower-case hex) of the client certificate of the connection, verified. */
  readonly certificate: string | undefined
}

/**
 * What a request presents; undefined when it is no proof of anything.
 *
 * INVARIANT: a request with two headers or two different keys proves nothing.
 *
 * @param certificate as in `Presented`
 */
export function presentedBy(
  pathKey: string | undefined,
  rawHeaders: readonly string[],
  source: KeySource,
  certificate?: string,
): Presented | undefined {
  const values = valuesOf(rawHeaders, source === 'bearer' ? 'authorization' : 'x-warder-gateway-key')
  if (values.length > 1) return undefined
  let key = pathKey
  if (values[0] !== undefined) {
    const given = source === 'bearer' ? BEARER.exec(values[0])?.[1] : values[0]
    if (given === undefined || (pathKey !== undefined && pathKey !== given)) return undefined
    key = given
  }
  if (key !== undefined && !KEY.test(key)) return undefined
  return { keyHash: key === undefined ? undefined : hash('sha256', key), certificate }
}

/**
 * The gateway that was proven and is registered now, or undefined.
 *
 * INVARIANT: keys are compared by their hash only. Whoever presents a key of another gateway than the one of the connection's
 * certificate proves nothing.
 */
export function findPresented(
  { keyHash, certificate }: Presented,
  findGateway: FindGateway,
): Gateway | undefined {
  // No key has this form when it is hashed, so nobody can present a certificate, which is public, as a key.
  const certified = certificate === undefined ? undefined : findGateway(`x509-sha256:${certificate}`)
  if (keyHash === undefined) return certified
  const keyed = findGateway(keyHash)
  return certified === undefined || certified.id === keyed?.id ? keyed : undefined
}

/** The gateway that a request proves to be, or undefined: `presentedBy` and `findPresented` in one. */
export function authenticateGateway(
  pathKey: string | undefined,
  rawHeaders: readonly string[],
  source: KeySource,
  findGateway: FindGateway,
  certificate?: string,
): Gateway | undefined {
  const presented = presentedBy(pathKey, rawHeaders, source, certificate)
  return presented && findPresented(presented, findGateway)
}

function valuesOf(rawHeaders: readonly string[], name: string): readonly string[] {
  const values: string[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() === name) values.push((rawHeaders[i + 1] ?? '').trim())
  }
  return values
}
