import type { EpochMilliseconds } from '#lib/clock.ts'
import type { VerifiedToken } from '#model/identity.ts'
import type { TenantState } from '#model/state.ts'

/** What a status list says of a token; `unknown`: there is no list to rely on. */
export type TokenStatus = 'valid' | 'invalid' | 'suspended' | 'unknown'

/** What issuers say of tokens in their status lists. */
export interface TokenStatuses {
  /** Answers from memory at once; a list that is not there is fetched meanwhile. A token without a status is valid. */
  statusOf(token: VerifiedToken, tenant: TenantState, now: EpochMilliseconds): TokenStatus
}
