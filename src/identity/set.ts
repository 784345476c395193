import { compactVerify } from 'jose'
import { type EpochMilliseconds, type EpochSeconds, toSeconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { type ParsedJwt, parseJwt } from './jwt-format.ts'
import type { KeySets } from './key-sets.ts'

/** A security event token that was verified (RFC 8417), with its one event. */
export interface SecurityEvent {
  /** `jti`. */
  readonly id: string
  readonly issuedAt: EpochSeconds
  readonly subject: JsonObject
  /** URI of the event type. */
  readonly type: string
  readonly payload: JsonObject
}

/** Why a token was not taken; codes of RFC 8935 section 2.4. */
export interface SetFailure {
  readonly err: 'invalid_request' | 'invalid_key' | 'invalid_issuer' | 'invalid_audience'
  readonly description: string
}

const AHEAD_SECONDS_MAX = 60

/**
 * Verifies a security event token from `issuer`, whose audience is ours.
 *
 * The type is `secevent+jwt`, so that no access token passes for one; `exp` and `sub` must not be there, and exactly one event
 * (RFC 8417 section 2.2, SSF 1.0 section 4.1). Whether it was received before is up to the caller.
 */
export async function verifySet(
  text: string,
  tenant: TenantId,
  issuer: Issuer,
  keys: KeySets,
  now: EpochMilliseconds,
): Promise<Result<SecurityEvent, SetFailure>> {
  const parsed = parseJwt(text)
  if (!parsed.ok) return refuse('invalid_request', 'the body is not a signed JWT')
  const jwt = parsed.value
  if (jwt.typ !== 'secevent+jwt') return refuse('invalid_request', '`typ` is not `secevent+jwt`')
  if (jwt.issuer !== issuer.issuer) return refuse('invalid_issuer', '`iss` is not the issuer of this stream')
  if (!issuer.algorithms.includes(jwt.alg)) return refuse('invalid_key', '`alg` is not accepted')
  if (!(await isSigned(jwt, tenant, issuer, keys)))
    return refuse('invalid_key', 'the signature does not verify')
  if (!isForUs(jwt.payload['aud'], issuer)) return refuse('invalid_audience', '`aud` is not this receiver')
  return readEvent(jwt.payload, now)
}

async function isSigned(jwt: ParsedJwt, tenant: TenantId, issuer: Issuer, keys: KeySets): Promise<boolean> {
  const loaded = await keys.load(tenant, issuer)
  let key = await loaded?.set.find(jwt.kid, jwt.alg)
  if (key === undefined && loaded !== undefined)
    key = await (await keys.reload(tenant, issuer))?.set.find(jwt.kid, jwt.alg)
  if (key === undefined) return false
  return await compactVerify(jwt.text, key, { algorithms: [jwt.alg] }).then(
    () => true,
    () => false,
  )
}

function isForUs(aud: Json | undefined, issuer: Issuer): boolean {
  const names: readonly unknown[] = Array.isArray(aud) ? aud : [aud]
  return names.some((name) => typeof name === 'string' && issuer.audience.includes(name))
}

function readEvent(payload: JsonObject, now: EpochMilliseconds): Result<SecurityEvent, SetFailure> {
  const { jti, iat, sub_id: subject, events } = payload
  if ('exp' in payload || 'sub' in payload)
    return refuse('invalid_request', '`exp` and `sub` must not be there')
  if (typeof jti !== 'string' || jti === '' || jti.length > 256)
    return refuse('invalid_request', '`jti` is missing')
  if (!isInstant(iat) || iat > toSeconds(now) + AHEAD_SECONDS_MAX)
    return refuse('invalid_request', '`iat` is missing or in the future')
  if (!isObject(subject)) return refuse('invalid_request', '`sub_id` is missing')
  const [only, second] = isObject(events) ? Object.entries(events) : []
  if (only === undefined || second !== undefined || !isObject(only[1]))
    return refuse('invalid_request', '`events` must name exactly one event')
  return success({ id: jti, issuedAt: iat, subject, type: only[0], payload: only[1] })
}

function isInstant(value: Json | undefined): value is EpochSeconds {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function refuse(err: SetFailure['err'], description: string): Result<never, SetFailure> {
  return failed({ err, description })
}
