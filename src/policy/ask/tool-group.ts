import type { StoredEntity } from '#model/registry.ts'
import type { PolicyInput } from './asked.ts'
import { isDeclaredGroup } from './schema-lookup.ts'

const ACTION = 'Warder::Action'
const SHIPPED: ReadonlySet<string> = new Set(['callTool', 'readTools', 'writeTools', 'destructiveTools'])

/** Ids of registered groups by the list of actions that they were read from; a registry keeps the list until one changes. */
const registered = new WeakMap<readonly StoredEntity[], ReadonlySet<string>>()

/**
 * Whether a tool of this id would have the name of a group of tools: a shipped one, one of the schema, or a registered one.
 *
 * INVARIANT: such a tool is never asked about. `in` holds for the group itself, so a server could give its tool the name of
 * a group and get everything that the group is permitted.
 */
export function isToolGroup({ registry, release }: PolicyInput, id: string): boolean {
  if (SHIPPED.has(id) || isDeclaredGroup(release.schema, { type: ACTION, id })) return true
  return registeredGroups(registry.ofType(ACTION)).has(id)
}

function registeredGroups(actions: readonly StoredEntity[]): ReadonlySet<string> {
  const known = registered.get(actions)
  if (known !== undefined) return known
  const parents = actions.flatMap((action) => action.parents)
  const groups = new Set(parents.filter(({ type }) => type === ACTION).map(({ id }) => id))
  registered.set(actions, groups)
  return groups
}
