import type { Judgement } from '#model/answer.ts'
import { type Challenge, challengeFor, isIndeterminate, PROOF_ALGORITHMS } from '#model/challenge.ts'
import type { Gateway } from '#model/gateway.ts'
import { isAutonomous, type VerifiedIdentity } from '#model/identity.ts'

/** What a denial tells the client about coming back. */
export interface ComeBack {
  readonly challenge?: Challenge
  readonly retryAfterSeconds?: number
}

const RETRY_AFTER_SECONDS = 1

/**
 * The challenge of a denial: the one that the step gave, or what its code says, with where the gateway's resource describes
 * itself (RFC 9728 section 5.1). A deny of policy that asks for another authentication of the user is RFC 9470's challenge; an agent
 * that acts alone can't step up and gets none.
 */
export function comeBack(
  judgement: Judgement,
  identity: VerifiedIdentity | undefined,
  { settings }: Gateway,
): ComeBack {
  if (judgement.effect === 'allow') return {}
  const code = judgement.reasons[0]?.code ?? 'internal.fault'
  const challenge = judgement.challenge ?? stepUp(judgement, identity) ?? challengeFor(code)
  const retryAfterSeconds =
    judgement.retryAfterSeconds ?? (isIndeterminate(code) ? RETRY_AFTER_SECONDS : undefined)
  const resourceMetadata = settings?.resourceMetadata
  return {
    ...(challenge !== undefined && {
      challenge: {
        ...withScheme(withoutOffline(challenge), identity),
        ...(resourceMetadata !== undefined && { resourceMetadata }),
      },
    }),
    ...(retryAfterSeconds !== undefined && { retryAfterSeconds }),
  }
}

/** For refresh tokens, of which a resource never asks for one (MCP 2026-07-28, authorization). */
const OFFLINE = 'offline_access'

function withoutOffline({ scope = [], ...challenge }: Challenge): Challenge {
  const asked = scope.filter((name) => name !== OFFLINE)
  return asked.length === 0 ? challenge : { ...challenge, scope: asked }
}

/** The scheme follows how the verified token is bound; one of DPoP names the algorithms of proofs (RFC 9449 section 7.1). */
function withScheme(challenge: Challenge, identity: VerifiedIdentity | undefined): Challenge {
  const isBound = identity?.token?.boundTo?.jkt !== undefined
  if (!isBound && challenge.scheme !== 'DPoP') return challenge
  return { ...challenge, scheme: 'DPoP', algorithms: challenge.algorithms ?? PROOF_ALGORITHMS }
}

/** INVARIANT: only after the token was verified, so that nobody learns what it would take without one (RFC 9470, security). */
function stepUp({ obligations }: Judgement, identity: VerifiedIdentity | undefined): Challenge | undefined {
  const wanted = obligations.find(({ type }) => type === 'step_up')?.properties['acr_value']
  if (typeof wanted !== 'string' || identity?.token === undefined || isAutonomous(identity)) return undefined
  return {
    scheme: 'Bearer',
    error: 'insufficient_user_authentication',
    acrValues: [wanted],
  }
}
