import { compactVerify } from 'jose'
import { type EpochMilliseconds, type EpochSeconds, toSeconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Stop } from '#model/identity.ts'
import type { Issuer } from '#model/issuer.ts'
import type { TenantState } from '#model/state.ts'
import type { JsonObject } from '#model/value.ts'
import { type ParsedJwt, parseJwt } from './jwt-format.ts'
import type { KeySets } from './key-sets.ts'
import { stop } from './stop.ts'
import { createTokenCache, type TokenCache } from './token-cache.ts'

/** What an access token says, once its signature, issuer, audience, type and dates hold. */
export interface TokenClaims {
  readonly issuer: Issuer
  readonly payload: JsonObject
  readonly expiresAt: EpochSeconds
  readonly issuedAt: EpochSeconds
  /** First and last-plus-one second in which the token is valid, clock tolerance included. */
  readonly usableFrom: EpochSeconds
  readonly usableUntil: EpochSeconds
}

/** Verifies an access token for one tenant at `now`; a denial is a value. */
export type VerifyToken = (
  token: string,
  tenant: TenantState,
  now: EpochMilliseconds,
) => Promise<Result<TokenClaims, Stop>>

/** Members that mark a JWT as something other than an access token, whatever its `typ` says (RFC 8725 section 3.12). */
const FOREIGN_CLAIMS = ['nonce', 'at_hash', 'c_hash', 's_hash', 'events', 'txn']
/** The last second of the year 9999; larger dates are mistakes or attacks. */
const DATE_MAX = 253_402_300_799

/**
 * A verifier of JWT access tokens in the order of RFC 9068 section 4, stricter where RFC 8725 advises it. Verified tokens
 * are cached; dates, keys and issuer configuration are checked again for each use.
 */
export function createVerifyToken(keys: KeySets, cache: TokenCache = createTokenCache()): VerifyToken {
  return async (token, tenant, now) => {
    const second = toSeconds(now)
    const generation = (issuer: Issuer) => keys.generation(tenant.id, issuer)
    const known = cache.get(tenant.id, token, second, generation, tenant.issuers)
    if (known !== undefined) return success(known)

    const parsed = parseJwt(token)
    if (!parsed.ok) return parsed
    const jwt = parsed.value
    const issuer = tenant.issuers.find((each) => each.issuer === jwt.issuer)
    if (issuer === undefined) return failed(stop('token.issuer_unknown'))
    const objection = objectionToHeader(jwt, issuer)
    if (objection !== undefined) return failed(objection)
    const signed = await verifySignature(jwt, tenant, issuer, keys)
    if (!signed.ok) return signed
    const claims = judgeClaims(jwt.payload, issuer, second)
    if (claims.ok) cache.put(tenant.id, token, claims.value, issuer, signed.value)
    return claims
  }
}

function objectionToHeader(jwt: ParsedJwt, issuer: Issuer): Stop | undefined {
  if (!issuer.algorithms.includes(jwt.alg)) return stop('token.algorithm')
  if (!issuer.types.includes(jwt.typ)) return stop('token.type', 'the `typ` is not accepted for this issuer')
  return undefined
}

/** Gives the generation of the keys that verified the signature. */
async function verifySignature(
  jwt: ParsedJwt,
  tenant: TenantState,
  issuer: Issuer,
  keys: KeySets,
): Promise<Result<number, Stop>> {
  let current = await keys.load(tenant.id, issuer)
  let key = await current?.set.find(jwt.kid, jwt.alg)
  if (key === undefined && current !== undefined) {
    current = await keys.reload(tenant.id, issuer)
    key = await current?.set.find(jwt.kid, jwt.alg)
  }
  if (current === undefined) return failed(stop('token.keys_unavailable'))
  if (key === undefined) return failed(stop('token.key_unknown'))
  try {
    await compactVerify(jwt.text, key, { algorithms: [jwt.alg] })
  } catch {
    return failed(stop('token.signature'))
  }
  return success(current.generation)
}

function judgeClaims(payload: JsonObject, issuer: Issuer, now: EpochSeconds): Result<TokenClaims, Stop> {
  const foreign = FOREIGN_CLAIMS.find((name) => Object.hasOwn(payload, name))
  if (foreign !== undefined) return failed(stop('token.type', `\`${foreign}\` marks another kind of token`))
  // RFC 9449 section 7.1: a token that is bound to a key is worth nothing without the proof, which can't be checked here.
  if (Object.hasOwn(payload, 'cnf'))
    return failed(stop('credentials.unsupported', 'the token is bound to a key'))
  return (
    objectionToSubject(payload) ??
    objectionToAudience(payload['aud'], issuer) ??
    judgeDates(payload, issuer, now)
  )
}

function objectionToSubject({ sub, jti }: JsonObject): Failure | undefined {
  if (sub === undefined) return failed(stop('token.claim_missing', '`sub`'))
  if (typeof sub !== 'string' || sub === '') return failed(stop('token.claim_invalid', '`sub`'))
  if (jti !== undefined && typeof jti !== 'string') return failed(stop('token.claim_invalid', '`jti`'))
  return undefined
}

/** Every audience must be ours: whoever else is named could replay the token here (RFC 8725 section 3.9). */
function objectionToAudience(aud: JsonObject[string] | undefined, issuer: Issuer): Failure | undefined {
  if (aud === undefined) return failed(stop('token.claim_missing', '`aud`'))
  const names: readonly unknown[] = typeof aud === 'string' ? [aud] : Array.isArray(aud) ? aud : []
  if (names.length === 0 || names.some((name) => typeof name !== 'string'))
    return failed(stop('token.claim_invalid', '`aud`'))
  const isOurs = names.every((name) => issuer.audience.some((own) => own === name))
  return isOurs ? undefined : failed(stop('token.audience'))
}

function judgeDates(payload: JsonObject, issuer: Issuer, now: EpochSeconds): Result<TokenClaims, Stop> {
  const { exp, iat, nbf = 0 } = payload
  if (exp === undefined || iat === undefined)
    return failed(stop('token.claim_missing', exp === undefined ? '`exp`' : '`iat`'))
  if (!isDate(exp)) return failed(stop('token.claim_invalid', '`exp`'))
  if (!isDate(iat)) return failed(stop('token.claim_invalid', '`iat`'))
  if (!isDate(nbf)) return failed(stop('token.claim_invalid', '`nbf`'))
  const tolerance = issuer.clockToleranceSeconds
  const usableUntil = (exp + tolerance) as EpochSeconds
  const usableFrom = (Math.max(iat, nbf) - tolerance) as EpochSeconds
  if (usableUntil <= now) return failed(stop('token.expired'))
  if (usableFrom > now) return failed(stop('token.not_yet_valid'))
  if (exp - iat > issuer.lifetimeSecondsMax) return failed(stop('token.lifetime'))
  return success({ issuer, payload, expiresAt: exp, issuedAt: iat, usableFrom, usableUntil })
}

/** RFC 7519 section 2 allows fractions of a second. */
function isDate(value: unknown): value is EpochSeconds {
  return typeof value === 'number' && value >= 0 && value <= DATE_MAX
}

type Failure = { readonly ok: false; readonly failure: Stop }
