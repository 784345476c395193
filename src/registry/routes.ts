import type { StoredEntity } from '#model/registry.ts'
import type { JsonObject } from '#model/value.ts'

/** Method of a pattern that answers for all methods. */
const ANY_METHOD = '*'

/** A parsed pattern such as `GET /repos/{owner}/issues`: one segment each, `*` only at the end. */
export interface RoutePattern {
  readonly method: string
  readonly segments: readonly RouteSegment[]
  /** Whether a final `*` takes any rest of the path behind the slash. */
  readonly open: boolean
}

/** A segment of a pattern: fixed text, or a parameter that takes exactly one segment. */
export type RouteSegment = { readonly text: string } | { readonly parameter: string }

/** What answers for one method at the end of a pattern. */
interface Leaf {
  readonly tool: string
  readonly parameters: readonly string[]
  /** Another tool has a pattern of the same shape. */
  ambiguous: boolean
}

/** Patterns as a tree of segments, so that a lookup costs what the path is long, not what is registered. */
export interface RouteTable {
  readonly texts: Map<string, RouteTable>
  parameter: RouteTable | undefined
  /** Leaves by method: of patterns that end here, and of those that take any rest. */
  readonly closed: Map<string, Leaf>
  readonly open: Map<string, Leaf>
}

const PATTERN = /^([A-Z]+|\*) (\/\S*)$/
const PARAMETER = /^\{([A-Za-z_][A-Za-z0-9_]{0,63})\}$/

/** The pattern that `text` spells, or what is wrong with it. */
export function parseRoute(text: string): RoutePattern | { readonly wrong: string } {
  const match = PATTERN.exec(text)
  if (match === null)
    return { wrong: 'must be a method (or `*`), one space and a path, for example `GET /repos/{id}`' }
  const parts = (match[2] ?? '').split('/').slice(1)
  const open = parts.at(-1) === '*'
  if (open) parts.pop()
  const segments: RouteSegment[] = []
  const names = new Set<string>()
  for (const part of parts) {
    const name = PARAMETER.exec(part)?.[1]
    if (name === undefined && /[{}*?#%\\]/.test(part)) {
      return {
        wrong: `has the segment \`${part}\`; a segment is fixed text, \`{name}\`, or \`*\` at the end`,
      }
    }
    if (name !== undefined && names.has(name)) return { wrong: `names the parameter \`${name}\` twice` }
    if (name !== undefined) names.add(name)
    segments.push(name === undefined ? { text: part } : { parameter: name })
  }
  return { method: match[1] ?? '', segments, open }
}

/** The routes of all `entities` (attribute `route`: one pattern or several). Patterns that can't be read match nothing. */
export function routeTable(entities: readonly StoredEntity[]): RouteTable {
  const table = emptyTable()
  for (const entity of entities) {
    const route = entity.attrs['route']
    for (const text of Array.isArray(route) ? route : [route]) {
      const pattern = typeof text === 'string' ? parseRoute(text) : undefined
      if (pattern !== undefined && !('wrong' in pattern)) insert(table, pattern, entity.uid.id)
    }
  }
  return table
}

function emptyTable(): RouteTable {
  return { texts: new Map(), parameter: undefined, closed: new Map(), open: new Map() }
}

function insert(table: RouteTable, pattern: RoutePattern, tool: string): void {
  let node = table
  const parameters: string[] = []
  for (const segment of pattern.segments) {
    if ('text' in segment) {
      const next = node.texts.get(segment.text) ?? emptyTable()
      node.texts.set(segment.text, next)
      node = next
    } else {
      parameters.push(segment.parameter)
      node.parameter ??= emptyTable()
      node = node.parameter
    }
  }
  const leaves = pattern.open ? node.open : node.closed
  const present = leaves.get(pattern.method)
  if (present === undefined) leaves.set(pattern.method, { tool, parameters, ambiguous: false })
  else if (present.tool !== tool) present.ambiguous = true
}

/**
 * The tool whose most specific pattern matches: segment by segment from the left fixed text beats a parameter and a
 * parameter beats the open end; then the exact method beats `*`. Undefined when nothing matches, when two tools match
 * equally, or when the path holds something that an upstream could read in another way (dot segments, empty segments,
 * backslashes, encoded slashes, dots or control characters).
 */
export function matchRoute(
  table: RouteTable,
  method: string,
  path: string,
): { readonly tool: string; readonly parameters: JsonObject } | undefined {
  const segments = pathSegments(path)
  if (segments === undefined) return undefined
  const taken: string[] = []
  const leaf = findLeaf(table, method, segments, taken)
  if (leaf === undefined || leaf.ambiguous) return undefined
  return {
    tool: leaf.tool,
    parameters: Object.fromEntries(leaf.parameters.map((name, i) => [name, taken[i] ?? ''])),
  }
}

/** Depth first in the order of specificity; `taken` holds the text of the parameters on the way to the leaf. */
function findLeaf(
  node: RouteTable,
  method: string,
  segments: readonly string[],
  taken: string[],
  depth = 0,
): Leaf | undefined {
  const segment = segments[depth]
  if (segment === undefined) return node.closed.get(method) ?? node.closed.get(ANY_METHOD)
  const text = node.texts.get(segment)
  const fixed = text && findLeaf(text, method, segments, taken, depth + 1)
  if (fixed !== undefined) return fixed
  if (node.parameter !== undefined && segment !== '') {
    taken.push(segment)
    const captured = findLeaf(node.parameter, method, segments, taken, depth + 1)
    if (captured !== undefined) return captured
    taken.pop()
  }
  return node.open.get(method) ?? node.open.get(ANY_METHOD)
}

/** Decoded segments, or undefined when the path is not in a form that everyone reads alike. */
function pathSegments(path: string): readonly string[] | undefined {
  if (!path.startsWith('/')) return undefined
  const raw = path.slice(1).split('/')
  const segments: string[] = []
  for (const [i, part] of raw.entries()) {
    const segment = decodeSegment(part)
    const last = i === raw.length - 1
    if (segment === undefined || (segment === '' && !last)) return undefined
    segments.push(segment)
  }
  return segments
}

/** Characters of a path segment that no server reads in a special way (RFC 3986 `pchar` without `;` and `%`). */
const PLAIN = /^[A-Za-z0-9\-._~!$&'()*+,=:@]*$/

/** Decoded characters that could change how the path is read further up: separators, dots, percent, controls. */
const UNSAFE = /[/\\.;?#%\p{Cc}]/u

function decodeSegment(part: string): string | undefined {
  if (part === '.' || part === '..') return undefined
  if (PLAIN.test(part)) return part
  const pieces = part.split(/((?:%[0-9A-Fa-f]{2})+)/)
  let decoded = ''
  for (const [i, piece] of pieces.entries()) {
    const text = i % 2 === 1 ? decodeEscapes(piece) : PLAIN.test(piece) ? piece : undefined
    if (text === undefined) return undefined
    decoded += text
  }
  return decoded
}

function decodeEscapes(escapes: string): string | undefined {
  try {
    const text = decodeURIComponent(escapes)
    return UNSAFE.test(text) ? undefined : text
  } catch {
    // Not UTF-8: nobody can say which characters are meant.
    return undefined
  }
}
