import type { EpochMilliseconds } from '#lib/clock.ts'
import type { Federation, FindAgent } from '#model/delegation.ts'
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
    const named = own === undefined ? undefined : tenantOf(own)
    if (own !== undefined && (named === undefined || named === tenant.id))
      return { entity: own, registry: tenant.registry, home: tenant.id }
    const federation = (tenant.delegations?.federations ?? []).find(
      (each) => lets(each, id, now) && (named === undefined || each.foreign === named),
    )
    const home = federation && state.tenant(federation.foreign)
    const entity = home?.registry.find({ type: AGENT, id })
    if (federation !== undefined && home !== undefined && entity !== undefined)
      return { entity, registry: home.registry, home: home.id, federation }
    return own === undefined || named === undefined
      ? undefined
      : { entity: own, registry: tenant.registry, home: named }
  }
}

function lets(federation: Federation, agent: string, now: EpochMilliseconds): boolean {
  return federation.direction === 'in' && federation.endsAt > now && federation.agents.includes(agent)
}

/** The tenant that an entity says it belongs to. */
function tenantOf(entity: StoredEntity): TenantId | undefined {
  const uid = entity.attrs['tenant']
  const escaped = typeof uid === 'object' && uid !== null && '__entity' in uid ? uid['__entity'] : undefined
  const id = typeof escaped === 'object' && escaped !== null && 'id' in escaped ? escaped['id'] : undefined
  return typeof id === 'string' ? (id as TenantId) : undefined
}
