import type { SchemaAttributes, SchemaType } from '#model/release.ts'
import type { EntityUid, ExtensionFunction, Json, JsonObject, Value, ValueRecord } from '#model/value.ts'
import { parseExtension } from '#policy/compiled/extension.ts'

/**
 * Who wrote the JSON. `stored`: an administrator, Cedar's explicit `__entity` and `__extn` forms are meant.
 * `caller`: a request; such keys were refused at the edge and are plain record keys here.
 */
export type JsonOrigin = 'stored' | 'caller'

/** A JSON value that does not fit its declared type, named by its path. Carries no value: it could be a secret. */
export class TypeMismatch extends Error {
  readonly path: string

  constructor(path: string, expected: string) {
    super(`\`${path}\` is not ${expected}`)
    this.name = 'TypeMismatch'
    this.path = path
  }
}

/** Decimals hold four places and 2^63 ten-thousandths (Cedar extension type `decimal`). */
const DECIMAL_MAX = 922_337_203_685_477

/**
 * Turns JSON into a typed Cedar value.
 *
 * With a type, implicit forms are made explicit (an entity reference as `{type, id}`, an extension value as its text) and
 * record members that the type does not declare are left out. Without one, integers become Longs, other numbers decimals
 * rounded to four places, and `null` members are left out.
 *
 * @throws {TypeMismatch} when the value does not fit
 */
export function toValue(json: Json, type: SchemaType | undefined, origin: JsonOrigin, path: string): Value {
  return type === undefined ? untyped(json, origin, path) : typed(json, type, origin, path)
}

/**
 * Turns a JSON object into the fields of a record or entity.
 *
 * @param attrs declared attributes, or undefined where no schema exists
 * @param complete whether a missing required attribute is a mismatch
 * @throws {TypeMismatch}
 */
export function toRecord(
  json: JsonObject,
  attrs: SchemaAttributes | undefined,
  origin: JsonOrigin,
  path: string,
  complete: boolean,
): ValueRecord {
  const fields = new Map<string, Value>()
  if (attrs === undefined) {
    for (const [name, member] of Object.entries(json)) {
      if (member !== null) fields.set(name, untyped(member, origin, join(path, name)))
    }
    return fields
  }
  for (const [name, declared] of Object.entries(attrs)) {
    const member = Object.hasOwn(json, name) ? json[name] : undefined
    if (member !== undefined && member !== null)
      fields.set(name, typed(member, declared.type, origin, join(path, name)))
    else if (complete && declared.required)
      throw new TypeMismatch(join(path, name), 'given, and it is required')
  }
  return fields
}

function typed(json: Json, type: SchemaType, origin: JsonOrigin, path: string): Value {
  switch (type.kind) {
    case 'bool':
      if (typeof json === 'boolean') return json
      throw new TypeMismatch(path, 'a boolean')
    case 'long':
      if (typeof json === 'number' && Number.isSafeInteger(json)) return json
      throw new TypeMismatch(path, 'an integer between -(2^53 - 1) and 2^53 - 1')
    case 'string':
      if (typeof json === 'string') return json
      throw new TypeMismatch(path, 'a string')
    case 'set':
      if (isArray(json)) return set(json.map((item, i) => typed(item, type.element, origin, `${path}[${i}]`)))
      throw new TypeMismatch(path, 'an array')
    case 'record':
      if (isObject(json)) return { kind: 'record', fields: toRecord(json, type.attrs, origin, path, true) }
      throw new TypeMismatch(path, 'an object')
    case 'entity':
      return typedEntity(json, type.type, origin, path)
    case 'extension':
      return typedExtension(json, type.fn, origin, path)
  }
}

function typedEntity(json: Json, type: string, origin: JsonOrigin, path: string): Value {
  const uid = (origin === 'stored' ? escapedEntity(json) : undefined) ?? plainUid(json)
  if (uid === undefined || uid.type !== type)
    throw new TypeMismatch(path, `a reference to an entity of type \`${type}\``)
  return { kind: 'entity', uid }
}

function typedExtension(json: Json, fn: ExtensionFunction, origin: JsonOrigin, path: string): Value {
  const escaped = origin === 'stored' ? escapedExtension(json) : undefined
  if (escaped !== undefined && escaped.fn === fn) return { kind: 'extension', ...escaped }
  if (typeof json === 'string' && parseExtension(fn, json) !== undefined)
    return { kind: 'extension', fn, text: json }
  if (fn === 'decimal' && typeof json === 'number') return decimal(json, path)
  throw new TypeMismatch(path, `a valid ${fn}`)
}

function untyped(json: Json, origin: JsonOrigin, path: string): Value {
  if (typeof json === 'boolean' || typeof json === 'string') return json
  if (typeof json === 'number') return Number.isInteger(json) ? long(json, path) : decimal(json, path)
  if (isArray(json)) {
    return set(json.filter((item) => item !== null).map((item, i) => untyped(item, origin, `${path}[${i}]`)))
  }
  if (!isObject(json)) throw new TypeMismatch(path, 'given: `null` is no value')
  if (origin === 'stored') {
    const uid = escapedEntity(json)
    if (uid !== undefined) return { kind: 'entity', uid }
    const extension = escapedExtension(json)
    if (extension !== undefined) return { kind: 'extension', ...extension }
    if (Object.hasOwn(json, '__entity') || Object.hasOwn(json, '__extn'))
      throw new TypeMismatch(path, 'a valid reference or extension value')
  }
  return { kind: 'record', fields: toRecord(json, undefined, origin, path, false) }
}

function long(json: number, path: string): number {
  if (Number.isSafeInteger(json)) return json
  throw new TypeMismatch(path, 'an integer between -(2^53 - 1) and 2^53 - 1')
}

function decimal(json: number, path: string): Value {
  if (!Number.isFinite(json) || Math.abs(json) > DECIMAL_MAX)
    throw new TypeMismatch(path, 'in the range of a decimal')
  return { kind: 'extension', fn: 'decimal', text: json.toFixed(4) }
}

function set(elements: readonly Value[]): Value {
  return { kind: 'set', elements }
}

function escapedEntity(json: Json): EntityUid | undefined {
  return isObject(json) && Object.hasOwn(json, '__entity') ? plainUid(json['__entity'] ?? null) : undefined
}

function escapedExtension(json: Json): { readonly fn: ExtensionFunction; readonly text: string } | undefined {
  const inner = isObject(json) && Object.hasOwn(json, '__extn') ? json['__extn'] : undefined
  if (inner === undefined || !isObject(inner)) return undefined
  const { fn, arg } = inner
  if (fn !== 'ip' && fn !== 'decimal' && fn !== 'datetime' && fn !== 'duration') return undefined
  return typeof arg === 'string' && parseExtension(fn, arg) !== undefined ? { fn, text: arg } : undefined
}

function plainUid(json: Json): EntityUid | undefined {
  if (!isObject(json)) return undefined
  const { type, id } = json
  return typeof type === 'string' && typeof id === 'string' ? { type, id } : undefined
}

function isArray(json: Json | undefined): json is readonly Json[] {
  return Array.isArray(json)
}

function isObject(json: Json | undefined): json is JsonObject {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

function join(path: string, name: string): string {
  return path === '' ? name : `${path}.${name}`
}
