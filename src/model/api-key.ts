import type { EpochSeconds } from '#lib/clock.ts'
import type { VerifiedToken } from '#model/identity.ts'

/**
 * Issuer of every API key: in the log, in policies (`context.token.issuer`) and on deny lists. No token issuer can be registered
 * under a name that begins so.
 */
export const API_KEY_ISSUER = 'urn:warder:api-key'

/** How every API key begins. */
export const API_KEY_PREFIX = 'wak_'

/** A secret that an agent presents in place of a token; only its SHA-256 is known. */
export interface ApiKey {
  /** Names this secret, and no other, on deny lists: `urn:warder:api-key|ID`. */
  readonly id: string
  readonly agent: string
  readonly createdAt: EpochSeconds
  readonly expiresAt: EpochSeconds
  /** What has to be proven beside it. Undefined: whoever holds it can present it. */
  readonly boundTo?: VerifiedToken['boundTo']
  /** What it counts as having where a tool demands scopes. Undefined: none. */
  readonly scopes?: readonly string[]
  /**
   * Names of the gateways that it may come through. Undefined: any that accept API keys. INVARIANT: a name stands for one gateway for ever,
   * also when that is revoked, so no other one inherits its keys.
   */
  readonly gateways?: readonly string[]
}

/** Whether a credential is an API key, whatever scheme it came under. */
export function isApiKey(value: string): boolean {
  return value.startsWith(API_KEY_PREFIX)
}
