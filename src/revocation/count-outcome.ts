import type { EpochMilliseconds } from '#lib/clock.ts'
import type { Judgement } from '#model/answer.ts'
import type { VerifiedIdentity } from '#model/identity.ts'
import type { TenantState } from '#model/state.ts'
import type { Breakers } from './breakers.ts'

/** Denials that say nothing about the agent: our own troubles, and what is stopped already. */
const NOT_THE_AGENT =
  /^(?:state|log|internal|revoked|tenant|gateway)\.|^policy\.(?:no_release|engine_error|error)$/

/**
 * Counts a judgement for the breaker of its agent.
 *
 * INVARIANT: without a verified identity nobody is counted: whoever only knows an agent's name can't trip its breaker.
 */
export function countOutcome(
  breakers: Breakers | undefined,
  judged: {
    readonly judgement: Judgement
    readonly identity?: VerifiedIdentity
    readonly tenant?: TenantState
  },
  now: EpochMilliseconds,
): void {
  const { judgement, identity, tenant } = judged
  const agent = identity?.agent ?? identity?.subject
  if (breakers === undefined || agent === undefined || tenant === undefined) return
  if (agent.provenance === 'declared' || NOT_THE_AGENT.test(judgement.reasons[0]?.code ?? '')) return
  breakers.count({
    tenant: tenant.id,
    agent: 'uid' in agent ? agent.uid.id : agent.id,
    rules: tenant.rules,
    isDenied: judgement.effect === 'deny',
    now,
  })
}
