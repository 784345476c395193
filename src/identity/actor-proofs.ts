import { hash } from 'node:crypto'
import { type CryptoKey, calculateJwkThumbprint, compactVerify, exportJWK } from 'jose'
import { type EpochMilliseconds, type EpochSeconds, toSeconds } from '#lib/clock.ts'
import type { Actor, VerifiedIdentity } from '#model/identity.ts'
import type { Issuer } from '#model/issuer.ts'
import type { TenantState } from '#model/state.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { claimAt, isObject } from './claim-path.ts'
import { type ParsedJwt, parseJwt } from './jwt-format.ts'
import type { KeySets } from './key-sets.ts'
import { isDate, isDateOrAbsent, type TokenClaims } from './token-claims.ts'

/** `tag` by which an issuer of profile `http-signature` lends its keys to proofs of actors. */
const TAG = 'actor-proof'
const HEADER: readonly string[] = ['alg', 'typ', 'kid']
/** RFC 6920 names, none weaker than SHA-256. */
const DIGESTS: ReadonlyMap<Json | undefined, string> = new Map([
  [undefined, 'sha256'],
  ['sha-256', 'sha256'],
  ['sha-384', 'sha384'],
  ['sha-512', 'sha512'],
])

/** What a proof is judged by. */
interface Demand {
  readonly claims: TokenClaims
  readonly tenant: TenantState
  readonly keys: KeySets
  readonly now: EpochMilliseconds
  /** Collects the issuers whose keys were used. */
  readonly issuers: Set<string>
}

/** What the proofs of a token say of its chain. */
export interface Signing {
  readonly evidence: Pick<VerifiedIdentity['delegation'], 'isSigned' | 'unsigned'>
  /** Issuers whose keys this rests on; none unless every actor has signed. */
  readonly issuers: readonly string[]
}

/**
 * Whether every actor of the chain has signed for its part in it, and if not, why: `actor_proofs` of the token has a proof for each, whose key the
 * tenant has registered for that very actor (`TenantRules.actorKeys`). Stricter than the draft: all proofs, and all for one subject,
 * so that none is grafted from another delegation.
 *
 * INVARIANT: it raises how well a chain is proven and nothing else; proofs that do not hold are as if there were none. What issuers
 * sign about themselves (`actor_receipts`) is not looked at.
 * @see draft-mcguinness-oauth-actor-proofs, consumer processing, whose steps the comments name
 */
export async function signingOf(
  claims: TokenClaims,
  chain: readonly Actor[],
  by: Pick<Demand, 'tenant' | 'keys' | 'now'>,
): Promise<Signing> {
  const issuers = new Set<string>()
  const objection = await objectionTo(claims, chain, { ...by, issuers })
  return objection === undefined
    ? { evidence: { isSigned: true }, issuers: [...issuers] }
    : { evidence: { unsigned: objection }, issuers: [] }
}

async function objectionTo(
  claims: TokenClaims,
  chain: readonly Actor[],
  by: Omit<Demand, 'claims'>,
): Promise<string | undefined> {
  const { actor_proofs: texts, actor_proofs_complete: isComplete = true } = claims.payload
  // 3 and 4
  if (!Array.isArray(texts) || chain.length === 0 || texts.length !== chain.length || isComplete !== true)
    return 'not one proof for each actor'
  const proofs = texts.map(readProof)
  if (proofs.includes(undefined)) return `proof ${proofs.indexOf(undefined)} is not a readable one`
  if (!areLinked(proofs)) return 'the proofs are not linked by their digests'
  if (!isForToken(proofs[0], claims)) return 'the newest proof is not for this token'
  for (const [i, proof] of proofs.entries()) {
    const objection = await objectionToOne(proof, chain[i], { ...by, claims })
    if (objection !== undefined) return `${objection} of proof ${i}`
  }
  return undefined
}

/** 5: a compact JWT of its own type, in which nothing is but what is known. */
function readProof(text: Json): ParsedJwt | undefined {
  const parsed = typeof text === 'string' ? parseJwt(text) : undefined
  if (parsed?.ok !== true || parsed.value.typ !== 'actor-proof+jwt') return undefined
  return Object.keys(parsed.value.header).every((name) => HEADER.includes(name)) ? parsed.value : undefined
}

/** 6: each proof names the digest of the next older one, all by one algorithm; the oldest names none. */
function areLinked(proofs: readonly (ParsedJwt | undefined)[]): boolean {
  const named = proofs[0]?.payload['prh_alg']
  const digest = DIGESTS.get(named)
  if (digest === undefined) return false
  return proofs.every((proof, i) => {
    const older = proofs[i + 1]
    const expected = older && hash(digest, older.text, 'base64url')
    return proof !== undefined && proof.payload['prh_alg'] === named && proof.payload['prh'] === expected
  })
}

