import type { Hidden } from '#lib/hidden.ts'
import type { Judgement } from '#model/answer.ts'
import type { Stop, VerifiedIdentity } from '#model/identity.ts'
import { stripsCredentials } from '#model/obligation.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { TenantState } from '#model/state.ts'

/** What judging found, with everything that the log wants to know. */
export interface Judged {
  readonly judgement: Judgement
  readonly identity?: VerifiedIdentity
  readonly tenant?: TenantState
  /** The request with what its message turned out to call. */
  readonly call?: AuthorizationRequest
  /** What takes the place of the agent's token on the call to the upstream. */
  readonly upstreamToken?: Hidden
  /** Signed list of the tools that the caller could call, for a gateway that reduces lists itself. */
  readonly capabilities?: Hidden
}

/** A deny before the policies were asked. */
export function stopped(stop: Stop, tenant?: TenantState, identity?: VerifiedIdentity): Judged {
  const judgement: Judgement = {
    effect: 'deny',
    reasons: [{ code: stop.code, message: stop.message }],
    obligations: [],
    advice: [],
    expiresAt: undefined,
    trace: stop.detail === undefined ? {} : { detail: stop.detail },
    ...(stop.challenge !== undefined && { challenge: stop.challenge }),
    ...(stop.retryAfterSeconds !== undefined && { retryAfterSeconds: stop.retryAfterSeconds }),
  }
  return { judgement, ...(tenant !== undefined && { tenant }), ...(identity !== undefined && { identity }) }
}

/**
 * `Decision.upstreamHeaders`. INVARIANT: with `Authorization` goes every other header that the agent's credential came in.
 */
export function upstreamHeadersOf(
  { judgement, tenant }: Judged,
  { credentials }: Pick<AuthorizationRequest, 'credentials'>,
): readonly string[] {
  const settable = tenant?.release?.upstreamHeaders ?? []
  if (!stripsCredentials(judgement.obligations)) return settable
  return [...new Set([...settable, ...credentials.flatMap(({ header }) => header ?? [])])]
}
