import type { CedarValueJson, TypeAndId } from '@cedar-policy/cedar-wasm/nodejs'
import type { EntityUid, Value } from '#model/value.ts'

/** A record in the engine's JSON, without a prototype so that no key can reach one. */
export interface CedarRecord {
  [name: string]: CedarValueJson
}

/** An empty record. */
export function emptyRecord(): CedarRecord {
  return Object.create(null)
}

/** An entity as a value: always in the explicit form, because a call without schema infers nothing from a plain object. */
export function entityReference(uid: EntityUid): CedarValueJson {
  return { __entity: uidJson(uid) }
}

/** An entity where only a uid can stand. */
export function uidJson(uid: EntityUid): TypeAndId {
  return { type: uid.type, id: uid.id }
}

/**
 * A value that holds no fields, in the engine's JSON.
 *
 * @throws TypeError for an integer that JSON can not carry exactly
 */
export function scalarJson(
  value: Exclude<Value, { readonly kind: 'record' } | { readonly kind: 'set' }>,
): CedarValueJson {
  if (typeof value === 'number') {
    if (!Number.isSafeInteger(value)) throw new TypeError('a number is not a safe integer')
    return value
  }
  if (typeof value !== 'object') return value
  return value.kind === 'entity' ? entityReference(value.uid) : { __extn: { fn: value.fn, arg: value.text } }
}

/**
 * The name itself, if it can be a field of a record.
 *
 * INVARIANT: no field is named like an escape; otherwise a record could pose as an entity or an extension value.
 *
 * @throws TypeError for a reserved name
 */
export function fieldName(name: string): string {
  if (name === '__entity' || name === '__extn' || name === '__expr') {
    throw new TypeError(`the field name \`${name}\` is reserved`)
  }
  return name
}
