import { promisify } from 'node:util'
import { inflate } from 'node:zlib'
import { type EpochMilliseconds, type EpochSeconds, toSeconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import type { TokenStatus } from '#model/token-status.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { isObject } from './claim-path.ts'
import { type ParsedJwt, parseJwt } from './jwt-format.ts'
import type { KeySets } from './key-sets.ts'
import { verifyText } from './signature.ts'

/** A status list that was verified: the statuses of up to eight million tokens. */
export interface StatusList {
  readonly issuedAt: EpochSeconds
  /** Undefined: it does not say. */
  readonly expiresAt: EpochSeconds | undefined
  /** Seconds after which it is to be fetched again, as its issuer says. */
  readonly ttl: number | undefined
  /** Of the token with this index; `unknown` where the list has no such index. */
  statusAt(index: number): TokenStatus
}

/** Longest status list token, in bytes, and the longest list in it once it is inflated. */
export const STATUS_LIST_BYTES_MAX = 1_048_576
/** A list that does not say when it ends is believed for a day. */
const AGE_SECONDS_MAX = 86_400

const inflated = promisify(inflate)

/**
 * Verifies the status list token that was fetched from `uri` (Token Status List, draft-ietf-oauth-status-list, sections 5.1 and 8.3).
 *
 * It is signed with a key of `issuer`, which is the issuer of the tokens that point to it; its type is `statuslist+jwt`, so that
 * no access token passes for one; and its `sub` is `uri`, so that no list takes the place of another.
 *
 * @returns the list, or why it can't be used
 */
export async function verifyStatusList(
  text: string,
  uri: string,
  { tenant, issuer, keys }: { readonly tenant: TenantId; readonly issuer: Issuer; readonly keys: KeySets },
  now: EpochMilliseconds,
): Promise<Result<StatusList, string>> {
  const parsed = parseJwt(text, STATUS_LIST_BYTES_MAX)
  if (!parsed.ok) return failed(`the list is not a signed JWT: ${parsed.failure.detail ?? ''}`)
  const objection = objectionTo(parsed.value, uri, issuer)
  if (objection !== undefined) return failed(objection)
  const signed = await verifyText(parsed.value, tenant, issuer, keys)
  if (!signed.ok) return failed(`the signature of the list: ${signed.failure.message}`)
  return await readList(parsed.value.payload, issuer, toSeconds(now))
}

function objectionTo(jwt: ParsedJwt, uri: string, issuer: Issuer): string | undefined {
  if (jwt.typ !== 'statuslist+jwt') return '`typ` of the list is not `statuslist+jwt`'
  if (!issuer.algorithms.includes(jwt.alg)) return '`alg` of the list is not accepted for this issuer'
  if (jwt.issuer !== undefined && jwt.issuer !== issuer.issuer) return '`iss` of the list is another issuer'
  return jwt.payload['sub'] === uri ? undefined : '`sub` of the list is not its URL'
}

async function readList(
  payload: JsonObject,
  { clockToleranceSeconds: tolerance }: Issuer,
  now: EpochSeconds,
): Promise<Result<StatusList, string>> {
  const { iat, exp, ttl, status_list: list } = payload
  if (!isInstant(iat) || iat > now + tolerance) return failed('`iat` of the list is missing or in the future')
  if (exp !== undefined && (!isInstant(exp) || exp <= now)) return failed('the list is expired')
  if (exp === undefined && iat < now - AGE_SECONDS_MAX) return failed('the list is old and has no `exp`')
  if (ttl !== undefined && !(typeof ttl === 'number' && ttl > 0)) return failed('`ttl` of the list')
  const { bits, lst } = isObject(list) ? list : {}
  if (bits !== 1 && bits !== 2 && bits !== 4 && bits !== 8) return failed('`bits` of the list')
  const bytes = typeof lst === 'string' ? await unpack(lst) : undefined
  if (bytes === undefined) return failed('`lst` is not a compressed list of acceptable size')
  return success({ issuedAt: iat, expiresAt: exp, ttl, statusAt: (index) => statusAt(bytes, bits, index) })
}

/** INVARIANT: a few bytes that inflate to gigabytes stop at the cap. */
async function unpack(text: string): Promise<Uint8Array | undefined> {
  const packed = Buffer.from(text, 'base64url')
  if (packed.toString('base64url') !== text) return undefined
  try {
    return await inflated(packed, { maxOutputLength: STATUS_LIST_BYTES_MAX })
  } catch {
    return undefined
  }
}

/** Section 4.1: the first status of a byte lies in its lowest bits. */
function statusAt(bytes: Uint8Array, bits: 1 | 2 | 4 | 8, index: number): TokenStatus {
  const perByte = 8 / bits
  const byte = bytes[Math.floor(index / perByte)]
  if (byte === undefined) return 'unknown'
  const value = (byte >> ((index % perByte) * bits)) & (2 ** bits - 1)
  if (value === 0) return 'valid'
  // INVARIANT: what another value means is between the issuer and somebody else, so it is not valid here.
  return value === 2 ? 'suspended' : 'invalid'
}

function isInstant(value: Json | undefined): value is EpochSeconds {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0
}
