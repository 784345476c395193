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
 * INVARIANT: a tool without a registered tier counts as the most risky. So does a call that is of no tool, or of a protocol's method that
 * only reads, where the tenant has such a rule; without one it goes on, because nothing is known of its risk.
 *
 * @param tool undefined in a tenant with its own vocabulary too, which has no tools
 * @param isRead whether the call is of a protocol's method that only reads
 */
export function guardFreshKeys(
  { staleKeys }: Pick<VerifiedIdentity, 'staleKeys'>,
  rules: TenantRules | undefined,
  tool: string | undefined,
  registry: RegistrySnapshot,
  isRead = false,
): Stop | undefined {
  if (staleKeys === undefined) return undefined
  const isRegistered = tool !== undefined && registry.find({ type: 'Warder::Tool', id: tool }) !== undefined
  const isOfTool = isRegistered || (tool !== undefined && !isRead)
  const demanded = rules?.freshKeys ?? (isOfTool ? 'high' : 'none')
  if (!isAtLeast(tool, demanded, registry)) return undefined
  const code = 'token.keys_stale'
  return { code, message: REASONS[code], detail: staleKeys.join(', '), retryAfterSeconds: RETRY_SECONDS }
}
