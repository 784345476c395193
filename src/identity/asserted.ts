import { failed, type Result, success } from '#lib/result.ts'
import type { Stop, VerifiedIdentity } from '#model/identity.ts'
import type { PartyClaim } from '#model/request.ts'
import type { TenantState } from '#model/state.ts'
import type { NamedParties } from './named.ts'
import { stop } from './stop.ts'

/** The identity that a gateway vouches for when there is no token. A tenant with its own vocabulary has a subject only. */
export function identityFromClaims(
  named: NamedParties,
  tenant: TenantState,
  canAssert: boolean,
): Result<VerifiedIdentity, Stop> {
  const { agent, user, subject } = named
  const isOwn = tenant.release?.vocabulary === 'own'
  if (agent === undefined && user === undefined && subject === undefined)
    return failed(stop('identity.missing'))
  if (!canAssert) return failed(stop('identity.unasserted'))
  // A subject of a tenant with our vocabulary says nothing by itself: the dialect has read the parties from it.
  if (!isOwn && tenant.release !== undefined && agent === undefined && user === undefined)
    return failed(stop('identity.missing', 'the subject is neither an agent nor a user'))
  return success({
    tenant: tenant.id,
    agent: asserted(agent),
    user: asserted(user),
    subject:
      isOwn && subject !== undefined
        ? {
            uid: { type: subject.type, id: subject.id },
            provenance: 'gateway',
            properties: subject.properties,
          }
        : undefined,
    delegation: assertedDelegation(named),
    token: undefined,
  })
}

/** What a gateway says about who acts for whom: its chain, or the one agent that acts for a user. */
export function assertedDelegation({ agent, user, chain }: NamedParties): VerifiedIdentity['delegation'] {
  // An agent alone acts for nobody.
  if (chain !== undefined && chain.length > (user === undefined ? 1 : 0)) return { source: 'gateway', chain }
  return agent !== undefined && user !== undefined
    ? { source: 'gateway', chain: [{ issuer: undefined, id: agent.id }] }
    : { source: 'none', chain: [] }
}

/** A party as the gateway named it. */
export function asserted(claim: PartyClaim | undefined): VerifiedIdentity['agent'] {
  return claim && { id: claim.id, provenance: 'gateway', properties: claim.properties }
}
