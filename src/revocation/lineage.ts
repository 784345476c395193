import type { RegistrySnapshot } from '#model/registry.ts'
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
    const above = originOf(id, registry)
    for (const blueprint of above.blueprints) blueprints.add(blueprint)
    const unseen = above.parents.filter((parent) => parent !== agent && !parents.has(parent))
    for (const parent of unseen) parents.add(parent)
    waiting.push(...unseen)
  }
  return { parents: [...parents], blueprints: [...blueprints] }
}

/** What the registry says of one agent itself. */
function originOf(id: string, registry: RegistrySnapshot): Lineage {
  const uid = { type: AGENT, id }
  const attrs = registry.find(uid)?.attrs
  const ancestors = attrs === undefined ? [] : registry.ancestors(uid)
  const named = (type: string) => ancestors.filter((each) => each.type === type).map((each) => each.id)
  return {
    parents: [...namesOf(attrs?.['spawnedBy']), ...named(AGENT)],
    blueprints: [...namesOf(attrs?.['blueprint']), ...named(BLUEPRINT)],
  }
}

/** An id as text, as an entity reference in Cedar's JSON, or a list of either. */
function namesOf(value: Json | undefined): string[] {
  if (typeof value === 'string') return [value]
  if (typeof value !== 'object' || value === null) return []
  if (Array.isArray(value)) return value.flatMap((each: Json) => namesOf(each))
  return '__entity' in value ? namesOf(value['__entity']) : 'id' in value ? namesOf(value['id']) : []
}
