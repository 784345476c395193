import { type EpochMilliseconds, toSeconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Stop, VerifiedIdentity } from '#model/identity.ts'
import { REASONS } from '#model/reasons.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import {
  endOf,
  type FitsDetails,
  type GrantsByStep,
  grantsForCall,
  narrowScopes,
  ruleBlueprints,
} from './ceilings.ts'
import {
  agentsOf,
  type Broken,
  type ChainFacts,
  ruleActor,
  ruleCycle,
  ruleDepth,
  ruleEvidence,
  ruleIssuer,
  ruleTenant,
} from './rules.ts'

/** Names under which a gateway asks whether a token may be exchanged (RFC 8693). */
const EXCHANGES: ReadonlySet<string> = new Set(['token_exchange', 'oauth/token_exchange'])

/**
 * Judges a delegation for one call, and narrows what it may do to what every step of it grants: the identity that comes back has
 * the scopes that the token and all grants have, and ends with the first of them.
 *
 * INVARIANT: prior actors only deny (RFC 8693 section 4.1), and the answer is the same whichever hop it was; only the detail,
 * which stays in the log, tells.
 *
 * @param fits whether the call fits one of the details of a grant; the identity may be one that `resolveDelegation` gave
 */
export function guardDelegation(
  facts: ChainFacts,
  call: AuthorizationRequest,
  fits: FitsDetails,
): Result<VerifiedIdentity, Stop> {
  const broken =
    ruleActor(facts) ??
    ruleDepth(facts) ??
    ruleCycle(facts) ??
    ruleIssuer(facts) ??
    ruleTenant(facts) ??
    ruleEvidence(facts) ??
    ruleMayAct(facts, call)
  if (broken !== undefined) return failed(stopFor(broken))
  const grants = grantsForCall(facts, fits, call.now)
  if (!grants.ok) return failed(stopFor(grants.failure))
  const beyond = ruleBlueprints(facts)
  return beyond === undefined ? success(narrowed(facts, grants.value)) : failed(stopFor(beyond))
}

/** `may_act` is for who exchanges tokens; anywhere else it is not looked at. */
function ruleMayAct({ identity, tool }: ChainFacts, { action }: AuthorizationRequest): Broken | undefined {
  const mayAct = identity.token?.mayAct
  if (mayAct === undefined || ![tool, action?.name].some((name) => name !== undefined && EXCHANGES.has(name)))
    return undefined
  const actor = identity.delegation.chain[0] ?? identity.agent
  const issuer = identity.delegation.chain[0]?.issuer ?? mayAct.issuer
  return actor?.id === mayAct.id && issuer === mayAct.issuer
    ? undefined
    : { code: 'chain.may_act', detail: `\`may_act\` names \`${mayAct.id}\`` }
}

function narrowed({ identity, findAgent }: ChainFacts, byStep: GrantsByStep): VerifiedIdentity {
  const { token, delegation } = identity
  const ends = agentsOf(identity).flatMap((id) => findAgent(id)?.federations ?? [])
  const end = Math.min(endOf(byStep), ...ends.map(({ endsAt }) => endsAt))
  return {
    ...identity,
    delegation: {
      ...delegation,
      grants: [...new Set(byStep.flat().map(({ id }) => id))],
      ...(Number.isFinite(end) && { endsAt: toSeconds(end as EpochMilliseconds) }),
    },
    token: token && { ...token, scopes: narrowScopes(token.scopes, byStep) },
  }
}

function stopFor({ code, detail }: Broken): Stop {
  return {
    code,
    message: REASONS[code],
    detail,
    // Another token helps where only the actor is missing (actor profile, JWT access token processing).
    challenge: { scheme: 'Bearer', error: code === 'chain.actor' ? 'invalid_token' : 'actor_unauthorized' },
  }
}
