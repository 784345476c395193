import type { EpochMilliseconds } from '#lib/clock.ts'
import type { Federation, FindAgent, FoundAgent } from '#model/delegation.ts'
import type { TenantId } from '#model/ids.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { State, TenantState } from '#model/state.ts'

const AGENT = 'Warder::Agent'

/**
 * Finds agents for decisions of `tenant`: its own, and those of other tenants that a federation in force names. An agent of
 * another tenant is as that tenant has registered it, so that whoever suspends it there stops it here.
 *
 * INVARIANT: nothing of another tenant is looked at unless a federation that both have signed names the agent.
 */
export function createFindAgent(
  tenant: TenantState,
  state: Pick<State, 'tenant'>,
  now: EpochMilliseconds,
): FindAgent {
  return (id) => {
    const own = tenant.registry.find({ type: AGENT, id })
    const named = own && tenantOf(own)
    if (own !== undefined && (named ?? tenant.id) === tenant.id) return found(own, tenant)
    const federations = (tenant.delegations?.federations ?? []).filter(
      (each) => lets(each, id, now) && (named ?? each.foreign) === each.foreign,
    )
    const home = homeOf(federations, state)
    const entity = home?.registry.find({ type: AGENT, id })
    if (home !== undefined && entity !== undefined) return { ...found(entity, home), federations }
    return own && { ...found(own, tenant), home: named ?? tenant.id }
  }
}

function found(entity: StoredEntity, { registry, id }: TenantState): FoundAgent {
  return { entity, registry, home: id }
}

function lets(federation: Federation, agent: string, now: EpochMilliseconds): boolean {
  return federation.direction === 'in' && federation.endsAt > now && federation.agents.includes(agent)
}

/** The one tenant that `federations` are with: two tenants that both call an agent so are no ground to prefer one of them. */
function homeOf(federations: readonly Federation[], state: Pick<State, 'tenant'>): TenantState | undefined {
  const [first] = federations
  return first !== undefined && federations.every(({ foreign }) => foreign === first.foreign)
    ? state.tenant(first.foreign)
    : undefined
}

/** The tenant that an entity says it belongs to. */
function tenantOf(entity: StoredEntity): TenantId | undefined {
  const uid = entity.attrs['tenant']
  const escaped = typeof uid === 'object' && uid !== null && '__entity' in uid ? uid['__entity'] : undefined
  const id = typeof escaped === 'object' && escaped !== null && 'id' in escaped ? escaped['id'] : undefined
  return typeof id === 'string' ? (id as TenantId) : undefined
}
