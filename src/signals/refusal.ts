/** Why a receiver did not get what it asked for. */
export interface Refusal {
  /** Stable. */
  readonly err: RefusalCode
  readonly description: string
  /** When it may ask again. */
  readonly retrySeconds?: number
}

/** Codes of refusals beside those of bodies that can't be read (`request.…`). */
export type RefusalCode =
  | 'http.unauthenticated'
  | 'stream.unknown'
  | 'stream.exists'
  | 'stream.invalid'
  | 'stream.disabled'
  | 'stream.verified_lately'
  | 'stream.changed_lately'

/** INVARIANT: the same for no credential, a wrong one and one that was revoked. */
export const UNAUTHENTICATED: Refusal = {
  err: 'http.unauthenticated',
  description: 'send the credential of the receiver as a bearer token',
}

/** INVARIANT: the same for a stream that does not exist and for that of somebody else. */
export const STREAM_UNKNOWN: Refusal = {
  err: 'stream.unknown',
  description: 'this receiver has no stream of that id',
}

/** A request that says something that can't be. */
export function invalidStream(description: string): Refusal {
  return { err: 'stream.invalid', description }
}
