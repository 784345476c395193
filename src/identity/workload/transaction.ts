import { readChain } from '#identity/chain.ts'
import { isObject } from '#identity/claim-path.ts'
import { type ParsedJwt, parseJwt } from '#identity/jwt-format.ts'
import type { KeySets } from '#identity/key-sets.ts'
import { verifyText } from '#identity/signature.ts'
import { readStatus } from '#identity/status-place.ts'
import { stop } from '#identity/stop.ts'
import { type EpochMilliseconds, type EpochSeconds, toSeconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Stop, Transaction } from '#model/identity.ts'
import type { Issuer } from '#model/issuer.ts'
import type { TenantState } from '#model/state.ts'
import type { Json } from '#model/value.ts'

const HEADER: readonly string[] = ['typ', 'alg', 'kid']
const ID_CHARACTERS_MAX = 512

/**
 * The transaction that the one `Txn-Token` of a call says it is part of; undefined without one. The keys are those of the issuer of
 * profile `txn-token` whose audience is the trust domain in `aud`.
 *
 * INVARIANT: it is context. Nothing in it names a party of the decision, and it can only deny.
 * @see draft-ietf-oauth-transaction-tokens, token validation; draft-mcguinness-oauth-actor-profile for `act`
 */
export async function verifyTransaction(
  texts: readonly string[],
  tenant: TenantState,
  keys: KeySets,
  now: EpochMilliseconds,
): Promise<Result<Transaction | undefined, Stop>> {
  const [text, second] = texts
  if (text === undefined) return success(undefined)
  if (second !== undefined) return refused('more than one transaction token')
  const parsed = parseJwt(text)
  if (!parsed.ok) return refused('not a well-formed JWT')
  const jwt = parsed.value
  const issuer = issuerOf(jwt, tenant)
  if (issuer === undefined) return refused('no one issuer is registered for its trust domain')
  if (!issuer.types.includes(jwt.typ) || !issuer.algorithms.includes(jwt.alg) || !isHeader(jwt))
    return refused('the header')
  const objection = objectionToTime(jwt, issuer, toSeconds(now))
  if (objection !== undefined) return refused(objection)
  const transaction = readTransaction(jwt, issuer, tenant)
  if (!transaction.ok) return transaction
  const signed = await verifyText(jwt, tenant.id, issuer, keys)
  return signed.ok ? transaction : refused(signed.failure.code)
}

/** `iss` is optional; where it is absent, the trust domain must have one issuer only. */
function issuerOf({ issuer, payload }: ParsedJwt, { issuers }: TenantState): Issuer | undefined {
  const { aud } = payload
  const [first, second] = issuers.filter(
    (each) =>
      each.profile === 'txn-token' &&
      typeof aud === 'string' &&
      each.audience.includes(aud) &&
      (issuer === undefined || issuer === each.issuer),
  )
  return second === undefined ? first : undefined
}

function isHeader({ header }: ParsedJwt): boolean {
  return Object.keys(header).every((name) => HEADER.includes(name))
}

function objectionToTime({ payload }: ParsedJwt, issuer: Issuer, now: EpochSeconds): string | undefined {
  const { iat, exp, nbf } = payload
  const ahead = now + issuer.clockToleranceSeconds
  if (!(typeof exp === 'number' && exp > now)) return '`exp`'
  if (!(typeof iat === 'number' && iat <= ahead && iat < exp)) return '`iat`'
  if (exp - iat > issuer.lifetimeSecondsMax) return 'it lives longer than this issuer may grant'
  return nbf === undefined || (typeof nbf === 'number' && nbf <= ahead) ? undefined : '`nbf`'
}

function readTransaction(
  { payload, issuer: named, kid }: ParsedJwt,
  issuer: Issuer,
  tenant: TenantState,
): Result<Transaction, Stop> {
  const { txn, sub, scope, req_wl: requester, tctx, act } = payload
  const status = readStatus(payload['status'])
  if (!isText(txn)) return refused('`txn`')
  if (!isText(sub)) return refused('`sub`')
  if (!isText(scope)) return refused('`scope`')
  if (!isText(requester)) return refused('`req_wl`')
  if (tctx !== undefined && !isObject(tctx)) return refused('`tctx` is not an object')
  if (act !== undefined && named === undefined) return refused('`act` without `iss`')
  const chain = readChain(act, issuer.issuer, tenant)
  if (status === 'unreadable') return refused('`status.status_list` has no `idx` and `uri`')
  if (!chain.ok) return refused(chain.failure.detail ?? '`act`')
  return success({
    id: txn,
    issuer: issuer.issuer,
    chain: chain.value,
    context: tctx ?? {},
    ...(kid !== undefined && { keyId: kid }),
    ...(status !== undefined && { status }),
  })
}

function isText(value: Json | undefined): value is string {
  return typeof value === 'string' && value !== '' && value.length <= ID_CHARACTERS_MAX
}

function refused(detail: string): { readonly ok: false; readonly failure: Stop } {
  return failed(stop('txn.invalid', detail))
}
