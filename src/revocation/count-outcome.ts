import type { EpochMilliseconds } from '#lib/clock.ts'
import type { Judgement } from '#model/answer.ts'
import type { VerifiedIdentity } from '#model/identity.ts'
import type { TenantState } from '#model/state.ts'
import { mayNameActorsOf } from '#model/tenant-rules.ts'
import type { Breakers } from './breakers.ts'

/**
 * Outcomes that say nothing about the agent: our own troubles, what is stopped already, an issuer that may not name it, and what was
 * only looked for. INVARIANT: nothing was done with an answered search or list, so it makes no denial rarer.
 */
const NOT_THE_AGENT =
  /^(?:state|log|internal|revoked|tenant|gateway|exchange|search|list)\.|^policy\.(?:no_release|engine_error|error)$|^chain\.issuer$/

const AGENT = 'Warder::Agent'

/**
 * Counts a judgement for the breaker of its agent.
 *
 * INVARIANT: without a verified identity nobody is counted: whoever only knows an agent's name can't trip its breaker. Nor can
 * another issuer than the one that the agent is registered with, by calling somebody else so.
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
  if (identity !== undefined && isNamedByAnother(identity, tenant)) return
  breakers.count({
    tenant: tenant.id,
    agent: 'uid' in agent ? agent.uid.id : agent.id,
    rules: tenant.rules,
    isDenied: judgement.effect === 'deny',
    now,
  })
}

function isNamedByAnother(
  { agent, delegation, token }: VerifiedIdentity,
  { registry, rules }: TenantState,
): boolean {
  // The registry itself names the agent of an API key.
  if (token?.kind === 'api-key') return false
  const registered = agent && registry.find({ type: AGENT, id: agent.id })?.attrs['issuer']
  const by = delegation.chain[0]?.issuer ?? token?.issuer
  if (registered === undefined || by === undefined) return false
  return registered !== by || (token !== undefined && !mayNameActorsOf(by, token.issuer, rules))
}
