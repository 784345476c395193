import { hash } from 'node:crypto'
import { type ParsedJwt, parseJwt } from '#identity/jwt-format.ts'
import type { KeySets } from '#identity/key-sets.ts'
import { type CompactJws, parseCompactJws } from '#identity/proof/compact-jws.ts'
import { PROOF_AHEAD_SECONDS_MAX } from '#identity/proof/dpop.ts'
import type { Once } from '#identity/proof/possession.ts'
import type { PublicKeys } from '#identity/proof/public-keys.ts'
import { normalizeUri, targetUris } from '#identity/proof/target-uri.ts'
import { verifyText } from '#identity/signature.ts'
import { spiffeDomainOf } from '#identity/spiffe-id.ts'
import { readStatus } from '#identity/status-place.ts'
import { stop } from '#identity/stop.ts'
import { isDate, isDateOrAbsent } from '#identity/token-claims.ts'
import { type EpochMilliseconds, type EpochSeconds, toSeconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Gateway } from '#model/gateway.ts'
import type { Stop, WorkloadToken } from '#model/identity.ts'
import type { Issuer } from '#model/issuer.ts'
import type { AuthorizationRequest, Proofs } from '#model/request.ts'
import type { TenantState } from '#model/state.ts'
import type { Json, JsonObject } from '#model/value.ts'

/** A workload that proved its key. */
export interface ProvenWorkload {
  readonly id: string
  readonly thumbprint: string
  readonly once: Once
  readonly token: WorkloadToken
}

/** What a workload's proof is about. */
export interface WimseAsked {
  readonly request: AuthorizationRequest
  readonly proofs: Proofs
  readonly gateway: Gateway
  readonly tenant: TenantState
  /** The access token of the call; undefined without one. */
  readonly token: string | undefined
}

const PROOF_MEMBERS = new Set(['typ', 'alg'])
const TOKEN_HEADER: readonly string[] = ['typ', 'alg', 'kid']
/** A proof that lives longer could be kept for later. */
const PROOF_SECONDS_MAX = 300
const ID_CHARACTERS_MAX = 256

/**
 * Verifies a Workload Identity Token with its proof. The keys are those of the trust domain in `sub`, as the tenant registered it;
 * `iss` says nothing about trust.
 *
 * @see draft-ietf-wimse-workload-creds, draft-ietf-wimse-wpt
 */
export async function verifyWimse(
  asked: WimseAsked,
  keys: KeySets,
  publicKeys: PublicKeys,
): Promise<Result<ProvenWorkload, Stop>> {
  const { workloadToken, workloadProof } = asked.proofs
  const [token, proof] = [workloadToken[0], workloadProof[0]]
  if (token === undefined || proof === undefined || workloadToken.length > 1 || workloadProof.length > 1)
    return refused('a workload token and its proof come together, one of each')
  const now = toSeconds(asked.request.now)
  const verified = await verifyToken(token, asked.tenant, keys, now)
  if (!verified.ok) return verified
  const { id, jwk, workloadToken: facts } = verified.value
  const key = publicKeys.find(jwk)
  const jws = parseCompactJws(proof, PROOF_MEMBERS)
  if (key === undefined || jws === undefined)
    return refused('the proof or the key of the token can not be read')
  const { typ, alg } = jws.header
  if (typ !== 'wpt+jwt' || typeof alg !== 'string' || alg !== jwk['alg'])
    return refused('`typ` is not `wpt+jwt`, or `alg` is not that of the key')
  if (!key.verifies(alg, jws.signingInput, jws.signature)) return refused('the signature of the proof')
  const objection = objectionToProof(jws, token, asked, now)
  if (objection !== undefined) return failed(objection)
  const { jti } = jws.payload
  const exp = Number(jws.payload['exp'])
  const once: Once = {
    key: hash('sha256', `wpt|${key.thumbprint}|${String(jti)}`, 'hex'),
    question: undefined,
    // It does not say when it was made: as early as it could have been used, so that a store that has forgotten says so.
    issuedAt: Math.floor(exp - PROOF_SECONDS_MAX) as EpochSeconds,
    expiresAt: ((exp + PROOF_SECONDS_MAX) * 1000) as EpochMilliseconds,
  }
  return success({ id, thumbprint: key.thumbprint, once, token: facts })
}

interface VerifiedWit {
  readonly id: string
  /** Key that its workload proves. */
  readonly jwk: JsonObject
  readonly workloadToken: WorkloadToken
}

