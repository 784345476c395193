import type { ActionScope, EntityScope, PolicyRecord } from '#model/release.ts'
import { type EntityUid, uidKey } from '#model/value.ts'

/** Groups that an action is in by the schema, whatever the registry adds. */
export type GroupsOf = (action: EntityUid) => readonly EntityUid[]

/**
 * Whether every request that `narrow` matches is surely matched by `wide`. False where it depends on the registry (who is in
 * which group).
 */
export function coversScope(
  wide: PolicyRecord['scope'],
  narrow: PolicyRecord['scope'],
  groupsOf: GroupsOf,
): boolean {
  return (
    coversEntity(wide.principal, narrow.principal) &&
    coversEntity(wide.resource, narrow.resource) &&
    coversAction(wide.action, narrow.action, groupsOf)
  )
}

function coversEntity(wide: EntityScope, narrow: EntityScope): boolean {
  if (wide.op === 'all') return true
  if ('type' in wide && typeOf(narrow) !== wide.type) return false
  if (!('entity' in wide)) return true
  // `in` holds for the entity itself too.
  const isReached = wide.op === '==' ? narrow.op === '==' : 'entity' in narrow
  return isReached && 'entity' in narrow && uidKey(narrow.entity) === uidKey(wide.entity)
}

/** The type that a scope is bound to; undefined where only the registry knows. */
export function typeOf(scope: EntityScope): string | undefined {
  if ('type' in scope) return scope.type
  return scope.op === '==' ? scope.entity.type : undefined
}

function coversAction(wide: ActionScope, narrow: ActionScope, groupsOf: GroupsOf): boolean {
  if (wide.op === 'all') return true
  if (narrow.op === 'all') return false
  if (wide.op === '==') return narrow.op === '==' && uidKey(narrow.entity) === uidKey(wide.entity)
  const keys = new Set(wide.entities.map(uidKey))
  const actions = narrow.op === '==' ? [narrow.entity] : narrow.entities
  return actions.every((action) => [action, ...groupsOf(action)].some((group) => keys.has(uidKey(group))))
}
