import type { EpochSeconds } from '#lib/clock.ts'
import type { Challenge } from '#model/challenge.ts'
import type { Reason } from '#model/decision.ts'
import type { Explanation } from '#model/explanation.ts'
import type { Found } from '#model/found.ts'
import type { Advice, Obligation } from '#model/obligation.ts'
import type { Provenance } from '#model/provenance.ts'

/** What judging a request gives before it becomes a logged `Decision`. */
export interface Judgement {
  readonly effect: 'allow' | 'deny'
  readonly reasons: readonly Reason[]
  readonly obligations: readonly Obligation[]
  readonly advice: readonly Advice[]
  /** Latest instant at which an allow may still be used; undefined where nothing limits it. */
  readonly expiresAt: EpochSeconds | undefined
  readonly trace: JudgementTrace
  /** Of a list: positions of the candidates that stay. */
  readonly permitted?: readonly number[]
  /** Of a search: one page of what is permitted. */
  readonly found?: Found
  readonly challenge?: Challenge
  /** Set for an operator who asked for it, where the policies were asked. */
  readonly explanation?: Explanation
  readonly retryAfterSeconds?: number
}

/** What the log keeps beside the answer. Never contains secrets. */
export interface JudgementTrace {
  /** For operators only: what exactly went wrong. */
  readonly detail?: string
  /** The tool that was called, where the request named a route or an action. */
  readonly tool?: string
  /** What a search looked at, and the ids that it showed. */
  readonly search?: {
    readonly open: 'subject' | 'action' | 'resource'
    readonly type: string
    /** Candidates that were decided one by one. */
    readonly judged: number
    readonly shown: readonly string[]
    /** Whether nothing can follow on a next page. */
    readonly complete: boolean
  }
  /** The exchange of the access token that took place for this call; never a token. */
  readonly exchange?: {
    readonly issuer: string
    readonly audience: string
    readonly scope?: string
    readonly resource?: string
    /** Whether the token was issued for an earlier call. */
    readonly cached: boolean
  }
  /** Policies that were satisfied or errored, per party query, sorted. */
  readonly evaluations?: readonly {
    readonly party: 'agent' | 'user' | 'subject'
    readonly satisfied: readonly string[]
    readonly errored: readonly string[]
  }[]
  /** Provenance of each fact that the queries used, by dotted name. */
  readonly provenance?: { readonly [fact: string]: Provenance }
}
