import { failed, type Result, success } from '#lib/result.ts'
import type { Stop } from '#model/identity.ts'
import type { JsonObject } from '#model/value.ts'
import { stop } from './stop.ts'
import { parseStrictObject } from './strict-json.ts'

/** A JWT taken apart and checked for form only: nothing in it is verified yet. */
export interface ParsedJwt {
  readonly text: string
  readonly alg: string
  /** Lower case, without `application/`; empty when the header has none. */
  readonly typ: string
  readonly kid: string | undefined
  /** Undefined when there is no `iss`, which only SPIFFE allows. */
  readonly issuer: string | undefined
  readonly header: JsonObject
  readonly payload: JsonObject
}

const JWT_CHARACTERS_MAX = 16_384
const JWT_SHAPE = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/
const HEADER_MEMBERS = new Set(['alg', 'typ', 'kid', 'cty', 'x5t', 'x5t#S256'])
const KID_SHAPE = /^[^\p{Cc}]{1,256}$/u
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * Takes a JWS compact JWT apart, stricter than RFC 7519 where libraries are known to disagree: at most 16,384
 * characters, exactly three canonical base64url segments (so that one token has one spelling), fatal UTF-8, no
 * duplicate members, and a header of known members only (no `jwk`, `jku`, `x5u`, `x5c`, `crit`, `b64`, `zip`).
 *
 * @param charactersMax default 16,384
 * @returns the first rule that failed as `token.malformed`.
 * @see RFC 8725 section 3, RFC 7515 section 4.1
 */
export function parseJwt(text: string, charactersMax = JWT_CHARACTERS_MAX): Result<ParsedJwt, Stop> {
  if (text.length > charactersMax)
    return malformed(`longer than ${charactersMax.toLocaleString('en')} characters`)
  const [, head, body, signature] = JWT_SHAPE.exec(text) ?? []
  if (head === undefined || body === undefined || signature === undefined)
    return malformed('not three base64url segments')
  if (decode(signature) === undefined) return malformed('the signature is not canonical base64url')
  const header = parseSegment(head)
  if (header === undefined) return malformed('the header is not a strict JSON object')
  const payload = parseSegment(body)
  if (payload === undefined) return malformed('the payload is not a strict JSON object')
  return judgeHeader(text, header, payload)
}

function judgeHeader(text: string, header: JsonObject, payload: JsonObject): Result<ParsedJwt, Stop> {
  if (Object.keys(header).some((name) => !HEADER_MEMBERS.has(name)))
    return malformed('the header has a member that is not allowed')
  const { alg, kid, typ } = header
  const issuer = payload['iss']
  if (typeof alg !== 'string') return malformed('`alg` is not a string')
  if (typ !== undefined && typeof typ !== 'string') return malformed('`typ` is not a string')
  if (kid !== undefined && (typeof kid !== 'string' || !KID_SHAPE.test(kid)))
    return malformed('`kid` is not a string of 1 to 256 printable characters')
  if (issuer !== undefined && typeof issuer !== 'string') return failed(stop('token.claim_invalid', '`iss`'))
  return success({ text, alg, typ: normalizeType(typ ?? ''), kid, issuer, header, payload })
}

/** A `typ` value as it is compared: lower case, without the prefix `application/` (RFC 7515 section 4.1.9). */
export function normalizeType(type: string): string {
  const lower = type.toLowerCase()
  return lower.startsWith('application/') ? lower.slice('application/'.length) : lower
}

function parseSegment(segment: string): JsonObject | undefined {
  const bytes = decode(segment)
  if (bytes === undefined) return undefined
  try {
    return parseStrictObject(utf8.decode(bytes))
  } catch {
    return undefined
  }
}

/** Undefined unless `segment` is the one canonical spelling of its bytes. */
function decode(segment: string): Uint8Array | undefined {
  const bytes = Buffer.from(segment, 'base64url')
  return bytes.toString('base64url') === segment ? bytes : undefined
}

function malformed(detail: string): { readonly ok: false; readonly failure: Stop } {
  return failed(stop('token.malformed', detail))
}
