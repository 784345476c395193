import { guardDelegation } from '#delegation/guard.ts'
import { scopesNeeded } from '#delegation/scopes-needed.ts'
import { type DetailedCall, fitsDetails } from '#guards/authorization-details.ts'
import { guardFreshKeys } from '#guards/fresh-keys.ts'
import { guardApiKey, guardPossession } from '#guards/possession.ts'
import { guardStopped } from '#guards/revoked.ts'
import { guardScopes } from '#guards/scopes.ts'
import { guardTransaction } from '#guards/transaction.ts'
import { mayAssert } from '#identity/assertion.ts'
import { applyMapping } from '#mapping/apply.ts'
import type { FindAgent } from '#model/delegation.ts'
import type { Gateway } from '#model/gateway.ts'
import type { VerifiedIdentity } from '#model/identity.ts'
import type { Release } from '#model/release.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { TenantState } from '#model/state.ts'
import type { JsonObject } from '#model/value.ts'
import { toolIdOf } from '#policy/ask/warder-entities.ts'
import type { JudgePolicy } from '#policy/judge.ts'
import { bindAction } from '#protocols/bind-action.ts'
import { placesOf } from '#revocation/dependencies.ts'
import { type Judged, stopped } from './judged.ts'

/** Who asks, after steps 1 to 8. */
export interface Caller {
  readonly identity: VerifiedIdentity
  readonly tenant: TenantState
  readonly release: Release
  readonly findAgent: FindAgent
  readonly gateway: Gateway
}

/** Steps 9 to 13: what is called, whether this caller may call it at all, and what the policies say. */
export function judgeCall(
  { judgePolicy }: { readonly judgePolicy: JudgePolicy },
  caller: Caller,
  request: AuthorizationRequest,
): Judged {
  const { tenant, release, findAgent, gateway } = caller
  const { registry } = tenant
  const bound = bindAction(request, tenant)
  if (!bound.ok) return stopped(bound.failure, tenant, caller.identity)
  const halted = guardStopped(placesOf(bound.value, tenant), tenant.revocations, request.now)
  if (halted !== undefined) return stopped(halted, tenant, caller.identity)
  const tool = toolIdOf(bound.value, registry)?.id
  const mapped = applyMapping(bound.value, caller.identity, tenant, tool)
  if (!mapped.ok) return stopped(mapped.failure, tenant, caller.identity)
  const { request: call, identity } = mapped.value
  const astray = guardTransaction(identity.transaction, call, tool)
  if (astray !== undefined) return stopped(astray, tenant, identity)
  const detailed = detailedCall(call, gateway, tool, registry)
  const fits = (details: readonly JsonObject[]) => fitsDetails(details, detailed)
  const delegated = guardDelegation({ identity, tenant, findAgent, tool }, call, fits)
  if (!delegated.ok) return stopped(delegated.failure, tenant, identity)
  const acting = delegated.value
  const isRead = call.protocolEffect === 'read'
  const hasTools = release.vocabulary !== 'own'
  const beyond =
    guardPossession(acting, tenant.rules, tool, registry) ??
    guardFreshKeys(acting, tenant.rules, hasTools ? tool : undefined, registry, isRead) ??
    guardApiKey(acting, tool, isRead, registry) ??
    guardScopes(acting.token, scopesNeeded(tenant.rules, tool, registry), detailed)
  if (beyond !== undefined) return stopped(beyond, tenant, acting)

  const trusts = {
    properties: mayAssert(gateway, request.dialect, 'properties'),
    context: mayAssert(gateway, request.dialect, 'context'),
  }
  const judgement = judgePolicy({ request: call, identity: acting, gateway, registry, release, trusts })
  return { judgement, identity: acting, tenant, call }
}

/** The call as authorization details see it. */
function detailedCall(
  request: AuthorizationRequest,
  { settings }: Gateway,
  tool: string | undefined,
  registry: TenantState['registry'],
): DetailedCall {
  const groups = tool === undefined ? [] : registry.ancestors({ type: 'Warder::Action', id: tool })
  const locations = [...(settings?.audience ?? []), ...(settings?.externalUrl ? [settings.externalUrl] : [])]
  return { request, now: request.now, tool, groups: groups.map(({ id }) => id), locations }
}
