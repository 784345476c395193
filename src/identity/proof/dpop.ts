import { hash } from 'node:crypto'
import { normalizeType } from '#identity/jwt-format.ts'
import { stop } from '#identity/stop.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Stop } from '#model/identity.ts'
import type { JsonObject } from '#model/value.ts'
import { type CompactJws, parseCompactJws } from './compact-jws.ts'
import type { PublicKeys } from './public-keys.ts'
import { normalizeUri } from './target-uri.ts'

/** What a proof must prove. */
export interface DpopDemand {
  readonly now: EpochSeconds
  readonly method: string
  /** Normalised URIs, of which the proof must name one. */
  readonly uris: readonly string[]
  /** The access token as it was sent. */
  readonly token: string
  /** Thumbprint of the key that the token is bound to. */
  readonly jkt: string
}

/** A proof that holds, but for nonce and replay. */
export interface DpopProof {
  readonly thumbprint: string
  /** SHA-256 (hex) of key, method, URI and `jti`; used once. */
  readonly replayKey: string
  readonly issuedAt: EpochSeconds
  readonly nonce: string | undefined
}

/** How old a proof may be, in seconds. */
export const PROOF_AGE_SECONDS_MAX = 60
/** How far ahead of our clock a proof may be, in seconds. */
export const PROOF_AHEAD_SECONDS_MAX = 5

const HEADER_MEMBERS = new Set(['typ', 'alg', 'jwk'])
const ID_CHARACTERS_MAX = 256

/**
 * Verifies the one DPoP proof of a call against the token that it came with.
 *
 * @param headers all `DPoP` headers of the call
 * @see RFC 9449 section 4.3, whose numbers the comments name
 */
export function verifyDpop(
  headers: readonly string[],
  demand: DpopDemand,
  keys: PublicKeys,
): Result<DpopProof, Stop> {
  const [text, second] = headers
  // 1: exactly one header. Proxies join two with a comma, which no JWT contains.
  if (text === undefined) return failed(stop('pop.missing'))
  if (second !== undefined) return failed(stop('pop.proof', 'more than one proof'))
  // 2: one well-formed JWT.
  const jws = parseCompactJws(text, HEADER_MEMBERS)
  if (jws === undefined) return failed(stop('pop.proof', 'the proof is not a well-formed JWT'))
  const thumbprint = verifyKey(jws, keys)
  if (!thumbprint.ok) return thumbprint
  return judge(jws.payload, thumbprint.value, demand)
}

/** 4 to 7: type, algorithm, a public key in the header, and its signature. */
function verifyKey(jws: CompactJws, keys: PublicKeys): Result<string, Stop> {
  const { typ, alg, jwk } = jws.header
  if (typeof typ !== 'string' || normalizeType(typ) !== 'dpop+jwt')
    return failed(stop('pop.proof', '`typ` is not `dpop+jwt`'))
  if (typeof alg !== 'string') return failed(stop('pop.proof', '`alg` is not a string'))
  const key = isObject(jwk) ? keys.find(jwk) : undefined
  if (key === undefined) return failed(stop('pop.proof', '`jwk` is not a public key that is strong enough'))
  return key.verifies(alg, jws.signingInput, jws.signature)
    ? success(key.thumbprint)
    : failed(stop('pop.signature'))
}

/** 3 and 8 to 12, the nonce aside: claims, method, URI, time, and the token with its key. */
function judge(payload: JsonObject, thumbprint: string, demand: DpopDemand): Result<DpopProof, Stop> {
  const { jti, htm, htu, iat, ath, nonce } = payload
  if (typeof jti !== 'string' || jti === '' || jti.length > ID_CHARACTERS_MAX)
    return failed(stop('pop.proof', '`jti` is not a string of 1 to 256 characters'))
  if (typeof htm !== 'string' || typeof htu !== 'string' || typeof ath !== 'string')
    return failed(stop('pop.proof', '`htm`, `htu` or `ath` is missing'))
  if (typeof iat !== 'number') return failed(stop('pop.proof', '`iat` is not a number'))
  if (nonce !== undefined && typeof nonce !== 'string')
    return failed(stop('pop.proof', '`nonce` is not a string'))
  if (htm !== demand.method) return failed(stop('pop.request', '`htm` is another method'))
  const uri = normalizeUri(htu)
  if (uri === undefined || !demand.uris.includes(uri))
    return failed(stop('pop.request', '`htu` is another URI'))
  const objection = objectionToTime(payload, iat, demand.now)
  if (objection !== undefined) return failed(objection)
  if (ath !== hash('sha256', demand.token, 'base64url'))
    return failed(stop('pop.token', '`ath` is that of another token'))
  // INVARIANT: never inferred from the proof; it is the token that names the key.
  if (thumbprint !== demand.jkt) return failed(stop('pop.key', 'the proof has another key than the token'))
  const replayKey = hash('sha256', `${thumbprint}|${htm}|${uri}|${jti}`, 'hex')
  return success({ thumbprint, replayKey, issuedAt: Math.floor(iat) as EpochSeconds, nonce })
}

function objectionToTime({ exp, nbf }: JsonObject, iat: number, now: EpochSeconds): Stop | undefined {
  if (!(iat >= now - PROOF_AGE_SECONDS_MAX)) return stop('pop.time', 'the proof is too old')
  if (!(iat <= now + PROOF_AHEAD_SECONDS_MAX)) return stop('pop.time', 'the proof is from the future')
  if (exp !== undefined && !(typeof exp === 'number' && exp > now)) return stop('pop.time', '`exp` is over')
  if (nbf !== undefined && !(typeof nbf === 'number' && nbf <= now + PROOF_AHEAD_SECONDS_MAX))
    return stop('pop.time', '`nbf` is ahead')
  return undefined
}

function isObject(value: JsonObject[string] | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
