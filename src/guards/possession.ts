import type { Stop, VerifiedIdentity } from '#model/identity.ts'
import { REASONS } from '#model/reasons.ts'
import type { RegistrySnapshot } from '#model/registry.ts'
import type { TenantRules } from '#model/tenant-rules.ts'
import { isAtLeast, isLowRisk } from './risk.ts'

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
  // A workload without a token proved a key of its own.
  const isProven = token === undefined ? presenter?.workload !== undefined : token.boundTo !== undefined
  if (isProven || !demandsPossession(rules, tool, registry)) return undefined
  const code = 'pop.token_not_bound'
  return { code, message: REASONS[code], challenge: { scheme: 'DPoP', error: 'invalid_token' } }
}

/** Whether the tenant demands a token that is bound to a key for a call of `tool`. */
export function demandsPossession(
  rules: TenantRules | undefined,
  tool: string | undefined,
  registry: RegistrySnapshot,
): boolean {
  return isAtLeast(tool, rules?.proofOfPossession ?? 'none', registry)
}

/**
 * What stops a call that an API key alone would make of a tool that is riskier than low.
 *
 * INVARIANT: an API key never opens more than that by itself, whatever policies permit. What counts beside it is what it is bound to,
 * which was proven before, or the key of the very workload that it names.
 *
 * @param isRead whether the call is of a protocol's method that only reads, and of no registered tool
 */
export function guardApiKey(
  { agent, token, presenter }: Pick<VerifiedIdentity, 'agent' | 'token' | 'presenter'>,
  tool: string | undefined,
  isRead: boolean,
  registry: RegistrySnapshot,
): Stop | undefined {
  if (token?.kind !== 'api-key' || token.boundTo !== undefined) return undefined
  if (agent !== undefined && presenter?.workload === agent.id) return undefined
  const isRegistered = tool !== undefined && registry.find({ type: 'Warder::Tool', id: tool }) !== undefined
  if (isLowRisk(tool, registry) || (isRead && !isRegistered)) return undefined
  const code = 'credentials.key_alone'
  return { code, message: REASONS[code], challenge: { scheme: 'Bearer', error: 'invalid_token' } }
}
