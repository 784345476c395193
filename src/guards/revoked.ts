import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'
import type { Stop } from '#model/identity.ts'
import { REASONS } from '#model/reasons.ts'
import type { Dependency, Revocation, Revocations } from '#model/revocation.ts'
import type { TenantState } from '#model/state.ts'
import type { StatedToken, TokenStatuses } from '#model/token-status.ts'

/**
 * What stops a call because something that it hangs on is revoked, is stopped by a kill switch, or has an open breaker.
 *
 * INVARIANT: the answer is the same whichever hop, key or ancestor it was; only the detail, which stays in the log, tells.
 *
 * @param issuedAt of the token; undefined matches every revocation
 */
export function guardRevoked(
  dependencies: readonly Dependency[],
  revocations: Revocations | undefined,
  now: EpochMilliseconds,
  issuedAt: EpochSeconds | undefined,
): Stop | undefined {
  const found = revocations?.find(dependencies, now, issuedAt)
  return found === undefined ? undefined : stopFor(found, now)
}

/** Later than any token: only what is stopped for good matches, not what asks for newer tokens. */
const ANY_TOKEN = Number.POSITIVE_INFINITY as EpochSeconds

/**
 * Kill switches that need nothing verified: for everything, the tenant, the tool. Checked before any cryptography, so that a
 * stop also takes the load away.
 */
export function guardStopped(
  places: readonly Dependency[],
  revocations: Revocations | undefined,
  now: EpochMilliseconds,
): Stop | undefined {
  return guardRevoked(places, revocations, now, ANY_TOKEN)
}

const STATUS_RETRY_SECONDS = 1

/**
 * What stops a call one of whose `tokens` is not called valid by the status list of its issuer.
 *
 * INVARIANT: a token that points to a list counts for nothing until that list was read; without `statuses` it never does.
 */
export function guardStatus(
  tokens: readonly (StatedToken | undefined)[],
  statuses: TokenStatuses | undefined,
  tenant: TenantState,
  now: EpochMilliseconds,
): Stop | undefined {
  // Each is asked about, so that all lists that are not there are fetched at the same time.
  const said = tokens.flatMap((token) =>
    token?.status === undefined
      ? []
      : [{ place: token.status, status: statuses?.statusOf(token, tenant, now) ?? 'unknown' }],
  )
  const found =
    said.find(({ status }) => status === 'invalid' || status === 'suspended') ??
    said.find(({ status }) => status !== 'valid')
  if (found === undefined) return undefined
  const { place, status } = found
  const detail = `index ${place.index} of the status list ${place.uri}: ${status}`
  if (status !== 'unknown') return revokedAuthority(detail)
  return {
    code: 'revoked.status_unknown',
    message: REASONS['revoked.status_unknown'],
    detail,
    retryAfterSeconds: STATUS_RETRY_SECONDS,
  }
}

/** What a call is told that `revocation` stops. */
function stopFor(revocation: Revocation, now: EpochMilliseconds): Stop {
  const detail = `${revocation.mode} of ${revocation.kind} \`${revocation.id}\` (${revocation.revocation}): ${revocation.reason}`
  if (revocation.mode === 'breaker') {
    const left = revocation.expiresAt === undefined ? 1 : Math.ceil((revocation.expiresAt - now) / 1000)
    return {
      code: 'revoked.breaker',
      message: REASONS['revoked.breaker'],
      detail,
      retryAfterSeconds: Math.max(1, left),
    }
  }
  // No new token helps against a stop of the tool, the tenant or everything, so none is asked for.
  if (isPlace(revocation)) return { code: 'revoked.stopped', message: REASONS['revoked.stopped'], detail }
  return revokedAuthority(detail)
}

function revokedAuthority(detail: string): Stop {
  return {
    code: 'revoked.authority',
    message: REASONS['revoked.authority'],
    detail,
    challenge: { scheme: 'Bearer', error: 'invalid_token' },
  }
}

function isPlace({ kind }: Revocation): boolean {
  return kind === 'tool' || kind === 'tenant' || kind === 'everything'
}
