import type { SchemaModel } from '#model/release.ts'
import { type EntityUid, type UidKey, uidKey } from '#model/value.ts'

/** One action of the compiled schema. */
export type DeclaredAction = SchemaModel['actions'][number]

interface ActionIndex {
  readonly byUid: ReadonlyMap<UidKey, DeclaredAction>
  readonly byId: ReadonlyMap<string, readonly EntityUid[]>
  /** Actions that others are in. */
  readonly groups: ReadonlySet<UidKey>
}

const indexes = new WeakMap<SchemaModel, ActionIndex>()

/** The declaration of an action, or undefined when the schema has none (or there is no schema). Constant time. */
export function declaredAction(
  schema: SchemaModel | undefined,
  action: EntityUid,
): DeclaredAction | undefined {
  return schema === undefined ? undefined : indexOf(schema).byUid.get(uidKey(action))
}

/** All declared actions with this id, in any namespace, in schema order. */
export function actionsNamed(schema: SchemaModel | undefined, id: string): readonly EntityUid[] {
  return schema === undefined ? [] : (indexOf(schema).byId.get(id) ?? [])
}

/** Whether another declared action is in `action`. Constant time. */
export function isDeclaredGroup(schema: SchemaModel | undefined, action: EntityUid): boolean {
  return schema !== undefined && indexOf(schema).groups.has(uidKey(action))
}

/** Whether the declaration applies to these types and, for enumerated types, these ids (Cedar's request validation). */
export function applies(
  schema: SchemaModel,
  action: DeclaredAction,
  principal: EntityUid,
  resource: EntityUid,
): boolean {
  const fits = action.principals.includes(principal.type) && action.resources.includes(resource.type)
  return fits && isChoice(schema, principal) && isChoice(schema, resource)
}

function isChoice(schema: SchemaModel, uid: EntityUid): boolean {
  const choices = Object.hasOwn(schema.entityTypes, uid.type)
    ? schema.entityTypes[uid.type]?.choices
    : undefined
  return choices === undefined || choices.includes(uid.id)
}

function indexOf(schema: SchemaModel): ActionIndex {
  const known = indexes.get(schema)
  if (known !== undefined) return known
  const byId = new Map<string, EntityUid[]>()
  for (const { uid } of schema.actions) {
    const same = byId.get(uid.id)
    if (same === undefined) byId.set(uid.id, [uid])
    else same.push(uid)
  }
  const byUid = new Map(schema.actions.map((action) => [uidKey(action.uid), action]))
  const groups = new Set(schema.actions.flatMap((action) => action.groups.map(uidKey)))
  const index = { byUid, byId, groups }
  indexes.set(schema, index)
  return index
}
