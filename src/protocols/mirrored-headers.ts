import { failed, type Result, success } from '#lib/result.ts'
import type { Stop } from '#model/identity.ts'
import { REASONS } from '#model/reasons.ts'
import type { Json, JsonObject } from '#model/value.ts'

/** Headers of a call, name in lower case and value, in order. */
export type Headers = readonly (readonly [string, string])[]

/** What MCP clients since 2026-07-28 repeat of the body in headers. */
export interface MirroredHeaders {
  readonly version: string | undefined
  readonly method: string | undefined
  readonly name: string | undefined
  /** `Mcp-Param-*` by the rest of the name. */
  readonly parameters: ReadonlyMap<string, string>
}

const SENTINEL = /^=\?base64\?([A-Za-z0-9+/]*={0,2})\?=$/i
const PARAMETER = 'mcp-param-'
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Reads the `Mcp-*` headers (MCP 2026-07-28, Streamable HTTP), values decoded where they are `=?base64?...?=`.
 *
 * INVARIANT: none may occur twice, under an alias with `_`, or joined; a server could take the other one.
 */
export function readMirroredHeaders(headers: Headers): Result<MirroredHeaders, Stop> {
  const found = new Map<string, string>()
  for (const [name, value] of headers) {
    const canonical = name.replaceAll('_', '-')
    if (!canonical.startsWith('mcp-')) continue
    if (canonical !== name || found.has(name)) return mismatch('a header occurs twice or under an alias')
    const decoded = decode(value.trim())
    if (decoded === undefined) return mismatch('a header is not readable')
    found.set(name, decoded)
  }
  const parameters = [...found].filter(([name]) => name.startsWith(PARAMETER))
  return success({
    version: found.get('mcp-protocol-version'),
    method: found.get('mcp-method'),
    name: found.get('mcp-name'),
    parameters: new Map(parameters.map(([name, value]) => [name.slice(PARAMETER.length), value])),
  })
}

/** A parameter header must say what the argument of the same name says; numbers are compared as numbers. */
export function contradicts(mirrored: MirroredHeaders, input: JsonObject): boolean {
  if (mirrored.parameters.size === 0) return false
  return Object.entries(input).some(([name, value]) => {
    const told = mirrored.parameters.get(name.toLowerCase())
    return told !== undefined && !sameText(told, value)
  })
}

function sameText(told: string, value: Json | undefined): boolean {
  if (typeof value === 'number') return told.trim() !== '' && Number(told) === value
  return typeof value === 'string' || typeof value === 'boolean' ? told === String(value) : false
}

function decode(value: string): string | undefined {
  if (!value.startsWith('=?')) return value
  const text = SENTINEL.exec(value)?.[1]
  if (text === undefined) return undefined
  const bytes = Buffer.from(text, 'base64')
  // Only the canonical spelling: another one could be decoded differently.
  if (bytes.toString('base64') !== text) return undefined
  try {
    return strict.decode(bytes)
  } catch {
    return undefined
  }
}

/** Headers and body that do not say the same (MCP error -32020). */
export function mismatch(detail: string): Result<never, Stop> {
  return failed({ code: 'mcp.header_mismatch', message: `${REASONS['mcp.header_mismatch']}: ${detail}` })
}
