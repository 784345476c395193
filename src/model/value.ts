/** Any JSON value as `JSON.parse` gives it; numbers are checked to be safe integers or finite decimals at the edge. */
export type Json = null | boolean | number | string | readonly Json[] | JsonObject

/** A JSON object. Keys `__entity`, `__extn`, `__expr` and `__proto__` never occur in one that came from a caller. */
export interface JsonObject {
  readonly [key: string]: Json
}

/** Names one entity: `type` is a Cedar type path such as `Warder::Agent`, `id` any string. */
export interface EntityUid {
  readonly type: string
  readonly id: string
}

/** Map key of an entity; unambiguous because a type name can't contain NUL. */
export type UidKey = string & { readonly __key: 'uid' }

/** The map key of `uid`. */
export function uidKey(uid: EntityUid): UidKey {
  return `${uid.type}\u0000${uid.id}` as UidKey
}

/** Fields of a record or attributes of an entity. A Map, so that no key can reach a prototype. */
export type ValueRecord = ReadonlyMap<string, Value>

/**
 * A Cedar value in our own terms; no Cedar JSON.
 * `number` is a Long and always a safe integer. A decimal, datetime, duration or ip is an extension with its source text.
 */
export type Value =
  | boolean
  | number
  | string
  | { readonly kind: 'set'; readonly elements: readonly Value[] }
  | { readonly kind: 'record'; readonly fields: ValueRecord }
  | { readonly kind: 'entity'; readonly uid: EntityUid }
  | { readonly kind: 'extension'; readonly fn: ExtensionFunction; readonly text: string }

/** Constructors of Cedar's extension types. `unknown` is not among them and is refused everywhere. */
export type ExtensionFunction = 'ip' | 'decimal' | 'datetime' | 'duration'
