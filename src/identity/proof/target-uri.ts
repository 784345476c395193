import { stop } from '#identity/stop.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { GatewaySettings } from '#model/gateway.ts'
import type { Stop } from '#model/identity.ts'
import type { HttpCall } from '#model/request.ts'

const NOT_PLAIN = /[^\x21-\x7e]|[\\?#]/
const ABSOLUTE = /^https?:\/\/[^/@]+(?:\/|$)/i
const UNRESERVED = /[A-Za-z0-9._~-]/

/**
 * An absolute URI without query, so spelt that equal ones are equal texts (RFC 3986 sections 6.2.2 and 6.2.3): scheme and host in
 * lower case, no default port, no dot segments, percent-encoding in upper case and only where it is needed. A trailing slash
 * and the case of the path count.
 *
 * @returns undefined for anything that readers could understand in two ways: user information, a backslash, blanks, control and
 *   non-ASCII characters, a query or a fragment.
 */
export function normalizeUri(raw: string): string | undefined {
  if (NOT_PLAIN.test(raw) || !ABSOLUTE.test(raw) || !URL.canParse(raw)) return undefined
  const { protocol, host, pathname } = new URL(raw)
  return `${protocol}//${host}${normalizePath(pathname)}`
}

function normalizePath(path: string): string {
  return path.replace(/%([0-9a-f]{2})/gi, (escaped, hex: string) => {
    const character = String.fromCharCode(Number.parseInt(hex, 16))
    return UNRESERVED.test(character) ? character : escaped.toUpperCase()
  })
}

/** Where a gateway is reached from outside. */
interface Reach {
  /** Scheme with `//`. */
  readonly scheme: string
  /** Hosts with their port unless it is the scheme's own; the first is that of the external URL. */
  readonly hosts: readonly string[]
  /** Path before every path that the gateway tells; without a slash at the end. */
  readonly prefix: string
}

const REACH = new WeakMap<GatewaySettings, Reach | undefined>()

/**
 * The URIs that `call` can have for the client, normalised, without query: one, or one for each registered host where the gateway
 * does not tell the host.
 *
 * INVARIANT: the authority is the gateway's registration. A host that the request names can only choose among the registered
 * ones (RFC 9449 section 4.3; draft-ietf-wimse-wpt, security considerations).
 */
export function targetUris(
  settings: GatewaySettings | undefined,
  call: HttpCall | undefined,
): Result<readonly string[], Stop> {
  const reach = settings && reachOf(settings)
  if (reach === undefined) return failed(stop('pop.gateway', 'the gateway has no external URL'))
  if (call === undefined) return failed(stop('pop.request', 'the gateway does not tell method and path'))
  const { scheme, hosts, prefix } = reach
  const told = call.host === undefined ? undefined : hostOf(scheme, call.host)
  if (call.host !== undefined && (told === undefined || !hosts.includes(told)))
    return failed(stop('pop.gateway', 'the host of the call is not one that the gateway is registered with'))
  const path = normalizePath(prefix + call.path)
  return success((told === undefined ? hosts : [told]).map((host) => `${scheme}${host}${path}`))
}

function reachOf(settings: GatewaySettings): Reach | undefined {
  if (REACH.has(settings)) return REACH.get(settings)
  const reach = readReach(settings)
  REACH.set(settings, reach)
  return reach
}

function readReach({ externalUrl, externalHosts = [] }: GatewaySettings): Reach | undefined {
  if (externalUrl === undefined || !URL.canParse(externalUrl)) return undefined
  const { protocol, host, pathname } = new URL(externalUrl)
  if (protocol !== 'https:' && protocol !== 'http:') return undefined
  const scheme = `${protocol}//`
  const more = externalHosts.flatMap((each) => hostOf(scheme, each) ?? [])
  return { scheme, hosts: [...new Set([host, ...more])], prefix: pathname.replace(/\/+$/, '') }
}

/** A host as a URL spells it; undefined when it is more or less than a host. */
function hostOf(scheme: string, host: string): string | undefined {
  if (!/^[A-Za-z0-9.:_[\]-]+$/.test(host) || !URL.canParse(`${scheme}${host}`)) return undefined
  return new URL(`${scheme}${host}`).host
}
