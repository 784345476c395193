import type { EpochMilliseconds } from '#lib/clock.ts'
import type { DelegationGrant, Delegations } from '#model/delegation.ts'
import type { VerifiedIdentity } from '#model/identity.ts'

/** One step of a delegation: authority flows from a user or agent to an agent. */
export interface Edge {
  readonly from: DelegationGrant['from']
  readonly to: string
  /** Whether a tenant that demands grants demands one here, and a registered chain has one. */
  readonly isStep: boolean
}

/**
 * Everybody's authority that reaches an actor, over however many others. The steps among them: user to first actor, each actor to
 * the next, and the pair of the user and whoever acts now, which keeps a chain from being spliced together out of steps that
 * were meant for others (draft-mcguinness-oauth-actor-profile, subject and actor authorization).
 *
 * INVARIANT: one more actor in between only adds to them, so that nobody gets around the end or the ceiling of a grant by way
 * of somebody else.
 */
export function edgesOf({ user, delegation }: VerifiedIdentity): readonly Edge[] {
  const agents = delegation.chain.map(({ id }) => ({ kind: 'agent', id }) as const).toReversed()
  const path: readonly DelegationGrant['from'][] =
    user === undefined ? agents : [{ kind: 'user', id: user.id }, ...agents]
  const last = path.length - 1
  return path.flatMap((from, i) =>
    path.slice(i + 1).map(({ id: to }, distance) => {
      const isPair = from.kind === 'user' && i + 1 + distance === last
      return { from, to, isStep: distance === 0 || isPair }
    }),
  )
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
