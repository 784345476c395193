import { failed, type Result, success } from '#lib/result.ts'
import { isApiKey } from '#model/api-key.ts'
import type { Gateway } from '#model/gateway.ts'
import type { Stop, Transaction, VerifiedIdentity } from '#model/identity.ts'
import { type AuthorizationRequest, type Credential, isJsonDialect } from '#model/request.ts'
import type { TenantState } from '#model/state.ts'
import { signingOf } from './actor-proofs.ts'
import { asRegistered, readApiKey } from './api-key.ts'
import { identityFromClaims } from './asserted.ts'
import { mayAssert } from './assertion.ts'
import { mapClaims, type TokenParties } from './claims.ts'
import { complete } from './complete.ts'
import type { TokenFamilies } from './families.ts'
import type { Introspect } from './introspect.ts'
import { createVerifyToken, type VerifyToken } from './jwt.ts'
import type { KeySets } from './key-sets.ts'
import { type NamedParties, readNamedParties } from './named.ts'
import { type SignatureAsked, type Signer, verifyMessageSignature } from './proof/message-signature.ts'
import { type Once, objectionToSource, type Possession, type PossessionAsked } from './proof/possession.ts'
import type { ProofStep } from './proof/proof-step.ts'
import { reconcile } from './reconcile.ts'
import { stop } from './stop.ts'
import type { TokenCache } from './token-cache.ts'
import { objectionToAudience, type TokenClaims } from './token-claims.ts'
import { verifyTransaction } from './workload/transaction.ts'
import {
  identityOfWorkload,
  proveWorkload,
  type Workload,
  type WorkloadAsked,
  withWorkload,
} from './workload/workload.ts'

/**
 * Says who is asking, or why nobody can be believed. Never rejects; the first rule that failed wins, in the order of
 * docs/architecture.md. Whether the parties are registered or suspended is not checked here.
 */
export type Verify = (
  request: AuthorizationRequest,
  gateway: Gateway,
  tenant: TenantState,
) => Promise<Result<VerifiedIdentity, Stop>>

/** A verifier over a cache of verified tokens, its own unless one is given. */
export function createVerify(parts: {
  readonly keys: KeySets
  readonly cache?: TokenCache
  /** Undefined: a token that is bound to a key denies. */
  readonly proofs?: ProofStep
  /** Undefined: opaque tokens deny. */
  readonly introspect?: Introspect
  /** Undefined: an older token of a session is as good as a newer one. */
  readonly families?: TokenFamilies
}): Verify {
  const verifyToken = createVerifyToken(parts.keys, parts.cache, parts.introspect)
  return async (request, gateway, tenant) => {
    const objection =
      objectionToTenant(request, gateway, tenant) ??
      objectionToHeaders(request, gateway) ??
      objectionToSource(request, gateway)
    if (objection !== undefined) return failed(objection)
    const named = readNamedParties(request)
    if (!named.ok) return named
    if (named.value.tenant !== undefined && named.value.tenant !== tenant.id)
      return failed(stop('tenant.unknown'))
    const token = selectToken(request)
    if (!token.ok) return token
    const canAssert = mayAssert(gateway, request.dialect, 'identity')
    if (token.value !== undefined)
      return await identityFromToken(token.value, {
        request,
        gateway,
        tenant,
        named: named.value,
        canAssert,
        verifyToken,
        proofs: parts.proofs,
        families: parts.families,
        keys: parts.keys,
      })
    return await identityWithoutToken({ request, gateway, tenant, named: named.value, canAssert }, parts)
  }
}

/** Who asks without a token: a workload that proves itself, or whom the gateway names. */
async function identityWithoutToken(
  asked: Omit<WorkloadAsked, 'token'> & { readonly named: NamedParties; readonly canAssert: boolean },
  parts: { readonly proofs?: ProofStep; readonly keys: KeySets },
): Promise<Result<VerifiedIdentity, Stop>> {
  const { request, tenant, named, canAssert } = asked
  const workload = await workloadOf({ ...asked, token: undefined }, parts)
  if (!workload.ok) return workload
  const transaction = await transactionOf(asked, parts.keys)
  if (!transaction.ok) return transaction
  const signer = await signerOf(asked, parts)
  if (!signer.ok) return signer
  if (workload.value === undefined) {
    if (!isJsonDialect(request.dialect) && !canAssert) return failed(stop('credentials.missing'))
  }
  const identity =
    workload.value === undefined
      ? identityFromClaims(named, tenant, canAssert)
      : identityOfWorkload(workload.value, named, tenant, canAssert)
  const onces = [workload.value?.once, signer.value?.once]
  const used = identity.ok ? await useUp(onces, parts.proofs, request) : undefined
  const beside = {
    transaction: transaction.value,
    signer: signer.value,
    actors: [],
    tenant,
    keys: parts.keys,
  }
  return used === undefined ? complete(identity, beside) : failed(used)
}

