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
