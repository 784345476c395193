import { hash } from 'node:crypto'
import { mayAssert } from '#identity/assertion.ts'
import { stop } from '#identity/stop.ts'
import { type EpochMilliseconds, type EpochSeconds, toSeconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import { type Challenge, PROOF_ALGORITHMS } from '#model/challenge.ts'
import type { Gateway } from '#model/gateway.ts'
import type { Presenter, Stop, VerifiedToken } from '#model/identity.ts'
import type { AuthorizationRequest, Credential } from '#model/request.ts'
import type { TenantState } from '#model/state.ts'
import type { ClientCertificate, ReadCertificate } from './certificate.ts'
import { type DpopProof, PROOF_AGE_SECONDS_MAX, verifyDpop } from './dpop.ts'
import type { Nonces } from './nonces.ts'
import type { PublicKeys } from './public-keys.ts'
import { spiffeIdOf } from './spiffe-san.ts'
import { targetUris } from './target-uri.ts'

/** Whose proof is asked for. */
export interface PossessionAsked {
  readonly request: AuthorizationRequest
  readonly gateway: Gateway
  readonly tenant: TenantState
  readonly credential: Credential
  readonly boundTo: VerifiedToken['boundTo']
  /** Thumbprint of the key that signed the call; undefined where nobody did. */
  readonly signedBy?: string | undefined
}

/** A proof to be used once, taken when everything else holds. */
export interface Once {
  readonly key: string
  readonly question: string | undefined
  readonly issuedAt: EpochSeconds
  readonly expiresAt: EpochMilliseconds
}

/** Who presents the token; undefined: nobody knows. */
export interface Possession {
  readonly presenter: Presenter | undefined
  /** Nonce of the next proof, where the tenant demands nonces. */
  readonly nonce: string | undefined
  readonly once: Once | undefined
}

/** What proofs are checked with. */
export interface PossessionParts {
  readonly keys: PublicKeys
  readonly readCertificate: ReadCertificate
  readonly nonces: Nonces
}

/** Longer than a proof is accepted, so that servers whose clocks differ agree. */
const REMEMBER_SECONDS = PROOF_AGE_SECONDS_MAX + 120

/**
 * Whether the sender of a token holds what the token is bound to (RFC 9449, RFC 8705). A token that is bound to nothing is
 * a plain bearer token, whatever proof came along; one that is bound to two keys needs both proofs.
 *
 * INVARIANT: the token alone says what must be proven. No proof that is added, left out or altered makes an unproven token good.
 */
export function provePossession(asked: PossessionAsked, parts: PossessionParts): Result<Possession, Stop> {
  const certificate = certificateOf(asked, parts.readCertificate)
  if (!certificate.ok) return certificate
  const { boundTo, credential } = asked
  const nonce = nonceOf(asked, parts)
  if (boundTo?.jkt === undefined && credential.scheme === 'dpop')
    return failed(dpopStop(stop('pop.scheme', 'the token is bound to no key'), 'invalid_token', nonce))
  if (boundTo?.x5t !== undefined) {
    if (certificate.value === undefined)
      return failed(bearerStop(stop('pop.missing', 'no client certificate')))
    if (certificate.value.thumbprint !== boundTo.x5t)
      return failed(bearerStop(stop('pop.key', 'the token is bound to another certificate')))
  }
  const presenter = presenterOf(certificate.value, boundTo?.x5t !== undefined)
  if (boundTo?.jkt === undefined) return success({ presenter, nonce, once: undefined })
  if (isSigned(asked, boundTo.jkt, nonce))
    return success({
      presenter: { ...presenter, proof: 'http-signature', thumbprint: boundTo.jkt },
      nonce,
      once: undefined,
    })
  const proof = proofOf(asked, boundTo.jkt, nonce, parts)
  if (!proof.ok) return proof
  const { thumbprint } = proof.value
  return success({
    presenter: { ...presenter, proof: 'dpop', thumbprint },
    nonce,
    once: onceOf(proof.value, asked),
  })
}

/**
 * Why a certificate that came along can't be what the gateway passes on; for calls without a token too.
 *
 * INVARIANT: only the registered source counts. Any other could have been written by the client itself.
 */
export function objectionToSource({ proofs }: AuthorizationRequest, { settings }: Gateway): Stop | undefined {
  const foreign = proofs?.certificates.find(({ source }) => source !== settings?.certificateSource)
  return foreign && bearerStop(stop('pop.certificate_source', foreign.source))
}

/** The client's certificate as this gateway is registered to pass it on; undefined without one. */
function certificateOf(
  { request, gateway }: PossessionAsked,
  read: ReadCertificate,
): Result<ClientCertificate | undefined, Stop> {
  const objection = objectionToSource(request, gateway)
  if (objection !== undefined) return failed(objection)
  const first = request.proofs?.certificates[0]
  if (first === undefined) return success(undefined)
  const certificate = read(first, request.now)
  return certificate.ok ? certificate : failed(bearerStop(certificate.failure))
}

function presenterOf(certificate: ClientCertificate | undefined, isBound: boolean): Presenter | undefined {
  if (certificate === undefined) return undefined
  const { leaf, thumbprint } = certificate
  const spiffeId = leaf && spiffeIdOf(leaf)
  return {
    proof: isBound ? 'mtls' : 'none',
    thumbprint,
    ...(leaf !== undefined && {
      certificate: {
        serial: leaf.serialNumber,
        issuer: leaf.issuer,
        ...(spiffeId !== undefined && { spiffeId }),
      },
    }),
  }
}

function proofOf(
  asked: PossessionAsked,
  jkt: string,
  fresh: string | undefined,
  { keys, nonces }: PossessionParts,
): Result<DpopProof, Stop> {
  const { request, gateway, tenant, credential } = asked
  if (credential.scheme !== 'dpop')
    return failed(
      dpopStop(stop('pop.scheme', 'the token is bound and came as Bearer'), 'invalid_token', fresh),
    )
  const refuse = (why: Stop, error: Challenge['error'] = 'invalid_dpop_proof') =>
    failed(dpopStop(why, error, fresh))
  const call = request.route ?? request.proofs?.call
  const uris = targetUris(gateway.settings, call)
  if (!uris.ok) return refuse(uris.failure)
  const demand = {
    now: toSeconds(request.now),
    method: call?.method ?? '',
    uris: uris.value,
    token: credential.value,
    jkt,
  }
  const proof = verifyDpop(request.proofs?.dpop ?? [], demand, keys)
  if (!proof.ok) return refuse(proof.failure)
  const { nonce } = proof.value
  // RFC 9449 section 11.3: a nonce that is there must be ours, also where none is demanded.
  const isFresh = nonce === undefined ? fresh === undefined : nonces.accepts(tenant.id, request.now, nonce)
  if (isFresh) return proof
  const challenge = fresh ?? nonces.issue(tenant.id, request.now)
  return failed(dpopStop(stop('pop.nonce'), 'use_dpop_nonce', challenge))
}

/**
 * Whether the call's own signature takes the place of a DPoP proof.
 *
 * INVARIANT: not where a nonce of ours is demanded, which a signature does not carry, nor for what came as a DPoP token.
 */
function isSigned(
  { request, credential, signedBy }: PossessionAsked,
  jkt: string,
  nonce: string | undefined,
): boolean {
  const hasProof = (request.proofs?.dpop ?? []).length > 0
  return signedBy === jkt && credential.scheme === 'bearer' && !hasProof && nonce === undefined
}

function nonceOf(
  { request, tenant, boundTo }: PossessionAsked,
  { nonces }: PossessionParts,
): string | undefined {
  const isDemanded = boundTo?.jkt !== undefined && tenant.rules?.proofNonce === true
  return isDemanded ? nonces.issue(tenant.id, request.now) : undefined
}

function onceOf({ replayKey, issuedAt }: DpopProof, asked: PossessionAsked): Once {
  const { request } = asked
  const expiresAt = (request.now + REMEMBER_SECONDS * 1000) as EpochMilliseconds
  return { key: replayKey, question: questionOf(asked), issuedAt, expiresAt }
}

/**
 * Digest of the whole question with the gateway's own id of it.
 *
 * INVARIANT: only where the gateway wrote that id: in header dialects a client could choose it, and repeat the call with it.
 */
function questionOf({ request, gateway, credential }: PossessionAsked): string | undefined {
  if (request.requestId === undefined || !mayAssert(gateway, request.dialect, 'context')) return undefined
  const { requestId, tool, route, action, resource, session, context, declared } = request
  const parts = [
    gateway.id,
    requestId,
    tool,
    route,
    action,
    resource,
    request.arguments,
    session,
    context,
    declared,
  ]
  return hash('sha256', JSON.stringify([...parts, credential.value].map((part) => part ?? null)), 'hex')
}

function dpopStop(why: Stop, error: Challenge['error'], nonce: string | undefined): Stop {
  return {
    ...why,
    challenge: {
      scheme: 'DPoP',
      ...(error !== undefined && { error }),
      algorithms: PROOF_ALGORITHMS,
      ...(nonce !== undefined && { nonce }),
    },
  }
}

function bearerStop(why: Stop): Stop {
  return { ...why, challenge: { scheme: 'Bearer', error: 'invalid_token' } }
}
