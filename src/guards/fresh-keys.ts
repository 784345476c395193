import type { Stop, VerifiedIdentity } from '#model/identity.ts'
import { REASONS } from '#model/reasons.ts'
import type { RegistrySnapshot } from '#model/registry.ts'
import type { TenantRules } from '#model/tenant-rules.ts'
import { isAtLeast } from './risk.ts'

/** Keys are fetched anew that often, if they can be. */
const RETRY_SECONDS = 60

/**
 * What stops a call because it rests on keys that are overdue: their issuer may have withdrawn them, and can't be asked.
 *
 * INVARIANT: a tool without a registered tier counts as the most risky. A call that is of no tool does too where the tenant has such a
 * rule; without one it goes on, because nothing is known of its risk.
 */
export function guardFreshKeys(
  { staleKeys }: Pick<VerifiedIdentity, 'staleKeys'>,
  rules: TenantRules | undefined,
  tool: string | undefined,
  registry: RegistrySnapshot,
): Stop | undefined {
  if (staleKeys === undefined) return undefined
  const demanded = rules?.freshKeys ?? (tool === undefined ? 'none' : 'high')
  if (!isAtLeast(tool, demanded, registry)) return undefined
  const code = 'token.keys_stale'
  return { code, message: REASONS[code], detail: staleKeys.join(', '), retryAfterSeconds: RETRY_SECONDS }
}
