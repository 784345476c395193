import type { StoredEntity } from '#model/registry.ts'

/** Protocols that a registered server can speak behind its endpoints. */
export type ServerProtocol = 'mcp' | 'a2a'

/** A server, and what follows its endpoint in the path. */
export interface ServerMatch {
  readonly server: string
  readonly protocol: ServerProtocol
  /** With a leading slash; empty for the endpoint itself. */
  readonly rest: string
}

/** Servers by endpoint, in the form that paths are compared in. */
export type EndpointTable = ReadonlyMap<string, Served>

interface Served {
  readonly server: string
  readonly protocol: ServerProtocol
}

const ENDPOINT = /^(?:\/[A-Za-z0-9._~!$&'()*+,=:@-]+)+$/

/** What is wrong with an endpoint, or undefined. */
export function endpointFault(value: unknown): string | undefined {
  return typeof value === 'string' && ENDPOINT.test(value) && !/\/\.{1,2}(?:\/|$)/.test(value)
    ? undefined
    : 'must be a path such as `/mcp`, without `/` at the end, escapes or parameters'
}

/**
 * The endpoints of all `servers` (attributes `endpoint`, one path or several, and `protocol`). Two servers at one endpoint
 * leave it to neither: its protocol then has no server, and every call to it is refused.
 */
export function endpointTable(servers: readonly StoredEntity[]): EndpointTable {
  const table = new Map<string, Served>()
  for (const { uid, attrs } of servers) {
    const { protocol, endpoint } = attrs
    if (protocol !== 'mcp' && protocol !== 'a2a') continue
    for (const path of Array.isArray(endpoint) ? endpoint : [endpoint])
      if (endpointFault(path) === undefined) claim(table, String(path), { server: uid.id, protocol })
  }
  return table
}

function claim(table: Map<string, Served>, path: string, served: Served): void {
  const key = comparable(path)
  const present = table.get(key)
  const isShared = present !== undefined && present.server !== served.server
  table.set(key, isShared ? { ...served, server: '' } : served)
}

/**
 * The server whose endpoint `path` is, or below which it lies where the protocol has paths of its own (A2A).
 *
 * INVARIANT: paths that some server would take for the endpoint match: case, escapes, a slash at the end and `;` parameters are
 * ignored. To match means to be read strictly, so matching too much denies.
 */
export function matchEndpoint(table: EndpointTable, path: string): ServerMatch | undefined {
  if (table.size === 0) return undefined
  const plain = path.replace(/;[^/]*/g, '').replace(/\/+$/, '')
  const exact = table.get(comparable(plain))
  if (exact !== undefined) return { ...exact, rest: '' }
  for (let end = plain.lastIndexOf('/'); end > 0; end = plain.lastIndexOf('/', end - 1)) {
    const found = table.get(comparable(plain.slice(0, end)))
    if (found?.protocol === 'a2a') return { ...found, rest: plain.slice(end) }
  }
  return undefined
}

function comparable(path: string): string {
  return path
    .replace(/%([2-7][0-9a-f])/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
    .toLowerCase()
    .replace(/;[^/]*/g, '')
    .replace(/[\s?#][^/]*$/, '')
    .replace(/\/+$/, '')
}
