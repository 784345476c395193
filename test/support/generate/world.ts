import type { StoredEntity } from '#model/registry.ts'
import type { Release } from '#model/release.ts'
import type { Json, JsonObject, Value, ValueRecord } from '#model/value.ts'
import { type CaseSet, releaseOf } from './case-set.ts'

/** A case set as a tenant has it: policies without a schema, entities and actions in the registry. */
export async function tenantOf(
  set: CaseSet,
): Promise<{ readonly release: Release; readonly entities: readonly StoredEntity[] }> {
  const parents = new Map(set.schema.actions.map((action) => [action.uid.id, action.parents]))
  const entities = [...set.facts.entities.values()].map(({ uid, attrs, tags, ancestors }) => ({
    uid,
    attrs: explicitRecord(attrs),
    tags: explicitRecord(tags),
    // The closure as parents gives the same closure again.
    parents: uid.type.endsWith('Action') ? (parents.get(uid.id) ?? []) : ancestors,
  }))
  return { release: await releaseOf(set.policies), entities }
}

/** What of a record a caller could send: no entity, no extension value and no reserved name. */
export function sendable(fields: ValueRecord): JsonObject {
  const sent = [...fields].filter(([name, value]) => name !== '__proto__' && isPlain(value))
  return Object.fromEntries(sent.map(([name, value]) => [name, explicit(value)]))
}

function isPlain(value: Value): boolean {
  if (typeof value !== 'object') return true
  if (value.kind === 'set') return value.elements.every(isPlain)
  return (
    value.kind === 'record' && !value.fields.has('__proto__') && [...value.fields.values()].every(isPlain)
  )
}

function explicitRecord(fields: ValueRecord): JsonObject {
  const record: { [name: string]: Json } = Object.create(null)
  for (const [name, value] of fields) record[name] = explicit(value)
  return record
}

function explicit(value: Value): Json {
  if (typeof value !== 'object') return value
  if (value.kind === 'set') return value.elements.map(explicit)
  if (value.kind === 'record') return explicitRecord(value.fields)
  return value.kind === 'entity'
    ? { __entity: { type: value.uid.type, id: value.uid.id } }
    : { __extn: { fn: value.fn, arg: value.text } }
}