/** An unknown tenant and one of somebody else are the same to the caller, down to the bytes (docs/architecture.md, invariant 7). */
function objectionToTenant(
  request: AuthorizationRequest,
  gateway: Gateway,
  tenant: TenantState,
): Stop | undefined {
  const isOwn = gateway.tenant === tenant.id && (request.tenant === undefined || request.tenant === tenant.id)
  return isOwn ? undefined : stop('tenant.unknown')
}

/** INVARIANT: an identity header from a gateway that may not assert identity denies, even beside a valid token. */
function objectionToHeaders(request: AuthorizationRequest, gateway: Gateway): Stop | undefined {
  const hasHeaders = request.identityHeaders.length > 0 && !isJsonDialect(request.dialect)
  return hasHeaders && !mayAssert(gateway, request.dialect, 'identity')
    ? stop('identity.forged_header', request.identityHeaders.map(([name]) => name).join(', '))
    : undefined
}

/** The one access token of the request; undefined when it carries no credential at all. */
function selectToken(request: AuthorizationRequest): Result<Credential | undefined, Stop> {
  const [first, second] = request.credentials
  if (first === undefined) return success(undefined)
  if (second !== undefined) return failed(stop('credentials.multiple'))
  // An API key came as `X-API-Key` or as Bearer; either way whoever holds it can present it.
  if (first.scheme === 'api-key') return success({ ...first, scheme: 'bearer' })
  const isToken = first.scheme === 'bearer' || first.scheme === 'dpop'
  return isToken ? success(first) : failed(stop('credentials.unsupported'))
}

async function identityFromToken(
  credential: Credential,
  parts: {
    readonly request: AuthorizationRequest
    readonly gateway: Gateway
    readonly tenant: TenantState
    readonly named: NamedParties
    readonly canAssert: boolean
    readonly verifyToken: VerifyToken
    readonly proofs: ProofStep | undefined
    readonly families: TokenFamilies | undefined
    readonly keys: KeySets
  },
): Promise<Result<VerifiedIdentity, Stop>> {
  const { request, gateway, tenant, proofs } = parts
  const verified = await claimsOf(credential.value, parts)
  if (!verified.ok) return verified
  const { boundTo } = verified.value
  const signer = await signerOf(parts, parts)
  if (!signer.ok) return signer
  const signedBy = signer.value?.thumbprint
  const possession = prove(proofs, { request, gateway, tenant, credential, boundTo, signedBy })
  if (!possession.ok) return possession
  const parties = mapClaims(verified.value, tenant)
  if (!parties.ok) return parties
  if (isSuperseded(parties.value, verified.value, parts)) return failed(stop('token.superseded'))
  const identity = reconcile(parties.value, parts.named, tenant, parts.canAssert)
  if (!identity.ok) return identity
  const { presenter, nonce, once } = possession.value
  const by = { tenant, keys: parts.keys, now: request.now }
  const signing =
    verified.value.payload['actor_proofs'] === undefined
      ? undefined
      : await signingOf(verified.value, parties.value.chain, by)
  const proven: VerifiedIdentity = {
    ...asRegistered(identity.value),
    ...(signing !== undefined && { delegation: { ...identity.value.delegation, ...signing.evidence } }),
    ...(presenter !== undefined && { presenter }),
    ...(nonce !== undefined && { nonce }),
  }
  const workload = await workloadOf({ request, gateway, tenant, token: credential.value }, parts)
  if (!workload.ok) return workload
  const sent = withWorkload(proven, workload.value)
  if (!sent.ok) return sent
  const transaction = await transactionOf(parts, parts.keys)
  if (!transaction.ok) return transaction
  // INVARIANT: a proof is taken last, so that nobody uses up the proofs of others.
  const used = await useUp([once, workload.value?.once, signer.value?.once], proofs, request)
  const { issuers: actors = [] } = signing ?? {}
  const beside = { transaction: transaction.value, signer: signer.value, actors, tenant, keys: parts.keys }
  return used === undefined ? complete(sent, beside) : failed(used)
}

