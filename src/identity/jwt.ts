import { createHash } from 'node:crypto'
import { type EpochMilliseconds, toSeconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Stop } from '#model/identity.ts'
import type { Issuer } from '#model/issuer.ts'
import type { TenantState } from '#model/state.ts'
import type { Introspect } from './introspect.ts'
import { type ParsedJwt, parseJwt } from './jwt-format.ts'
import type { KeySets } from './key-sets.ts'
import { verifyText } from './signature.ts'
import { spiffeDomainOf } from './spiffe-id.ts'
import { stop } from './stop.ts'
import { createTokenCache, type TokenCache } from './token-cache.ts'
import { judgeClaims, type TokenClaims } from './token-claims.ts'

/** Verifies an access token for one tenant at `now`; a denial is a value. */
export type VerifyToken = (
  token: string,
  tenant: TenantState,
  now: EpochMilliseconds,
) => Promise<Result<TokenClaims, Stop>>

/**
 * A verifier of JWT access tokens in the order of RFC 9068 section 4, stricter where RFC 8725 advises it. Verified tokens
 * are cached; dates, keys and issuer configuration are checked again for each use.
 *
 * @param introspect asks about opaque tokens. Undefined: they are malformed JWTs.
 */
export function createVerifyToken(
  keys: KeySets,
  cache: TokenCache = createTokenCache(),
  introspect?: Introspect,
): VerifyToken {
  return async (token, tenant, now) => {
    if (introspect !== undefined && isOpaque(token, tenant)) return await introspect(token, tenant, now)
    const second = toSeconds(now)
    const generation = (issuer: Issuer) => keys.generation(tenant.id, issuer)
    const known = cache.get(tenant.id, token, second, generation, tenant.issuers)
    if (known !== undefined) return success(known)

    const parsed = parseJwt(token)
    if (!parsed.ok) return parsed
    const jwt = parsed.value
    const issuer = issuerOf(jwt, tenant)
    if (!issuer.ok) return issuer
    const objection = objectionToHeader(jwt, issuer.value)
    if (objection !== undefined) return failed(objection)
    const signed = await verifyText(jwt, tenant.id, issuer.value, keys)
    if (!signed.ok) return signed
    const source = { typ: jwt.typ, keyId: jwt.kid, fingerprint: fingerprintOf(token) }
    const claims = judgeClaims(jwt.payload, issuer.value, source, second)
    if (claims.ok) cache.put(tenant.id, token, claims.value, issuer.value, signed.value)
    return claims
  }
}

/**
 * INVARIANT: what looks like a JWT is judged as one, however broken. An issuer that forgives a broken one must not decide here.
 */
function isOpaque(token: string, { issuers }: TenantState): boolean {
  const looksLikeJwt = token.trimStart().startsWith('eyJ') || token.split('.').length === 3
  return !looksLikeJwt && issuers.some((each) => each.introspection !== undefined)
}

/**
 * The issuer that `iss` names, compared character by character. A JWT-SVID is found by the trust domain of its subject
 * instead: SPIFFE keeps trust material by domain, and `iss` has no meaning there (SPIFFE JWT-SVID section 3).
 */
export function issuerOf(
  { issuer, payload }: ParsedJwt,
  { issuers }: Pick<TenantState, 'issuers'>,
): Result<Issuer, Stop> {
  const named = issuers.find((each) => each.issuer === issuer)
  if (named !== undefined) return success(named)
  const { sub } = payload
  const domain = typeof sub === 'string' ? spiffeDomainOf(sub) : undefined
  const trusted = issuers.find((each) => each.profile === 'spiffe' && each.issuer === `spiffe://${domain}`)
  if (trusted !== undefined) return success(trusted)
  return failed(issuer === undefined ? stop('token.claim_missing', '`iss`') : stop('token.issuer_unknown'))
}

/** Members of the header of a JWT-SVID; others must not be there (SPIFFE JWT-SVID section 2). */
const SVID_HEADER: readonly string[] = ['alg', 'kid', 'typ']

/** Why the header of a token is not one that this issuer may send. */
export function objectionToHeader(jwt: ParsedJwt, issuer: Issuer): Stop | undefined {
  if (!issuer.algorithms.includes(jwt.alg)) return stop('token.algorithm')
  if (!issuer.types.includes(jwt.typ)) return stop('token.type', 'the `typ` is not accepted for this issuer')
  if (issuer.profile === 'spiffe' && Object.keys(jwt.header).some((name) => !SVID_HEADER.includes(name)))
    return stop('token.malformed', 'the header has a member that a JWT-SVID can not have')
  return undefined
}

/** Of the signing input: a token keeps it when only its signature is another valid one (ECDSA has two for each content). */
function fingerprintOf(token: string): string {
  return createHash('sha256')
    .update(token.slice(0, token.lastIndexOf('.')))
    .digest('base64url')
}
