import type { DelegationGrant, Delegations, Federation } from '#model/delegation.ts'
import { covers } from './edges.ts'

/** A grant as it was registered, with the end that somebody put to it. */
export interface RegisteredGrant extends DelegationGrant {
  readonly isRevoked: boolean
}

/** Indexes what a tenant has registered. Revoked grants stay known: the steps that they were for stay governed. */
export function createDelegations(
  grants: readonly RegisteredGrant[],
  federations: readonly Federation[],
): Delegations {
  const byAgent = new Map<string, RegisteredGrant[]>()
  for (const grant of grants) {
    const known = byAgent.get(grant.to)
    if (known === undefined) byAgent.set(grant.to, [grant])
    else known.push(grant)
  }
  const to = (agent: string): readonly RegisteredGrant[] => byAgent.get(agent) ?? []
  return {
    grantsTo: (agent, now) =>
      to(agent).filter(({ isRevoked, expiresAt }) => !isRevoked && (expiresAt ?? Infinity) > now),
    // INVARIANT: ending a grant never widens what its step may do: a step that once had a grant needs one from then on.
    isGoverned: (from, agent) => to(agent).some((grant) => covers(grant.from, from)),
    federations,
  }
}
