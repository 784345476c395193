import type { StoredEntity } from '#model/registry.ts'
import type { JsonObject } from '#model/value.ts'

/** An entity of one of our types, as the registry stores it. `groups` are those of a tool's action. */
export function entity(
  type: string,
  id: string,
  attrs: JsonObject,
  groups: readonly string[] = [],
): StoredEntity {
  const parents = groups.map((group) => ({ type: 'Warder::Action', id: group }))
  return { uid: { type: `Warder::${type}`, id }, attrs, tags: {}, parents }
}
