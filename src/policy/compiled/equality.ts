import { asExtension } from './extension.ts'
import {
  type Extension,
  isEntity,
  isRecord,
  isSet,
  type RuntimeRecord,
  type RuntimeSet,
  type RuntimeValue,
  sameUid,
} from './value.ts'

/** Sets up to this size are searched; larger ones get an index. */
const SEARCHED_MAX = 8

/** Cedar's `==`: values of different types differ, sets without order and repetition. */
export function equals(a: RuntimeValue, b: RuntimeValue): boolean {
  if (a === b) return true
  if (typeof a !== 'object' || typeof b !== 'object') return false
  if (isEntity(a)) return isEntity(b) && sameUid(a.uid, b.uid)
  // Looking for each element of one in the other and back again would take twice as long for each level of nesting.
  if (isSet(a)) return isSet(b) && sameKeys(indexed(a), indexed(b))
  if (isRecord(a)) return isRecord(b) && sameRecords(a, b)
  const [left, right] = [asExtension(a), asExtension(b)]
  return left !== undefined && right !== undefined && extensionKey(left) === extensionKey(right)
}

function sameRecords(a: RuntimeRecord, b: RuntimeRecord): boolean {
  if (a.fields.size !== b.fields.size) return false
  for (const [name, value] of a.fields) {
    const other = b.fields.get(name)
    if (other === undefined || !equals(value, other)) return false
  }
  return true
}

/** Whether the set holds a value equal to this one. */
export function contains(set: RuntimeSet, value: RuntimeValue): boolean {
  if (set.elements.length <= SEARCHED_MAX) return set.elements.some((element) => equals(element, value))
  return indexed(set).has(keyOf(value))
}

/** Whether `outer` holds every element of `inner`. */
export function containsAll(outer: RuntimeSet, inner: RuntimeSet): boolean {
  return inner.elements.every((element) => contains(outer, element))
}

/** Whether the sets share an element. */
export function containsAny(a: RuntimeSet, b: RuntimeSet): boolean {
  const [small, large] = a.elements.length < b.elements.length ? [a, b] : [b, a]
  return small.elements.some((element) => contains(large, element))
}

type Key = string | number | bigint | boolean

function sameKeys(a: ReadonlySet<Key>, b: ReadonlySet<Key>): boolean {
  if (a.size !== b.size) return false
  for (const key of a) if (!b.has(key)) return false
  return true
}

const indexes = new WeakMap<RuntimeSet, ReadonlySet<Key>>()

function indexed(set: RuntimeSet): ReadonlySet<Key> {
  const known = indexes.get(set)
  if (known !== undefined) return known
  const index = new Set(set.elements.map(keyOf))
  indexes.set(set, index)
  return index
}

/** Two values have the same key exactly when they are equal. Strings get a mark, so that no string is another's key. */
function keyOf(value: RuntimeValue): Key {
  if (typeof value === 'string') return `s${value}`
  if (typeof value !== 'object') return value
  if (isEntity(value)) return `e${joined([value.uid.type, value.uid.id])}`
  if (isSet(value)) return `[${joined([...new Set(value.elements.map(textOf))].sort())}`
  if (isRecord(value)) {
    const fields = [...value.fields].map(([name, field]) => joined([name, textOf(field)]))
    return `{${joined(fields.sort())}`
  }
  const extension = asExtension(value)
  if (extension === undefined) throw new TypeError('a value of no known kind')
  return `x${extensionKey(extension)}`
}

/** The key as text that tells its type. */
function textOf(value: RuntimeValue): string {
  const key = keyOf(value)
  return typeof key === 'string' ? key : `${typeof value === 'boolean' ? 'b' : 'l'}${key}`
}

/** Parts with their lengths before them: different parts never give the same text. */
function joined(parts: readonly string[]): string {
  return parts.map((part) => `${part.length}:${part}`).join('')
}

function extensionKey(value: Extension): string {
  switch (value.kind) {
    case 'decimal':
      return `decimal ${value.units}`
    case 'ip':
      return `ip ${value.version} ${value.address} ${value.prefix}`
    case 'datetime':
    case 'duration':
      return `${value.kind} ${value.milliseconds}`
  }
}
