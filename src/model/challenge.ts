/**
 * What the client must be told so that it can come back with something better. Header dialects write it as
 * `WWW-Authenticate` (RFC 6750 section 3, RFC 9449 section 7.1, RFC 9470 section 3), JSON dialects as an object.
 * INVARIANT: says nothing about which party, hop or audience was refused.
 */
export interface Challenge {
  readonly scheme: 'Bearer' | 'DPoP'
  /** Undefined when no credential was sent at all (RFC 6750 section 3.1). */
  readonly error?:
    | 'invalid_request'
    | 'invalid_token'
    | 'insufficient_scope'
    | 'insufficient_user_authentication'
    | 'invalid_dpop_proof'
    | 'use_dpop_nonce'
    | 'actor_unauthorized'
  /** All scopes that the call needs, in one challenge. */
  readonly scope?: readonly string[]
  /** Step-up: acceptable authentication context classes, and the greatest age of the authentication in seconds. */
  readonly acrValues?: readonly string[]
  readonly maxAgeSeconds?: number
  /** Proof algorithms that are accepted, with scheme DPoP. */
  readonly algorithms?: readonly string[]
  /** Goes into the `DPoP-Nonce` header, on allows too. */
  readonly nonce?: string
  /** URL of the protected resource metadata (RFC 9728). */
  readonly resourceMetadata?: string
}

/** Algorithms of proofs that challenges name; others of RFC 7518 that are asymmetric are accepted too. */
export const PROOF_ALGORITHMS: readonly string[] = ['ES256', 'ES384', 'PS256', 'RS256', 'Ed25519', 'EdDSA']

/** Reasons that say nothing about the request: what would have decided could not be found out, and asking again may help. */
const INDETERMINATE: ReadonlySet<string> = new Set([
  'agent.metadata_unavailable',
  'token.keys_unavailable',
  'token.keys_stale',
  'token.introspection_unavailable',
  'revoked.status_unknown',
  'pop.unavailable',
  'exchange.unavailable',
  'state.stale',
  'revoked.breaker',
  'log.unavailable',
  'log.overflow',
])

/** The call contradicts itself, or what came beside the token does not hold: a bad request, for which no other token helps. */
const BAD_REQUESTS: ReadonlySet<string> = new Set([
  'mcp.header_mismatch',
  'workload.proof',
  'workload.untrusted',
  'signature.invalid',
  'txn.invalid',
])

/** Whether a denial with this code says nothing about the request; its credentials may be good. */
export function isIndeterminate(code: string): boolean {
  return INDETERMINATE.has(code)
}

/** Whether a denial with this code says that no credential came at all. */
export function isWithoutCredentials(code: string): boolean {
  return code === 'identity.missing' || code === 'credentials.missing'
}

/** What a client must be told for denials that have no challenge of their own; undefined where no credential would help. */
export function challengeFor(code: string): Challenge | undefined {
  // RFC 6750 section 3: no error code when no credential was sent.
  if (isWithoutCredentials(code)) return { scheme: 'Bearer' }
  // Nothing is known about the token, and the client must not throw it away.
  if (isIndeterminate(code)) return undefined
  // `token.malformed` too: RFC 6750 section 3.1 calls a malformed token invalid_token, and a malformed request invalid_request.
  const isInvalid = code.startsWith('token.') || code.startsWith('pop.') || code === 'credentials.key_unknown'
  // INVARIANT: whatever was revoked (token, subject, an actor, a grant), the client learns the same.
  if (isInvalid || code === 'revoked.authority') return { scheme: 'Bearer', error: 'invalid_token' }
  if (code.startsWith('credentials.')) return { scheme: 'Bearer', error: 'invalid_request' }
  return undefined
}

/** Status of a denial where all statuses can be said: 503, 400, 401 or 403 (RFC 6750 section 3.1, draft-ietf-wimse-workload-creds,
 * MCP 2026-07-28 for headers that contradict the body). */
export function statusOf(code: string, challenge: Challenge | undefined): 400 | 401 | 403 | 503 {
  if (isIndeterminate(code)) return 503
  if (challenge === undefined) return BAD_REQUESTS.has(code) ? 400 : 403
  const { error } = challenge
  if (error === 'invalid_request') return 400
  return error === 'insufficient_scope' || error === 'actor_unauthorized' ? 403 : 401
}
