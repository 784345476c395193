import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'

/** What can be revoked or stopped; ids in the form that `Dependency.id` has. */
export type RevocationKind =
  | 'token'
  | 'subject'
  | 'agent'
  | 'blueprint'
  | 'client'
  | 'session'
  | 'grant'
  | 'edge'
  | 'key'
  | 'certificate'
  | 'task'
  | 'tool'
  | 'issuer'
  | 'tenant'
  | 'everything'

/** One thing that a call depends on: when it is revoked, the call is denied. */
export interface Dependency {
  readonly kind: RevocationKind
  /**
   * token: `issuer|jti` · subject: `issuer|sub` (issuer empty: asserted) · agent, blueprint, client, grant, task, tool: registry or
   * claim id · session: `issuer|sid` · edge: `from>to` · key: thumbprint or `issuer|kid` · certificate: SHA-256 thumbprint or
   * `issuer DN|serial` · issuer: its URL · tenant: its id · everything: `*`.
   */
  readonly id: string
}

/** Every kind, in the order of the documentation. */
export const REVOCATION_KINDS: readonly RevocationKind[] = [
  'token',
  'subject',
  'agent',
  'blueprint',
  'client',
  'session',
  'grant',
  'edge',
  'key',
  'certificate',
  'task',
  'tool',
  'issuer',
  'tenant',
  'everything',
]

/** Who set a revocation: an administrator, a signal of another system, or a circuit breaker. */
export type RevocationSource = 'admin' | 'signal' | 'breaker'

/** A revocation or a kill switch in force. */
export interface Revocation extends Dependency {
  /** Names this revocation itself (UUID); what is lifted is named by it. */
  readonly revocation: string
  readonly source: RevocationSource
  /** `deny` for good, `kill` until lifted by a second person, `breaker` until its end. */
  readonly mode: 'deny' | 'kill' | 'breaker'
  /** Only tokens issued before this are stopped: a new token is good again. Undefined: all. */
  readonly issuedBefore?: EpochSeconds
  readonly expiresAt?: EpochMilliseconds
  readonly reason: string
}

/** All revocations of one tenant at one state version, those of the whole installation included. Immutable. */
export interface Revocations {
  readonly size: number
  /** The first of `dependencies` that is revoked at `now`, for a token issued at `issuedAt` (undefined: unknown, which matches). */
  find(
    dependencies: readonly Dependency[],
    now: EpochMilliseconds,
    issuedAt: EpochSeconds | undefined,
  ): Revocation | undefined
}
