import type { EntityUid, Json } from '#model/value.ts'
import { type Problems, quote } from './problem.ts'

const TYPE_NAME = /^[A-Za-z_][A-Za-z0-9_]*(?:::[A-Za-z_][A-Za-z0-9_]*)*$/
const RESERVED = new Set(['true', 'false', 'if', 'then', 'else', 'in', 'is', 'like', 'has', '__cedar'])
const TYPE_LENGTH_MAX = 256
const ID_LENGTH_MAX = 1024

/** Whether `text` is a Cedar type path such as `Warder::Agent`. */
export function isTypeName(text: string): boolean {
  return (
    text.length <= TYPE_LENGTH_MAX &&
    TYPE_NAME.test(text) &&
    !text.split('::').some((part) => RESERVED.has(part))
  )
}

/** Whether `type` names actions: `Action`, or `Action` in a namespace. */
export function isActionType(type: string): boolean {
  return type === 'Action' || type.endsWith('::Action')
}

/** Whether `text` can be the id of an entity: 1 to 1,024 characters of valid Unicode without control characters. */
export function isEntityId(text: string): boolean {
  return text.length > 0 && text.length <= ID_LENGTH_MAX && text.isWellFormed() && !/\p{Cc}/u.test(text)
}

/** The entity that `value` names: `{type, id}`, `{"__entity": {type, id}}` or the text `Type::"id"`. Notes what is wrong. */
export function readUid(value: Json | undefined, path: string, problems: Problems): EntityUid | undefined {
  const uid = typeof value === 'string' ? fromText(value) : fromObject(value)
  if (uid === undefined) {
    problems.add(path, 'must name an entity', 'write {"type":"Type","id":"id"} or "Type::\\"id\\""')
    return undefined
  }
  if (!isTypeName(uid.type)) {
    problems.add(path, `${quote(uid.type)} is not a type name`, 'a type is a path such as `Warder::Agent`')
    return undefined
  }
  if (!isEntityId(uid.id)) {
    problems.add(path, `${quote(uid.id)} can not be an id`, `use 1 to ${ID_LENGTH_MAX} printable characters`)
    return undefined
  }
  return uid
}

function fromObject(value: Json | undefined): EntityUid | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined
  const object = value as { readonly [key: string]: Json }
  const keys = Object.keys(object)
  if (keys.length === 1 && keys[0] === '__entity') {
    const inner = object['__entity']
    return typeof inner === 'object' && inner !== null && !('__entity' in inner)
      ? fromObject(inner)
      : undefined
  }
  const type = object['type']
  const id = object['id']
  return keys.length === 2 && typeof type === 'string' && typeof id === 'string' ? { type, id } : undefined
}

const UID_TEXT = /^([A-Za-z0-9_:]+)::"((?:[^"\\]|\\.)*)"$/s
const ESCAPE = /\\(?:u\{([0-9a-fA-F]{1,6})\}|x([0-7][0-9a-fA-F])|(.))/gsu
const SHORT_ESCAPES: { readonly [letter: string]: string } = {
  n: '\n',
  r: '\r',
  t: '\t',
  '0': '\0',
  '\\': '\\',
  '"': '"',
  "'": "'",
}

/** Reads `Type::"id"` with Cedar's escapes. */
function fromText(text: string): EntityUid | undefined {
  const match = UID_TEXT.exec(text)
  if (match === null) return undefined
  let wrong = false
  const id = (match[2] ?? '').replace(ESCAPE, (_, unicode?: string, hex?: string, letter?: string) => {
    const code = Number.parseInt(unicode ?? hex ?? '', 16)
    const plain = letter === undefined ? undefined : SHORT_ESCAPES[letter]
    if (letter === undefined ? code > 0x10ffff : plain === undefined) wrong = true
    return plain ?? (code <= 0x10ffff ? String.fromCodePoint(code) : '')
  })
  return wrong ? undefined : { type: match[1] ?? '', id }
}
