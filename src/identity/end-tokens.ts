import type { EpochMilliseconds } from '#lib/clock.ts'
import { Hidden } from '#lib/hidden.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import { askToRevoke, type ExchangeCallParts } from './token-exchange-call.ts'

/** One exchanged token that is to be ended, leased to this server for a while. */
export interface DueToken {
  readonly id: string
  readonly tenant: TenantId
  readonly issuer: string
  readonly sealed: string
  /** Attempts so far, this one included. */
  readonly attempts: number
}

/** Exchanged tokens that are to be ended, durably. */
export interface DueTokens {
  /** Up to `limit` tokens that are due; no other server gets them for half a minute. */
  lease(limit: number): Promise<readonly DueToken[]>
  ended(id: string): Promise<void>
  /** Puts it off. */
  retry(id: string, seconds: number): Promise<void>
}

const AT_ONCE = 16
const RETRY_SECONDS_MAX = 3_600

/**
 * Ends what is due at its server by RFC 7009; gives how many tokens were leased. Any answer but 200 is tried again, later each
 * time up to an hour, until the token is over.
 */
export async function endDueTokens(
  parts: ExchangeCallParts & {
    readonly due: DueTokens
    readonly open: (token: DueToken) => string | undefined
    readonly findIssuer: (tenant: TenantId, issuer: string) => Issuer | undefined
    readonly onFault: (issuer: string, cause: string) => void
  },
  now: EpochMilliseconds,
): Promise<number> {
  const due = await parts.due.lease(AT_ONCE)
  await Promise.all(
    due.map(async (token) => {
      const cause = await end(token, parts, now)
      if (cause === undefined) return await parts.due.ended(token.id)
      parts.onFault(token.issuer, cause)
      await parts.due.retry(token.id, Math.min(2 ** token.attempts, RETRY_SECONDS_MAX))
    }),
  )
  return due.length
}

/** Undefined when it is ended, else why not. */
async function end(
  due: DueToken,
  parts: Parameters<typeof endDueTokens>[0],
  now: EpochMilliseconds,
): Promise<string | undefined> {
  const { tenant } = due
  const issuer = parts.findIssuer(tenant, due.issuer)
  if (issuer?.tokenExchange === undefined) return 'the issuer has no `token_exchange` any more'
  const text = parts.open(due)
  if (text === undefined) return 'the token can not be opened with the keys of this server'
  try {
    await askToRevoke(parts, { tenant, issuer, exchange: issuer.tokenExchange }, new Hidden(text), now)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : 'unknown fault'
  }
}
