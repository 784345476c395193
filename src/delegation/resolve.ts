import type { EpochMilliseconds } from '#lib/clock.ts'
import type { FindAgent } from '#model/delegation.ts'
import type { ChainEvidence, VerifiedIdentity } from '#model/identity.ts'
import type { TenantState } from '#model/state.ts'
import { type Edge, edgesOf, grantsOf } from './edges.ts'

/**
 * Adds what is registered about a delegation: the grants that it rests on, how well it is proven, and which other tenants it
 * crosses. Judges nothing.
 */
export function resolveDelegation(
  identity: VerifiedIdentity,
  tenant: TenantState,
  findAgent: FindAgent,
  now: EpochMilliseconds,
): VerifiedIdentity {
  const { agent, delegation } = identity
  const edges = edgesOf(identity)
  const steps = edges.filter(({ isStep }) => isStep)
  const grantsAt = (edge: Edge) => grantsOf(edge, tenant.delegations, now)
  const isRegistered = steps.length > 0 && steps.every((step) => grantsAt(step).length > 0)
  const home = (id: string) => {
    const found = findAgent(id)
    return found?.federations === undefined ? undefined : found.home
  }
  const actors = [...(agent === undefined ? [] : [agent.id]), ...delegation.chain.map(({ id }) => id)]
  const crossings = new Set(actors.flatMap((id) => home(id) ?? []))
  const agentHome = agent && home(agent.id)
  return {
    ...identity,
    agent: agent && { ...agent, ...(agentHome !== undefined && { home: agentHome }) },
    delegation: {
      ...delegation,
      evidence: evidenceOf(identity, isRegistered),
      grants: [...new Set(edges.flatMap(grantsAt).map(({ id }) => id))],
      crossings: [...crossings],
    },
  }
}

/**
 * `declared`: a gateway says so. `token`: the issuer does. `registered`: and every step has a grant in force. `proven`: and
 * whoever acts now has shown its key. `signed`: and every actor has signed for its part.
 */
function evidenceOf(identity: VerifiedIdentity, isRegistered: boolean): ChainEvidence {
  const { delegation } = identity
  if (delegation.chain.length === 0) return 'none'
  if (delegation.source !== 'token') return 'declared'
  if (!isRegistered) return 'token'
  if (!hasShownKey(identity)) return 'registered'
  return delegation.isSigned === true ? 'signed' : 'proven'
}

/** INVARIANT: a workload that sends the token of another agent shows a key of its own, and nothing about that agent. */
function hasShownKey({ agent, token, presenter }: VerifiedIdentity): boolean {
  if (presenter === undefined || presenter.proof === 'none') return false
  const { workload } = presenter
  return workload === undefined || workload === agent?.id || token?.boundTo !== undefined
}
