import { scopesNeeded } from '#delegation/scopes-needed.ts'
import { demandsPossession } from '#guards/possession.ts'
import { isWithoutCredentials } from '#model/challenge.ts'
import type { Stop } from '#model/identity.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { TenantState } from '#model/state.ts'
import { toolIdOf } from '#policy/ask/warder-entities.ts'
import { bindAction } from '#protocols/bind-action.ts'

/**
 * The denial of a call without credentials, with what its token will need: all scopes of what it calls (MCP 2026-07-28, authorization;
 * RFC 6750 section 3), and whether it must be bound to a key (RFC 9449 section 7.1). Any other denial as it is.
 */
export function askForCredentials(stop: Stop, request: AuthorizationRequest, tenant: TenantState): Stop {
  if (!isWithoutCredentials(stop.code)) return stop
  const { rules, registry } = tenant
  // Nobody's message is read for nothing before anybody is known.
  if (rules?.scopes === undefined && rules?.proofOfPossession === undefined) return stop
  const bound = bindAction(request, tenant)
  if (!bound.ok) return stop
  const tool = toolIdOf(bound.value, registry)?.id
  const scope = scopesNeeded(rules, tool, registry)
  const scheme = demandsPossession(rules, tool, registry) ? 'DPoP' : 'Bearer'
  return { ...stop, challenge: { scheme, ...(scope.length > 0 && { scope }) } }
}
