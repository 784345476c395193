import { isUtf8 } from 'node:buffer'
import { failed, type Result, success } from '#lib/result.ts'
import type { Malformed } from '#model/request.ts'

type Value = bigint | Uint8Array

/** The fields of one message by number, every occurrence in order: varints as bigint, everything else as its bytes. */
export type Message = ReadonlyMap<number, readonly Value[]>

const FIELD_MAX = 0x1fff_ffff
const VARINT_BYTES_MAX = 10
const NOTHING: Message = new Map()

/** Thrown inside this folder and caught in `decodeMessage`; says what is wrong, never what the bytes are. */
class Unreadable extends Error {}

/**
 * Reads one message with `read`. What is not exactly one well-formed message is `request.malformed_protobuf`.
 *
 * INVARIANT: stricter than the encoding allows. A field that occurs once by its definition and twice in the bytes is refused,
 * because readers differ in whether they take the last one or merge both.
 *
 * @param read may use the functions of this file only; what they refuse ends here
 * @see https://protobuf.dev/programming-guides/encoding
 */
export function decodeMessage<T>(bytes: Uint8Array, read: (message: Message) => T): Result<T, Malformed> {
  try {
    return success(read(fieldsOf(bytes)))
  } catch (error) {
    if (!(error instanceof Unreadable)) throw error
    return failed({ code: 'request.malformed_protobuf', message: error.message })
  }
}

/** A `string` field; undefined when it is absent or empty, which protobuf does not tell apart. */
export function textField(message: Message, field: number): string | undefined {
  const bytes = bytesField(message, field)
  return bytes === undefined || bytes.length === 0 ? undefined : textOf(bytes)
}

/** A `bytes` field; undefined when it is absent. */
export function bytesField(message: Message, field: number): Uint8Array | undefined {
  const value = single(message, field)
  if (typeof value === 'bigint') throw new Unreadable(`field ${field} is a number`)
  return value
}

/** A `bool`, enum or unsigned field; 0 when it is absent. */
export function varintField(message: Message, field: number): bigint {
  const value = single(message, field) ?? 0n
  if (typeof value !== 'bigint') throw new Unreadable(`field ${field} is no number`)
  return value
}

/** An `int64` field; 0 when it is absent. */
export function int64Field(message: Message, field: number): bigint {
  return BigInt.asIntN(64, varintField(message, field))
}

/** A message field; without it the empty message. */
export function messageField(message: Message, field: number): Message {
  const bytes = bytesField(message, field)
  return bytes === undefined ? NOTHING : fieldsOf(bytes)
}

/** A repeated message field. */
export function messagesField(message: Message, field: number): readonly Message[] {
  return (message.get(field) ?? []).map((value) => {
    if (typeof value === 'bigint') throw new Unreadable(`field ${field} is a number`)
    return fieldsOf(value)
  })
}

/** A repeated `string` field. */
export function textsField(message: Message, field: number): readonly string[] {
  return (message.get(field) ?? []).map((value) => {
    if (typeof value === 'bigint') throw new Unreadable(`field ${field} is a number`)
    return textOf(value)
  })
}

/** A `map<string, ...>` field whose values are read by `read` from field 2 of each entry. */
export function mapField<T>(
  message: Message,
  field: number,
  read: (entry: Message) => T,
): ReadonlyMap<string, T> {
  const map = new Map<string, T>()
  for (const entry of messagesField(message, field)) {
    const key = textField(entry, 1) ?? ''
    if (map.has(key)) throw new Unreadable(`a key of field ${field} occurs more than once`)
    map.set(key, read(entry))
  }
  return map
}

/** Refuses the message; for readers of what is built on messages. */
export function unreadable(message: string): never {
  throw new Unreadable(message)
}

function single(message: Message, field: number): Value | undefined {
  const values = message.get(field)
  if (values === undefined) return undefined
  if (values.length > 1) throw new Unreadable(`field ${field} occurs more than once`)
  return values[0]
}

function textOf(bytes: Uint8Array): string {
  if (!isUtf8(bytes)) throw new Unreadable('a text is not valid UTF-8')
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString()
}

function fieldsOf(bytes: Uint8Array): Message {
  const message = new Map<number, Value[]>()
  let at = 0
  while (at < bytes.length) {
    const [tag, afterTag] = length(bytes, at)
    const field = Math.floor(tag / 8)
    if (field === 0 || field > FIELD_MAX) throw new Unreadable('a field has no valid number')
    const [value, end] = fieldValue(bytes, afterTag, tag % 8)
    at = end
    const values = message.get(field)
    if (values === undefined) message.set(field, [value])
    else values.push(value)
  }
  return message
}

function fieldValue(bytes: Uint8Array, at: number, type: number): readonly [Value, number] {
  if (type === 0) return varint(bytes, at)
  if (type === 1) return slice(bytes, at, 8)
  if (type === 5) return slice(bytes, at, 4)
  // 3 and 4 are groups, which no message here has ever had; 6 and 7 do not exist.
  if (type !== 2) throw new Unreadable('a field has an unknown type')
  const [size, start] = length(bytes, at)
  return slice(bytes, start, size)
}

/** A varint that has to be small: a tag or a length. What is beyond the safe integers fits into no message, and is no field. */
function length(bytes: Uint8Array, at: number): readonly [number, number] {
  const first = bytes[at] ?? 0x80
  if (first < 0x80) return [first, at + 1]
  const second = bytes[at + 1] ?? 0x80
  if (second < 0x80) return [(first & 0x7f) + second * 0x80, at + 2]
  const [value, end] = varint(bytes, at)
  return [Number(value), end]
}

function slice(bytes: Uint8Array, at: number, length: number): readonly [Uint8Array, number] {
  if (at + length > bytes.length) throw new Unreadable('it ends inside a field')
  return [bytes.subarray(at, at + length), at + length]
}

function varint(bytes: Uint8Array, start: number): readonly [bigint, number] {
  let value = 0n
  for (let i = 0; i < VARINT_BYTES_MAX; i++) {
    const byte = bytes[start + i]
    if (byte === undefined) throw new Unreadable('it ends inside a number')
    value |= BigInt(byte & 0x7f) << BigInt(7 * i)
    if (byte < 0x80) {
      if (value > 0xffff_ffff_ffff_ffffn) break
      return [value, start + i + 1]
    }
  }
  throw new Unreadable('a number has more than 64 bits')
}
