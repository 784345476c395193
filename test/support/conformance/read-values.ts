import type { SchemaAttributes, SchemaType } from '#model/release.ts'
import type { EntityUid, ExtensionFunction, Value, ValueRecord } from '#model/value.ts'
import { isRawNumber } from './lossless-json.ts'

/** A value that the product's own types can not hold: a Long beyond 2^53, or an extension call that is no constructor. */
export class NotHeld extends Error {}

/** Cedar's JSON as a value, with implicit forms read by their type as the engine does. */
export function readValue(json: unknown, type: SchemaType | undefined): Value {
  if (isRawNumber(json)) throw new NotHeld('a long beyond 2^53')
  if (typeof json === 'string')
    return type?.kind === 'extension' ? { kind: 'extension', fn: type.fn, text: json } : json
  if (typeof json === 'boolean' || typeof json === 'number') return json
  if (!Array.isArray(json)) return readObject(json, type)
  const element = type?.kind === 'set' ? type.element : undefined
  return { kind: 'set', elements: json.map((each: unknown) => readValue(each, element)) }
}

function readObject(json: unknown, type: SchemaType | undefined): Value {
  if (!isObject(json)) throw new NotHeld('a value of no type')
  const entity = '__entity' in json ? json['__entity'] : type?.kind === 'entity' ? json : undefined
  if (entity !== undefined) return { kind: 'entity', uid: readUid(entity) }
  const call = '__extn' in json ? json['__extn'] : type?.kind === 'extension' ? json : undefined
  if (call !== undefined) return readCall(call)
  return { kind: 'record', fields: readFields(json, type?.kind === 'record' ? type.attrs : undefined) }
}

/** The fields of a record or entity. */
export function readFields(json: unknown, attrs: SchemaAttributes | undefined): ValueRecord {
  const fields = new Map<string, Value>()
  for (const [name, field] of Object.entries(isObject(json) ? json : {})) {
    const declared = attrs !== undefined && Object.hasOwn(attrs, name) ? attrs[name]?.type : undefined
    fields.set(name, readValue(field, declared))
  }
  return fields
}

/** A uid in either of its forms. */
export function readUid(json: unknown): EntityUid {
  const inner = isObject(json) && isObject(json['__entity']) ? json['__entity'] : json
  if (isObject(inner)) {
    const { type, id } = inner
    if (typeof type === 'string' && typeof id === 'string') return { type, id }
  }
  throw new NotHeld('a uid in an unknown form')
}

function readCall(json: unknown): Value {
  if (!isObject(json)) throw new NotHeld('an extension value in an unknown form')
  const { fn, arg } = json
  if (!isConstructor(fn) || typeof arg !== 'string')
    throw new NotHeld('an extension call that is no constructor')
  return { kind: 'extension', fn, text: arg }
}

function isConstructor(fn: unknown): fn is ExtensionFunction {
  return fn === 'ip' || fn === 'decimal' || fn === 'datetime' || fn === 'duration'
}

/** Any JSON object. */
export function isObject(json: unknown): json is { readonly [key: string]: unknown } {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}
