import { parseStrictObject } from '#identity/strict-json.ts'
import type { JsonObject } from '#model/value.ts'

/** A JWS in compact form taken apart; nothing in it is verified. */
export interface CompactJws {
  readonly header: JsonObject
  readonly payload: JsonObject
  /** What was signed: the first two segments with their dot. */
  readonly signingInput: string
  readonly signature: Uint8Array
}

const CHARACTERS_MAX = 8_192
const SHAPE = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Takes a JWS apart: at most 8,192 characters, exactly three canonical base64url segments, strict JSON objects (no duplicate
 * members) in header and payload. A comma, as proxies join repeated headers with, is no such character.
 *
 * @param members the header members that may be there; any other (`crit`, `jku`, `x5u`, `b64`, ...) refuses the whole
 */
export function parseCompactJws(text: string, members: ReadonlySet<string>): CompactJws | undefined {
  if (text.length > CHARACTERS_MAX) return undefined
  const [, head, body, tail] = SHAPE.exec(text) ?? []
  if (head === undefined || body === undefined || tail === undefined) return undefined
  const signature = decodeBase64url(tail)
  const header = parseSegment(head)
  const payload = parseSegment(body)
  if (signature === undefined || header === undefined || payload === undefined) return undefined
  for (const name of Object.keys(header)) if (!members.has(name)) return undefined
  return { header, payload, signingInput: text.slice(0, head.length + 1 + body.length), signature }
}

/** The bytes of `text`, or undefined unless it is their one canonical spelling. */
export function decodeBase64url(text: string): Uint8Array | undefined {
  const bytes = Buffer.from(text, 'base64url')
  return bytes.toString('base64url') === text ? bytes : undefined
}

function parseSegment(segment: string): JsonObject | undefined {
  const bytes = decodeBase64url(segment)
  if (bytes === undefined) return undefined
  try {
    return parseStrictObject(utf8.decode(bytes))
  } catch {
    return undefined
  }
}
