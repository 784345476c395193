import type { StoredEntity } from '#model/registry.ts'
import { type EntityUid, type Json, type JsonObject, uidKey } from '#model/value.ts'
import { checkFields, checkRoute, readEntity, readRecord } from './entity.ts'
import { type Problems, quote } from './problem.ts'
import { isActionType, isEntityId, readUid } from './uid.ts'
import { isObject } from './value.ts'

const WARDER_ACTION = 'Warder::Action'
const CALL_TOOL = 'callTool'
const DESTRUCTIVE = 'destructiveTools'
const GROUP_OF_EFFECT = new Map([
  ['read', 'readTools'],
  ['write', 'writeTools'],
  ['destructive', DESTRUCTIVE],
])
const EFFECT_GROUPS = new Set(GROUP_OF_EFFECT.values())
const FIELDS: readonly string[] = ['name', 'id', 'groups', 'memberOf', 'parents', 'attrs', 'route']

/** Reads one action: entity JSON, `{name, groups}`, or a plain name, which gets the action type `type`. */
export function readAction(
  value: Json,
  path: string,
  type: string,
  problems: Problems,
): StoredEntity | undefined {
  const action =
    isObject(value) && value['uid'] !== undefined
      ? readEntity(value, path, problems)
      : readNamed(typeof value === 'string' ? { name: value } : value, path, type, problems)
  if (action === undefined) return undefined
  if (!isActionType(action.uid.type)) {
    problems.add(
      `${path}.uid`,
      `${quote(action.uid.type)} is not an action type`,
      'use `Action` or `Name::Action`',
    )
    return undefined
  }
  return completeAction(action)
}

/** The action that stands for a tool, in the group of its side effect; undefined when `entity` is not a tool. */
export function toolAction(entity: StoredEntity): StoredEntity | undefined {
  if (entity.uid.type !== 'Warder::Tool') return undefined
  const sideEffect = entity.attrs['sideEffect']
  const group = (typeof sideEffect === 'string' && GROUP_OF_EFFECT.get(sideEffect)) || DESTRUCTIVE
  return {
    uid: { type: WARDER_ACTION, id: entity.uid.id },
    attrs: {},
    tags: {},
    parents: [shipped(group), shipped(CALL_TOOL)],
  }
}

/**
 * Completes the shipped groups of a Warder action: every tool is in `callTool`, and one that is in no group of a side effect counts as
 * destructive. `callTool` itself and entities of other types stay as they are.
 */
export function completeAction(action: StoredEntity): StoredEntity {
  if (action.uid.type !== WARDER_ACTION || action.uid.id === CALL_TOOL) return action
  const parents = new Map(action.parents.map((uid) => [uidKey(uid), uid]))
  const named = (id: string): boolean => parents.has(uidKey(shipped(id)))
  const isGroup = EFFECT_GROUPS.has(action.uid.id)
  // Groups of the tenant's own may lead to a shipped group; only an action without any parent is surely unclassified.
  const added = parents.size === 0 && !isGroup ? [DESTRUCTIVE, CALL_TOOL] : [CALL_TOOL]
  if (parents.size === 0 || [...EFFECT_GROUPS].some(named)) {
    for (const id of added) parents.set(uidKey(shipped(id)), shipped(id))
  }
  return { ...action, parents: [...parents.values()] }
}

function shipped(id: string): EntityUid {
  return { type: WARDER_ACTION, id }
}

function readNamed(value: Json, path: string, type: string, problems: Problems): StoredEntity | undefined {
  if (!isObject(value)) {
    problems.add(path, 'must be an action', 'write "name", {"name": "...", "groups": ["..."]} or entity JSON')
    return undefined
  }
  checkFields(value, FIELDS, path, problems)
  const uid = nameOf(value['name'] ?? value['id'], `${path}.name`, type, problems)
  if (uid === undefined) return undefined
  const groups = value['groups'] ?? value['memberOf'] ?? value['parents'] ?? []
  const parents = new Map<string, EntityUid>()
  if (!Array.isArray(groups)) problems.add(`${path}.groups`, 'must be a list')
  else {
    for (const [i, group] of (groups as readonly Json[]).entries()) {
      const parent = nameOf(group, `${path}.groups[${i}]`, uid.type, problems)
      if (parent !== undefined) parents.set(uidKey(parent), parent)
    }
  }
  checkRoute(value['route'], uid, `${path}.route`, problems)
  return { uid, attrs: attributesOf(value, path, problems), tags: {}, parents: [...parents.values()] }
}

function attributesOf(value: JsonObject, path: string, problems: Problems): JsonObject {
  const attrs = readRecord(value['attrs'], `${path}.attrs`, problems)
  return value['route'] === undefined ? attrs : { ...attrs, route: value['route'] }
}

/** A plain name of type `type`, or a whole uid in any of its spellings. */
function nameOf(
  value: Json | undefined,
  path: string,
  type: string,
  problems: Problems,
): EntityUid | undefined {
  if (typeof value !== 'string' || /^[A-Za-z0-9_:]*::"/.test(value)) {
    const uid = readUid(value, path, problems)
    if (uid === undefined || isActionType(uid.type)) return uid
    problems.add(path, `${quote(uid.type)} is not an action type`)
    return undefined
  }
  if (isEntityId(value)) return { type, id: value }
  problems.add(path, `${quote(value)} can not be the name of an action`)
  return undefined
}