/** 9: the newest proof is for every audience of the token, and for this very token where it names one. */
function isForToken(newest: ParsedJwt | undefined, { payload, issuer }: TokenClaims): boolean {
  const { target, origin_jti: origin } = newest?.payload ?? {}
  const consented = textsOf(isObject(target) ? target['aud'] : undefined)
  const audiences = textsOf(payload['aud'])
  const isConsented = audiences.length > 0 && audiences.every((name) => consented.includes(name))
  return isConsented && (origin === undefined || origin === claimAt(payload, issuer.claims.id ?? 'jti'))
}

/** 5, 7 and 8: one actor's own proof, of its own key, for the subject of the token. */
async function objectionToOne(
  proof: ParsedJwt | undefined,
  actor: Actor | undefined,
  demand: Demand,
): Promise<string | undefined> {
  if (proof === undefined || actor === undefined) return 'the actor'
  const { claims, now } = demand
  if (!isInTime(proof.payload, claims.issuer, toSeconds(now))) return 'the time'
  if (!isBy(proof.payload, actor)) return 'the actor'
  if (!isAbout(proof.payload, claims)) return 'the subject or target'
  const key = await keyOf(proof, actor, demand)
  if (key === undefined) return 'the key'
  try {
    await compactVerify(proof.text, key, { algorithms: [proof.alg] })
    return undefined
  } catch {
    return 'the signature'
  }
}

function isInTime(
  { exp, iat, nbf }: JsonObject,
  { clockToleranceSeconds: tolerance }: Issuer,
  now: EpochSeconds,
): boolean {
  if (!isDate(exp) || !isDate(iat) || !isDateOrAbsent(nbf)) return false
  return exp + tolerance > now && iat - tolerance <= now && (nbf ?? 0) - tolerance <= now
}

function isBy({ iss, act }: JsonObject, { id, issuer, profile }: Actor): boolean {
  if (!isObject(act) || Object.hasOwn(act, 'act') || Object.hasOwn(act, 'cnf')) return false
  const { sub_profile: said } = act
  if (said !== undefined && !(typeof said === 'string' && isSameSet(said, profile ?? ''))) return false
  return iss === id && act['sub'] === id && act['iss'] === issuer
}

/** A proof is for no audience of its own: that is in its target (excluded standard claims). */
function isAbout(
  { sub, sub_iss: namespace, aud, jti, target }: JsonObject,
  { payload, issuer }: TokenClaims,
): boolean {
  return (
    sub === payload['sub'] &&
    (namespace === undefined || namespace === issuer.issuer) &&
    aud === undefined &&
    typeof jti === 'string' &&
    isObject(target) &&
    textsOf(target['aud']).length > 0
  )
}

/**
 * The key that a proof must be signed with.
 *
 * INVARIANT: only one that the tenant has registered for this actor by its thumbprint, that has this thumbprint, and that nobody has
 * revoked; never one for being named by the proof or by who publishes it.
 */
async function keyOf(
  { kid, alg }: ParsedJwt,
  { id }: Actor,
  { tenant, keys, now, issuers }: Demand,
): Promise<CryptoKey | undefined> {
  const { actorKeys = {} } = tenant.rules ?? {}
  const own = Object.hasOwn(actorKeys, id) ? (actorKeys[id] ?? []) : []
  if (kid === undefined || !own.includes(kid)) return undefined
  const revoked = tenant.revocations?.find([{ kind: 'key', id: kid }], now, undefined)
  if (revoked !== undefined) return undefined
  for (const issuer of tenant.issuers) {
    const { profile, audience, algorithms } = issuer
    if (profile !== 'http-signature' || !audience.includes(TAG) || !algorithms.includes(alg)) continue
    const key = await (await keys.load(tenant.id, issuer))?.set.find(kid, alg)
    if (key === undefined || (await calculateJwkThumbprint(await exportJWK(key))) !== kid) continue
    issuers.add(issuer.issuer)
    return key
  }
  return undefined
}

/** Space-separated values without case, order and repetition (draft-mora-oauth-entity-profiles section 3.3). */
function isSameSet(one: string, other: string): boolean {
  const set = (text: string) => [...new Set(text.toLowerCase().split(' '))].toSorted().join(' ')
  return set(one) === set(other)
}

function textsOf(value: Json | undefined): readonly string[] {
  const list: readonly Json[] = Array.isArray(value) ? value : value === undefined ? [] : [value]
  return list.every((item) => typeof item === 'string') ? list : []
}
