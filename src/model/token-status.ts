import type { EpochMilliseconds } from '#lib/clock.ts'
import type { TenantState } from '#model/state.ts'

/** What a status list says of a token; `unknown`: there is no list to rely on. */
export type TokenStatus = 'valid' | 'invalid' | 'suspended' | 'unknown'

/** A place in a status list (`status.status_list`). */
export interface StatusPlace {
  readonly index: number
  readonly uri: string
}

/** A verified token of any kind, as far as its status goes. */
export interface StatedToken {
  readonly issuer: string
  /** Where its issuer says whether it is still valid; undefined: it does not. */
  readonly status?: StatusPlace | undefined
}

/** What issuers say of tokens in their status lists. */
export interface TokenStatuses {
  /** Answers from memory at once; a list that is not there is fetched meanwhile. A token without a status is valid. */
  statusOf(token: StatedToken, tenant: TenantState, now: EpochMilliseconds): TokenStatus
}
