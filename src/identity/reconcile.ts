import { failed, type Result, success } from '#lib/result.ts'
import type { Actor, Party, Stop, VerifiedIdentity } from '#model/identity.ts'
import type { ActorClaim, PartyClaim } from '#model/request.ts'
import type { TenantState } from '#model/state.ts'
import { asserted, assertedDelegation } from './asserted.ts'
import type { TokenParties } from './claims.ts'
import type { NamedParties } from './named.ts'
import { stop } from './stop.ts'

/**
 * Joins what the token proves with what the request names. The token wins: a claim must agree with it or the answer is
 * `identity.mismatch`. Only an agent that the token is silent about may come from a gateway that asserts identity.
 *
 * INVARIANT: a claim never adds a party that the token settles; a token without a user speaks for its client alone.
 */
export function reconcile(
  token: TokenParties,
  named: NamedParties,
  tenant: TenantState,
  canAssert: boolean,
): Result<VerifiedIdentity, Stop> {
  if (named.user !== undefined && named.user.id !== token.user)
    return failed(stop('identity.mismatch', 'the user differs'))
  if (token.agent !== undefined && named.agent !== undefined && named.agent.id !== token.agent)
    return failed(stop('identity.mismatch', 'the agent differs'))
  if (token.agent === undefined && named.agent !== undefined && !canAssert)
    return failed(stop('identity.unasserted', 'the token names no agent'))
  const subject = reconcileSubject(token, named)
  if (!subject.ok) return subject
  const delegation = delegationOf(token, named)
  if (!agrees(named.chain, delegation.chain)) return failed(stop('identity.mismatch', 'the actors differ'))
  const isOwn = tenant.release?.vocabulary === 'own'
  return success({
    tenant: tenant.id,
    agent: verified(token.agent, named.agent) ?? asserted(named.agent),
    user: ofAgent(verified(token.user, named.user), token),
    subject: isOwn ? subject.value : undefined,
    delegation,
    token: token.token,
  })
}

function verified(id: string | undefined, claim: PartyClaim | undefined): Party | undefined {
  return id === undefined ? undefined : { id, provenance: 'verified', properties: claim?.properties ?? {} }
}

function ofAgent(user: Party | undefined, { isUserOfAgent }: TokenParties): Party | undefined {
  return user !== undefined && isUserOfAgent ? { ...user, ofAgent: true } : user
}

function reconcileSubject(
  token: TokenParties,
  { subject }: NamedParties,
): Result<VerifiedIdentity['subject'], Stop> {
  if (subject === undefined) return success(undefined)
  if (subject.id !== token.user && subject.id !== token.agent)
    return failed(stop('identity.mismatch', 'the subject is neither the user nor the agent of the token'))
  return success({
    uid: { type: subject.type, id: subject.id },
    provenance: 'verified',
    properties: subject.properties,
  })
}

function delegationOf(token: TokenParties, named: NamedParties): VerifiedIdentity['delegation'] {
  if (token.chain.length > 0) return { source: 'token', chain: token.chain }
  if (token.user === undefined) return { source: 'none', chain: [] }
  if (token.agent !== undefined) return { source: 'token', chain: [actor(token.token.issuer, token.agent)] }
  // The token is silent about who acts, so all that is known is what the gateway says.
  return assertedDelegation({ ...named, user: named.user ?? { id: token.user, properties: {} } })
}

/** INVARIANT: a copy of the chain neither adds to nor takes from what the token says. */
function agrees(claimed: readonly ActorClaim[] | undefined, chain: readonly Actor[]): boolean {
  // One actor that delegates nothing is the agent, which agrees already.
  if (claimed === undefined || (chain.length === 0 && claimed.length === 1)) return true
  return (
    claimed.length === chain.length &&
    chain.every(({ id, issuer }, i) => {
      const claim = claimed[i]
      return claim?.id === id && (claim.issuer === undefined || claim.issuer === issuer)
    })
  )
}

function actor(issuer: string | undefined, id: string): Actor {
  return { issuer, id }
}
