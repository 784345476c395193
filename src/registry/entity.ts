import { nearest } from '#lib/nearest.ts'
import { compileMapping } from '#mapping/mapping.ts'
import { readsArgument } from '#mapping/reads.ts'
import type { StoredEntity } from '#model/registry.ts'
import { type EntityUid, type Json, type JsonObject, uidKey } from '#model/value.ts'
import { endpointFault } from './endpoints.ts'
import { type Problems, quote } from './problem.ts'
import { parseRoute } from './routes.ts'
import { isActionType, readUid } from './uid.ts'
import { checkRecord, isObject } from './value.ts'

/** Most direct parents of one entity. */
const PARENTS_MAX = 1000
const FIELDS: readonly string[] = ['uid', 'attrs', 'parents', 'tags']

/** Reads one entity in Cedar's entity JSON (`uid`, `attrs`, `parents`, `tags`). Undefined after noting what is wrong. */
export function readEntity(value: Json, path: string, problems: Problems): StoredEntity | undefined {
  if (!isObject(value)) {
    problems.add(
      path,
      'must be an object',
      'write {"uid": {"type": "...", "id": "..."}, "attrs": {}, "parents": []}',
    )
    return undefined
  }
  checkFields(value, FIELDS, path, problems)
  const uid = readUid(value['uid'], `${path}.uid`, problems)
  const attrs = readRecord(value['attrs'], `${path}.attrs`, problems)
  const tags = readRecord(value['tags'], `${path}.tags`, problems)
  const parents = readParents(value['parents'], `${path}.parents`, problems)
  if (uid === undefined) return undefined
  checkParents(uid, parents, `${path}.parents`, problems)
  checkRoute(attrs['route'], uid, `${path}.attrs.route`, problems)
  checkEndpoint(attrs['endpoint'], uid, `${path}.attrs.endpoint`, problems)
  checkMapping(attrs, uid, `${path}.attrs.mapping`, problems)
  return { uid, attrs, tags, parents }
}

/** Notes every key of `value` that is not among `fields`. */
export function checkFields(
  value: JsonObject,
  fields: readonly string[],
  path: string,
  problems: Problems,
): void {
  for (const key of Object.keys(value)) {
    if (fields.includes(key)) continue
    const near = nearest(key.slice(0, 60), fields)
    const help = near === undefined ? `use ${fields.join(', ')}` : `did you mean \`${near}\`?`
    problems.add(path, `has the unknown field ${quote(key)}`, help)
  }
}

/** A record of Cedar values; an absent one is empty. */
export function readRecord(value: Json | undefined, path: string, problems: Problems): JsonObject {
  if (value === undefined) return {}
  if (!isObject(value)) {
    problems.add(path, 'must be an object')
    return {}
  }
  checkRecord(value, path, problems)
  return value
}

function readParents(value: Json | undefined, path: string, problems: Problems): readonly EntityUid[] {
  if (value === undefined) return []
  if (!Array.isArray(value)) {
    problems.add(path, 'must be a list of entities')
    return []
  }
  if (value.length > PARENTS_MAX) problems.add(path, `has more than ${PARENTS_MAX} parents`)
  const parents = new Map<string, EntityUid>()
  for (const [i, parent] of (value as readonly Json[]).slice(0, PARENTS_MAX).entries()) {
    const uid = readUid(parent, `${path}[${i}]`, problems)
    if (uid !== undefined) parents.set(uidKey(uid), uid)
  }
  return [...parents.values()]
}

/** Actions form a hierarchy of their own; Cedar refuses any other. */
function checkParents(uid: EntityUid, parents: readonly EntityUid[], path: string, problems: Problems): void {
  for (const parent of parents) {
    if (isActionType(uid.type) !== isActionType(parent.type)) {
      problems.add(
        path,
        `${quote(parent.type)} can not be a parent of ${quote(uid.type)}`,
        'only actions group actions',
      )
    }
  }
}

/** Notes what is wrong with the `endpoint` attribute of a server: one path or a list of them. */
function checkEndpoint(endpoint: Json | undefined, uid: EntityUid, path: string, problems: Problems): void {
  if (endpoint === undefined || uid.type !== 'Warder::Server') return
  const faults = (Array.isArray(endpoint) ? endpoint : [endpoint]).map(endpointFault)
  const fault = faults.find((each) => each !== undefined)
  if (fault !== undefined) problems.add(path, fault)
}

/** Notes what is wrong with the `mapping` attribute of a tool or server. */
export function checkMapping(
  { mapping, sensitiveArguments: masked }: JsonObject,
  uid: EntityUid,
  path: string,
  problems: Problems,
): void {
  if (mapping === undefined || !(uid.type === 'Warder::Tool' || uid.type === 'Warder::Server')) return
  const compiled = compileMapping(mapping)
  if (!compiled.ok) problems.add(path, compiled.failure)
  else if (Array.isArray(masked) && masked.some((name) => readsArgument(compiled.value.reads, String(name))))
    problems.add(path, 'reads an argument that is among `sensitiveArguments`, which the log would then hold')
}

/** Notes what is wrong with the `route` attribute of a tool or action: one pattern or a list of them. */
export function checkRoute(route: Json | undefined, uid: EntityUid, path: string, problems: Problems): void {
  if (route === undefined || !(isActionType(uid.type) || uid.type === 'Warder::Tool')) return
  for (const text of Array.isArray(route) ? (route as readonly Json[]) : [route]) {
    const parsed =
      typeof text === 'string' ? parseRoute(text) : { wrong: 'must be a text or a list of texts' }
    if ('wrong' in parsed) problems.add(path, parsed.wrong)
  }
}
