import type { Stop, VerifiedIdentity } from '#model/identity.ts'
import { REASONS } from '#model/reasons.ts'
import type { RegistrySnapshot } from '#model/registry.ts'
import type { RiskTier, TenantRules } from '#model/tenant-rules.ts'

const TIERS: readonly RiskTier[] = ['low', 'medium', 'high', 'critical', 'unclassified']

/**
 * What stops a call because the tenant demands a token that is bound to a key, for all calls or for tools of some risk.
 *
 * INVARIANT: leaving the token out never helps, unless a workload proved its own key. A tool without a registered tier, and a call that
 * is of no tool, count as the most risky.
 */
export function guardPossession(
  { token, presenter }: Pick<VerifiedIdentity, 'token' | 'presenter'>,
  rules: TenantRules | undefined,
  tool: string | undefined,
  registry: RegistrySnapshot,
): Stop | undefined {
  const demanded = rules?.proofOfPossession ?? 'none'
  // A workload without a token proved a key of its own.
  const isProven = token === undefined ? presenter?.workload !== undefined : token.boundTo !== undefined
  if (demanded === 'none' || isProven) return undefined
  const isDemanded = demanded === 'all' || tierOf(tool, registry) >= TIERS.indexOf(demanded)
  if (!isDemanded) return undefined
  const code = 'pop.token_not_bound'
  return { code, message: REASONS[code], challenge: { scheme: 'DPoP', error: 'invalid_token' } }
}

/** Position in the list of tiers. */
function tierOf(tool: string | undefined, registry: RegistrySnapshot): number {
  const tier = tool && registry.find({ type: 'Warder::Tool', id: tool })?.attrs['riskTier']
  const at = TIERS.findIndex((each) => each === tier)
  return at === -1 ? TIERS.length : at
}
