import type { RegistrySnapshot } from '#model/registry.ts'
import type { RiskTier } from '#model/tenant-rules.ts'

const TIERS: readonly RiskTier[] = ['low', 'medium', 'high', 'critical', 'unclassified']

/**
 * Whether a rule that says from which tier on it holds is about calls of `tool`.
 *
 * INVARIANT: a tool without a registered tier, and a call that is of no tool, count as the most risky.
 */
export function isAtLeast(
  tool: string | undefined,
  demanded: 'none' | 'all' | RiskTier,
  registry: RegistrySnapshot,
): boolean {
  if (demanded === 'none' || demanded === 'all') return demanded === 'all'
  return tierOf(tool, registry) >= TIERS.indexOf(demanded)
}

/** Whether `tool` is registered, with the least risk. */
export function isLowRisk(tool: string | undefined, registry: RegistrySnapshot): boolean {
  return tierOf(tool, registry) === TIERS.indexOf('low')
}

/** Position in the list of tiers. */
function tierOf(tool: string | undefined, registry: RegistrySnapshot): number {
  const tier = tool && registry.find({ type: 'Warder::Tool', id: tool })?.attrs['riskTier']
  const at = TIERS.findIndex((each) => each === tier)
  return at === -1 ? TIERS.length : at
}
