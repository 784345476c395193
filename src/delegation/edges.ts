import type { EpochMilliseconds } from '#lib/clock.ts'
import type { DelegationGrant, Delegations } from '#model/delegation.ts'
import type { VerifiedIdentity } from '#model/identity.ts'

/** One step of a delegation: authority flows from a user or agent to an agent. */
export interface Edge {
  readonly from: DelegationGrant['from']
  readonly to: string
}

/**
 * The steps that a delegation rests on: user to first actor, each actor to the next, and the pair of the user and whoever acts
 * now. The pair keeps a chain from being spliced together out of steps that were meant for others
 * (draft-mcguinness-oauth-actor-profile, subject and actor authorization).
 */
export function edgesOf({ user, delegation }: VerifiedIdentity): readonly Edge[] {
  const path = delegation.chain.map(({ id }) => id).toReversed()
  const [first] = path
  const last = path.at(-1)
  if (first === undefined || last === undefined) return []
  const edges: Edge[] = path.slice(1).map((to, i) => ({ from: { kind: 'agent', id: path[i] ?? '' }, to }))
  if (user === undefined) return edges
  const from = { kind: 'user', id: user.id } as const
  return [{ from, to: first }, ...(last === first ? [] : [{ from, to: last }]), ...edges]
}

/** Grants in force at `now` for one step. */
export function grantsOf(
  { from, to }: Edge,
  delegations: Delegations | undefined,
  now: EpochMilliseconds,
): readonly DelegationGrant[] {
  return (delegations?.grantsTo(to, now) ?? []).filter((grant) => covers(grant.from, from))
}

/** Whether a grant from `granted` is one for `asked`; `*` is every user, never an agent. */
export function covers(granted: DelegationGrant['from'], asked: DelegationGrant['from']): boolean {
  if (granted.kind !== asked.kind) return false
  return granted.id === asked.id || (granted.kind === 'user' && granted.id === '*')
}
