import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'
import type { Hidden } from '#lib/hidden.ts'
import type { Challenge } from '#model/challenge.ts'
import type { Explanation } from '#model/explanation.ts'
import type { Found } from '#model/found.ts'
import type { DecisionId, ReleaseId, TenantId } from '#model/ids.ts'
import type { Advice, Obligation } from '#model/obligation.ts'
import type { ReasonCode } from '#model/reasons.ts'

/** One reason of a decision: a stable code, the policy it came from, the author's `@reason` text or our own. */
export interface Reason {
  readonly code: ReasonCode
  readonly policy?: string
  readonly message?: string
}

/** The answer: what leaves through every dialect. */
export interface Decision {
  readonly id: DecisionId
  readonly tenant: TenantId
  /** Who was decided about, after verification; header dialects tell the upstream. Absent where the party is absent. */
  readonly identity: { readonly agent?: string; readonly user?: string }
  readonly effect: 'allow' | 'deny'
  /** First entry is the deciding one; the order is deterministic. */
  readonly reasons: readonly Reason[]
  readonly obligations: readonly Obligation[]
  readonly advice: readonly Advice[]
  /**
   * Names (lower case) of all headers of the call in whose place the upstream gets what obligations set, or nothing: those that policies
   * of the release can set, and the one in which the caller's API key came where it must not go on.
   */
  readonly upstreamHeaders: readonly string[]
  readonly release: ReleaseId | undefined
  readonly stateVersion: number
  readonly decidedAt: EpochMilliseconds
  /** Of a list: positions of the candidates that stay. */
  readonly permitted?: readonly number[]
  /** Of a search: one page of what is permitted. */
  readonly found?: Found
  /** Until when an allow may be reused; undefined on a deny. */
  readonly expiresAt: EpochSeconds | undefined
  /** What a client must bring to be answered otherwise. */
  readonly challenge?: Challenge
  readonly retryAfterSeconds?: number
  /** For an operator; no gateway is told. */
  readonly explanation?: Explanation
  /** Bearer token that the upstream gets in place of the agent's own. */
  readonly upstreamToken?: Hidden
  /** Value of `x-mcp-authorized`: the tools that the caller could call, signed. */
  readonly capabilities?: Hidden
  /** Nonce for the client's next proof (RFC 9449 section 8.2), on allow and deny. */
  readonly proofNonce?: string
}
