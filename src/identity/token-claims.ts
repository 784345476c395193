import type { EpochSeconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Stop, VerifiedToken } from '#model/identity.ts'
import type { Issuer } from '#model/issuer.ts'
import type { JsonObject } from '#model/value.ts'
import { readBinding } from './binding.ts'
import { claimAt, hasType } from './claim-path.ts'
import { objectionToKind } from './profile-rules.ts'
import { profileOf } from './profiles.ts'
import { stop } from './stop.ts'

/** What an access token says, once its signature (or introspection), issuer, audience, type and dates hold. */
export interface TokenClaims {
  readonly issuer: Issuer
  readonly payload: JsonObject
  readonly expiresAt: EpochSeconds
  readonly issuedAt: EpochSeconds | undefined
  /** First and last-plus-one second in which the token is valid, clock tolerance included. */
  readonly usableFrom: EpochSeconds
  readonly usableUntil: EpochSeconds
  readonly boundTo: VerifiedToken['boundTo']
  /** Key that signed it, and SHA-256 of what was signed; of an opaque token none, and that of its text. */
  readonly keyId: string | undefined
  readonly fingerprint: string | undefined
}

/** How the claims came to us: `typ` of the header, lower case; empty where there is none. */
export interface TokenSource {
  readonly typ: string
  readonly keyId: string | undefined
  readonly fingerprint: string | undefined
}

/** The last second of the year 9999; larger dates are mistakes or attacks. */
const DATE_MAX = 253_402_300_799

/**
 * Judges the claims of a token whose origin is proven, in the order of RFC 9068 section 4: kind, required claims and their
 * types, audience, dates, lifetime and age, binding. What a gateway demands beyond the issuer is not checked here.
 */
export function judgeClaims(
  payload: JsonObject,
  issuer: Issuer,
  source: TokenSource,
  now: EpochSeconds,
): Result<TokenClaims, Stop> {
  for (const { judge } of CLAIM_RULES) {
    const objection = judge(payload, issuer, source)
    if (objection !== undefined) return failed(objection)
  }
  const bound = readBinding(payload['cnf'])
  if (!bound.ok) return bound
  const dates = judgeDates(payload, issuer, now)
  if (!dates.ok) return dates
  const { keyId, fingerprint } = source
  return success({ issuer, payload, ...dates.value, boundTo: bound.value, keyId, fingerprint })
}

/** One rule about claims that needs no clock. */
export interface ClaimRule {
  readonly name: string
  readonly judge: (payload: JsonObject, issuer: Issuer, source: TokenSource) => Stop | undefined
}

/** The rules that come before binding and dates, in their order. */
export const CLAIM_RULES: readonly ClaimRule[] = [
  { name: 'kind of token', judge: (payload, issuer, { typ }) => objectionToKind(payload, issuer, typ) },
  { name: 'subject', judge: objectionToSubject },
  { name: 'required claims', judge: objectionToRequired },
  {
    name: 'audience',
    judge: ({ aud }, { audience, audiencesMax }) => objectionToAudience(aud, audience, audiencesMax),
  },
]

function objectionToSubject({ sub }: JsonObject): Stop | undefined {
  if (sub === undefined) return stop('token.claim_missing', '`sub`')
  return typeof sub === 'string' && sub !== '' ? undefined : stop('token.claim_invalid', '`sub`')
}

function objectionToRequired(payload: JsonObject, { required = {}, claims }: Issuer): Stop | undefined {
  for (const [name, type] of Object.entries(required)) {
    const value = claimAt(payload, name)
    if (value === undefined) return stop('token.claim_missing', `\`${name}\``)
    if (!hasType(value, type)) return stop('token.claim_invalid', `\`${name}\``)
  }
  for (const name of [claims.id ?? 'jti', claims.session ?? 'sid']) {
    const value = claimAt(payload, name)
    if (value !== undefined && !(typeof value === 'string' && value.length <= 512))
      return stop('token.claim_invalid', `\`${name}\``)
  }
  return undefined
}

/**
 * Every audience must be one of `accepted`: whoever else is named could replay the token here (RFC 8725 section 3.9).
 *
 * @param audiencesMax how many a token may name. Default 1.
 */
export function objectionToAudience(
  aud: JsonObject[string] | undefined,
  accepted: readonly string[],
  audiencesMax = 1,
): Stop | undefined {
  if (aud === undefined) return stop('token.claim_missing', '`aud`')
  const names: readonly unknown[] = typeof aud === 'string' ? [aud] : Array.isArray(aud) ? aud : []
  if (names.length === 0 || names.some((name) => typeof name !== 'string'))
    return stop('token.claim_invalid', '`aud`')
  const isOurs = names.every((name) => accepted.some((own) => own === name))
  return isOurs && names.length <= audiencesMax ? undefined : stop('token.audience')
}

type Dates = Pick<TokenClaims, 'expiresAt' | 'issuedAt' | 'usableFrom' | 'usableUntil'>

function judgeDates(payload: JsonObject, issuer: Issuer, now: EpochSeconds): Result<Dates, Stop> {
  const { exp, iat, nbf } = payload
  if (exp === undefined) return failed(stop('token.claim_missing', '`exp`'))
  if (iat === undefined && !profileOf(issuer).issuedAtOptional)
    return failed(stop('token.claim_missing', '`iat`'))
  if (!isDate(exp)) return failed(stop('token.claim_invalid', '`exp`'))
  if (!isDateOrAbsent(iat)) return failed(stop('token.claim_invalid', '`iat`'))
  if (!isDateOrAbsent(nbf)) return failed(stop('token.claim_invalid', '`nbf`'))
  const tolerance = issuer.clockToleranceSeconds
  const oldest = iat === undefined ? exp : Math.min(exp, iat + (issuer.ageSecondsMax ?? DATE_MAX))
  const usableUntil = (oldest + tolerance) as EpochSeconds
  const usableFrom = (Math.max(iat ?? 0, nbf ?? 0) - tolerance) as EpochSeconds
  if (exp + tolerance <= now) return failed(stop('token.expired'))
  if (usableFrom > now) return failed(stop('token.not_yet_valid'))
  // Without `iat` what is left of its life stands for the whole of it.
  if (exp - (iat ?? now) > issuer.lifetimeSecondsMax) return failed(stop('token.lifetime'))
  if (usableUntil <= now) return failed(stop('token.too_old'))
  return success({ expiresAt: exp, issuedAt: iat, usableFrom, usableUntil })
}

/** Whether `value` is seconds since 1970, up to the year 9999; RFC 7519 section 2 allows fractions of a second. */
export function isDate(value: unknown): value is EpochSeconds {
  return typeof value === 'number' && value >= 0 && value <= DATE_MAX
}

/** Whether a claim that may be left out is left out, or a date. */
export function isDateOrAbsent(value: unknown): value is EpochSeconds | undefined {
  return value === undefined || isDate(value)
}