async function verifyToken(
  text: string,
  tenant: TenantState,
  keys: KeySets,
  now: EpochSeconds,
): Promise<Result<VerifiedWit, Stop>> {
  const parsed = parseJwt(text)
  if (!parsed.ok) return refused('the workload token is not a well-formed JWT')
  const jwt = parsed.value
  const { sub, cnf } = jwt.payload
  const domain = typeof sub === 'string' ? spiffeDomainOf(sub) : undefined
  const issuer = tenant.issuers.find(
    (each) => each.profile === 'spiffe' && each.issuer === `spiffe://${domain}`,
  )
  if (typeof sub !== 'string' || issuer === undefined || sub === issuer.issuer)
    return failed(stop('workload.untrusted', 'the trust domain is not registered'))
  if (!isToken(jwt) || !issuer.algorithms.includes(jwt.alg))
    return refused('the header of the workload token')
  if (!isInForce(jwt.payload, now, issuer.clockToleranceSeconds))
    return refused('the workload token has expired, or is not valid yet')
  if (isTooLong(jwt.payload, issuer, now))
    return refused('the workload token lives longer, or is older, than this trust domain may grant')
  const jwk = isObject(cnf) ? cnf['jwk'] : undefined
  if (!isObject(jwk) || typeof jwk['alg'] !== 'string') return refused('`cnf.jwk` with its `alg`')
  const signed = await verifyText(jwt, tenant.id, issuer, keys)
  if (!signed.ok) return failed(stop('workload.untrusted', signed.failure.code))
  const workloadToken = factsOf(jwt, issuer.issuer)
  return workloadToken === undefined
    ? refused('`jti` is no text, or `status.status_list` has no `idx` and `uri`')
    : success({ id: sub, jwk, workloadToken })
}

/** What it can be revoked by; undefined where that can not be read. */
function factsOf({ payload, kid }: ParsedJwt, issuer: string): WorkloadToken | undefined {
  const { jti } = payload
  const status = readStatus(payload['status'])
  if (status === 'unreadable' || (jti !== undefined && typeof jti !== 'string')) return undefined
  return {
    issuer,
    ...(jti !== undefined && { id: jti }),
    ...(kid !== undefined && { keyId: kid }),
    ...(status !== undefined && { status }),
  }
}

/** INVARIANT: what ends beyond the year 9999 never ends, and is no credential. */
function isInForce({ exp, iat, nbf }: JsonObject, now: EpochSeconds, toleranceSeconds: number): boolean {
  if (!isDate(exp) || !isDateOrAbsent(iat) || !isDateOrAbsent(nbf)) return false
  return exp > now && Math.max(iat ?? 0, nbf ?? 0) <= now + toleranceSeconds
}

/** INVARIANT: the limits of the issuer hold for workload tokens too; without `iat` what is left of a life stands for the whole of it. */
function isTooLong(
  { exp, iat }: JsonObject,
  { lifetimeSecondsMax, ageSecondsMax, clockToleranceSeconds }: Issuer,
  now: EpochSeconds,
): boolean {
  const since = iat === undefined ? now : Number(iat)
  const isOld = ageSecondsMax !== undefined && since + ageSecondsMax + clockToleranceSeconds <= now
  return Number(exp) - since > lifetimeSecondsMax || isOld
}

function isToken({ typ, header }: ParsedJwt): boolean {
  return typ === 'wit+jwt' && Object.keys(header).every((name) => TOKEN_HEADER.includes(name))
}

/** INVARIANT: the proof covers every token of the call, and the call itself. */
function objectionToProof(
  { payload }: CompactJws,
  workloadToken: string,
  { request, gateway, token, proofs }: WimseAsked,
  now: EpochSeconds,
): Stop | undefined {
  const { aud, exp, jti, wth, ath, tth, oth } = payload
  if (typeof jti !== 'string' || jti === '' || jti.length > ID_CHARACTERS_MAX) return reason('`jti`')
  if (!isInForce(payload, now, PROOF_AHEAD_SECONDS_MAX) || Number(exp) > now + PROOF_SECONDS_MAX)
    return reason('`exp`, `iat` or `nbf`')
  const covered: readonly (readonly [string, Json | undefined, string | undefined])[] = [
    ['wth', wth, workloadToken],
    ['ath', ath, token],
    ['tth', tth, proofs.transactionToken[0]],
    // Other tokens are not known here.
    ['oth', oth, undefined],
  ]
  const wrong = covered.find(([, hashed, text]) => hashed !== (text === undefined ? undefined : digest(text)))
  if (wrong !== undefined) return reason(`\`${wrong[0]}\` is not that of the call`)
  const uris = targetUris(gateway.settings, request.route ?? proofs.call)
  if (!uris.ok) return uris.failure
  const uri = typeof aud === 'string' ? normalizeUri(aud) : undefined
  return uri !== undefined && uris.value.includes(uri) ? undefined : reason('`aud` is another URI')
}

function digest(text: string): string {
  return hash('sha256', text, 'base64url')
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function reason(detail: string): Stop {
  return stop('workload.proof', detail)
}

function refused(detail: string): { readonly ok: false; readonly failure: Stop } {
  return failed(reason(detail))
}
