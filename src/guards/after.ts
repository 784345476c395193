import type { Stop, VerifiedIdentity } from '#model/identity.ts'
import { REASONS, type ReasonCode } from '#model/reasons.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { TenantState } from '#model/state.ts'

/**
 * What stops a verified identity before policy: an agent or any actor of the chain that is not registered or is suspended,
 * a suspended client that obtained the token, and a suspended user. An unregistered user is active and in no group. A tenant with its own vocabulary need not register
 * agents as such; whoever it did register and suspend is stopped as well.
 *
 * INVARIANT: prior actors only deny (RFC 8693 section 4.1); nothing here grants anything.
 */
export function guardAfter(identity: VerifiedIdentity, tenant: TenantState): Stop | undefined {
  const mustBeRegistered = tenant.release?.vocabulary !== 'own'
  const { agent, user, delegation, token } = identity
  const actors = delegation.chain.map((actor) => actor.id)
  for (const id of agent === undefined ? actors : [agent.id, ...actors]) {
    const found = agentOf(tenant, id)
    if (found === undefined && mustBeRegistered) return stop('agent.unknown')
    if (found !== undefined && !isActive(found)) return stop('agent.suspended')
  }
  // Unlike an actor it need not be registered as an agent; gateways obtain tokens too.
  const client = token?.client === undefined ? undefined : agentOf(tenant, token.client)
  if (client !== undefined && !isActive(client)) return stop('agent.suspended')
  const person = user && tenant.registry.find({ type: 'Warder::User', id: user.id })
  return person !== undefined && !isActive(person) ? stop('user.suspended') : undefined
}

function agentOf(tenant: TenantState, id: string): StoredEntity | undefined {
  return tenant.registry.find({ type: 'Warder::Agent', id })
}

/** Everything but the one word means suspended, so that a typing mistake never keeps somebody active. */
function isActive(entity: StoredEntity): boolean {
  return entity.attrs['status'] === 'active'
}

function stop(code: ReasonCode): Stop {
  return { code, message: REASONS[code] }
}
