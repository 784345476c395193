import { failed, type Result, success } from '#lib/result.ts'
import { isApiKey } from '#model/api-key.ts'
import type { Credential, Malformed } from '#model/request.ts'
import { isProofHeader } from './proof-headers.ts'

/** Headers by lower-case name with every value in order; made from the raw list so that no duplicate is lost. */
export type HeaderMap = ReadonlyMap<string, readonly string[]>

/** The claims about identity that a gateway may pass on in headers. */
export const IDENTITY_HEADERS: readonly string[] = [
  'x-warder-agent',
  'x-warder-user',
  'x-warder-tenant',
  'x-warder-subject',
]

/** Every name with our prefix that may come in: claims, the key, and names that every answer overwrites. */
const KNOWN_HEADERS: ReadonlySet<string> = new Set([
  ...IDENTITY_HEADERS,
  'x-warder-gateway-key',
  'x-warder-obligations',
  'x-warder-authorization',
  'x-warder-reason',
])

const REQUEST_ID = /^[\x21-\x7e]{1,128}$/
const TRACEPARENT = /^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/
const AUTHORIZATION = /^([A-Za-z][A-Za-z0-9-]{0,31}) +([\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?)$/

/** Every header of a raw list (name, value, name, value, ...). Names with `_` keep it: they are other headers. */
export function headerMap(rawHeaders: readonly string[]): HeaderMap {
  const map = new Map<string, string[]>()
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase()
    const value = rawHeaders[i + 1] ?? ''
    const values = map.get(name)
    if (values === undefined) map.set(name, [value])
    else values.push(value)
  }
  return map
}

/** The value of a header that occurs exactly once; undefined when it is absent or repeated. `name` in lower case. */
export function onlyValue(rawHeaders: readonly string[], name: string): string | undefined {
  let found: string | undefined
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const candidate = rawHeaders[i] ?? ''
    if (candidate.length !== name.length || candidate.toLowerCase() !== name) continue
    if (found !== undefined) return undefined
    found = rawHeaders[i + 1]
  }
  return found
}

/** Whether any `Content-Encoding` says that the body is not what it looks like. */
export function isEncoded(rawHeaders: readonly string[]): boolean {
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    if (rawHeaders[i]?.toLowerCase() !== 'content-encoding') continue
    if (rawHeaders[i + 1]?.trim().toLowerCase() !== 'identity') return true
  }
  return false
}

/** The gateway's `X-Request-ID`: 1 to 128 printable characters, else it counts as absent. */
export function requestIdOf(rawHeaders: readonly string[]): string | undefined {
  const value = onlyValue(rawHeaders, 'x-request-id')
  return value !== undefined && REQUEST_ID.test(value) ? value : undefined
}

/** The W3C `traceparent`, or undefined when it is absent or not well-formed. */
export function traceparentOf(rawHeaders: readonly string[]): string | undefined {
  const value = onlyValue(rawHeaders, 'traceparent')
  return value !== undefined && TRACEPARENT.test(value) ? value : undefined
}

/**
 * Refuses headers that two readers could understand differently: more than one `Authorization`, more than one of any
 * `X-Warder-*`, names with that prefix that are none of ours (gateways can't remove them by pattern), and names that become
 * one of ours when a server turns `_` into `-`.
 */
export function checkHeaders(headers: HeaderMap): Malformed | undefined {
  for (const [name, values] of headers) {
    const canonical = name.replaceAll('_', '-')
    const isOurs =
      canonical.startsWith('x-warder-') || canonical.startsWith('x-forwarded-') || isProofHeader(canonical)
    if (isOurs && canonical !== name) return conflict(`a header is an alias of \`${shownName(canonical)}\``)
    if (name.startsWith('x-warder-') && !KNOWN_HEADERS.has(name))
      return conflict(`\`${shownName(name)}\` is no header of Warder's, and nobody else may use the prefix`)
    const isSingle = name === 'authorization' || name.startsWith('x-warder-')
    if (isSingle && values.length > 1)
      return conflict(`the header \`${shownName(name)}\` occurs more than once`)
  }
  return undefined
}

/** Headers by which frameworks let a client change the method, and the target, of the request that they run. */
const METHOD_OVERRIDES = new Set(['x-http-method-override', 'x-http-method', 'x-method-override'])
const TARGET_OVERRIDES = new Set(['x-rewrite-url', 'x-original-url'])

/**
 * Refuses a request that an upstream could run as another one than `method` and target say.
 *
 * @param told headers by which the gateway itself tells the original request; these may not be refused
 */
export function checkOverrides(
  headers: HeaderMap,
  method: string,
  told: readonly string[] = [],
): Malformed | undefined {
  const found = [...headers].find(([name, values]) => {
    const canonical = name.replaceAll('_', '-')
    if (METHOD_OVERRIDES.has(canonical)) return values.some((value) => value.trim().toUpperCase() !== method)
    return TARGET_OVERRIDES.has(canonical) && !told.includes(name)
  })?.[0]
  return found === undefined
    ? undefined
    : conflict(`the header \`${shownName(found)}\` can make an upstream run another request`)
}

/**
 * The credential in `Authorization`, and an API key of ours in `X-API-Key`; a key of somebody else's in that header is none of our
 * business. Two values joined by a comma (as some proxies do) are a conflict.
 */
export function credentialsOf(headers: HeaderMap): Result<readonly Credential[], Malformed> {
  const keys = (headers.get('x-api-key') ?? []).map((value) => value.trim()).filter(isApiKey)
  const found = keys.map((value): Credential => ({ scheme: 'api-key', value, header: 'x-api-key' }))
  const value = headers.get('authorization')?.[0]?.trim()
  if (value === undefined || value === '') return success(found)
  const [, scheme, token] = AUTHORIZATION.exec(value) ?? []
  // Without a scheme the whole value may be a token: it must not end up where scheme names are shown.
  if (scheme === undefined || token === undefined) return success([{ scheme: 'none', value }, ...found])
  if (/, *[A-Za-z-]+ +/.test(token) && /^(?:bearer|dpop)$/i.test(scheme))
    return failed(conflict('the header `authorization` carries more than one value'))
  return success([credential(scheme.toLowerCase(), token), ...found])
}

/** An API key is told from a token by its looks, so that the log says which of them came. */
export function credential(scheme: string, value: string): Credential {
  return { scheme: scheme === 'bearer' && isApiKey(value) ? 'api-key' : scheme, value }
}

/** Identity headers as name and value; claims, nothing more. */
export function identityHeadersOf(headers: HeaderMap): readonly (readonly [string, string])[] {
  return IDENTITY_HEADERS.flatMap((name) =>
    (headers.get(name) ?? []).map((value): readonly [string, string] => [name, value]),
  )
}

/** A malformed request because of its headers. */
export function conflict(message: string): Malformed {
  return { code: 'request.header_conflict', message }
}

function shownName(name: string): string {
  return name.replace(/[^a-z0-9-]/g, '?').slice(0, 64)
}
