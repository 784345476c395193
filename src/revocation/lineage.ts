import type { RegistrySnapshot, StoredEntity } from '#model/registry.ts'
import type { Json } from '#model/value.ts'

const AGENT = 'Warder::Agent'
const BLUEPRINT = 'Warder::Blueprint'

/** Where an agent comes from, as registered. */
export interface Lineage {
  /** Agents that spawned it, directly or not, nearest first; without itself. */
  readonly parents: readonly string[]
  /** Blueprints of it and of those agents. */
  readonly blueprints: readonly string[]
}

/**
 * The lineage of `agent`: `spawnedBy` attributes and parents of type agent, followed to their end; a circle ends where it
 * closes. An agent that is not registered has none.
 */
export function lineageOf(agent: string, registry: RegistrySnapshot): Lineage {
  const parents = new Set<string>()
  const blueprints = new Set<string>()
  const waiting = [agent]
  for (let id = waiting.shift(); id !== undefined; id = waiting.shift()) {
    const uid = { type: AGENT, id }
    const stored = registry.find(uid)
    if (stored === undefined) continue
    for (const name of namesOf(stored.attrs['blueprint'])) blueprints.add(name)
    const above = namesOf(stored.attrs['spawnedBy'])
    for (const ancestor of registry.ancestors(uid)) {
      if (ancestor.type === BLUEPRINT) blueprints.add(ancestor.id)
      if (ancestor.type === AGENT) above.push(ancestor.id)
    }
    for (const parent of above) {
      if (parent === agent || parents.has(parent)) continue
      parents.add(parent)
      waiting.push(parent)
    }
  }
  return { parents: [...parents], blueprints: [...blueprints] }
}

/** Whether the registry says of an agent that it may not act; one that it does not know may. */
export function isStopped(agent: string, registry: RegistrySnapshot): boolean {
  const stored: StoredEntity | undefined = registry.find({ type: AGENT, id: agent })
  return stored !== undefined && stored.attrs['status'] !== 'active'
}

/** An id as text, as an entity reference in Cedar's JSON, or a list of either. */
function namesOf(value: Json | undefined): string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  if (Array.isArray(value)) return value.flatMap((each: Json) => namesOf(each))
  const members: { readonly [name: string]: Json } = { ...value }
  return namesOf(members['__entity'] ?? members['id'])
}