/** What a token or an API key says, if it is good at this gateway. */
async function claimsOf(
  value: string,
  {
    request,
    gateway,
    tenant,
    verifyToken,
  }: {
    readonly request: AuthorizationRequest
    readonly gateway: Gateway
    readonly tenant: TenantState
    readonly verifyToken: VerifyToken
  },
): Promise<Result<TokenClaims, Stop>> {
  // INVARIANT: an API key is looked up here and sent nowhere; an issuer that is asked about opaque tokens never sees it.
  if (isApiKey(value)) return readApiKey(value, gateway, tenant, request.now)
  const verified = await verifyToken(value, tenant, request.now)
  const objection = verified.ok ? objectionToUse(verified.value, gateway) : undefined
  return objection === undefined ? verified : failed(objection)
}

function transactionOf(
  { request, tenant }: { readonly request: AuthorizationRequest; readonly tenant: TenantState },
  keys: KeySets,
): Promise<Result<Transaction | undefined, Stop>> {
  return verifyTransaction(request.proofs?.transactionToken ?? [], tenant, keys, request.now)
}

/** Without the means to check proofs, the call is refused as one with a workload. */
async function signerOf(
  asked: SignatureAsked,
  { proofs, keys }: { readonly proofs?: ProofStep | undefined; readonly keys: KeySets },
): Promise<Result<Signer | undefined, Stop>> {
  return proofs === undefined
    ? success(undefined)
    : await verifyMessageSignature(asked, keys, proofs.publicKeys)
}

/** Without the means to check proofs, a workload that wants to prove itself is refused. */
async function workloadOf(
  asked: WorkloadAsked,
  { proofs, keys }: { readonly proofs?: ProofStep | undefined; readonly keys: KeySets },
): Promise<Result<Workload | undefined, Stop>> {
  if (asked.request.proofs === undefined) return success(undefined)
  return proofs === undefined
    ? failed(stop('credentials.unsupported', 'proofs are not checked here'))
    : await proveWorkload(asked, { ...proofs, keys })
}

async function useUp(
  all: readonly (Once | undefined)[],
  proofs: ProofStep | undefined,
  request: AuthorizationRequest,
): Promise<Stop | undefined> {
  for (const once of all) {
    const denial = once && (await proofs?.reserve(once, request))
    if (denial !== undefined) return denial
  }
  return undefined
}

/** Where the issuer rotates tokens, an older one of a session may be a copy (RFC 9700 section 4.14.2 for refresh tokens). */
function isSuperseded(
  { token, agent = '' }: TokenParties,
  { issuer }: TokenClaims,
  {
    families,
    tenant,
    request,
  }: {
    readonly families: TokenFamilies | undefined
    readonly tenant: TenantState
    readonly request: AuthorizationRequest
  },
): boolean {
  return issuer.rotation === true && families?.isNewest(tenant.id, token, agent, request.now) === false
}

/** RFC 9449 section 7.1: a token that is bound to a key is worth nothing without the proof. */
function prove(proofs: ProofStep | undefined, asked: PossessionAsked): Result<Possession, Stop> {
  if (proofs !== undefined) return proofs.prove(asked)
  return asked.boundTo === undefined && asked.credential.scheme === 'bearer'
    ? success({ presenter: undefined, nonce: undefined, once: undefined })
    : failed(stop('credentials.unsupported', 'the token is bound to a key'))
}

/** What a good token is not good for here. Checked on every use, since a token is cached without its gateway. */
function objectionToUse({ payload, issuer }: TokenClaims, { settings }: Gateway): Stop | undefined {
  // INVARIANT: a gateway only narrows what the issuer's registration accepts; both lists must hold the audience.
  const audience = settings?.audience
  return audience && objectionToAudience(payload['aud'], audience, issuer.audiencesMax)
}
