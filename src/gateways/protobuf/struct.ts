import type { Json, JsonObject } from '#model/value.ts'
import {
  bytesField,
  type Message,
  mapField,
  messageField,
  messagesField,
  textField,
  unreadable,
  varintField,
} from './read.ts'
import { double, type Fields, integer, join, message, text } from './write.ts'

const DEPTH_MAX = 32

/** The fields of a `google.protobuf.Struct` with this content. */
export function writeStruct(object: JsonObject): Fields {
  return join(
    ...Object.entries(object).map(([key, value]) => message(1, text(1, key), message(2, writeValue(value)))),
  )
}

/** The object in a `google.protobuf.Struct`, as JSON has it; a key twice or more than 32 levels are refused. */
export function readStruct(struct: Message, depth = 0): JsonObject {
  if (depth > DEPTH_MAX) return unreadable('a structure is nested too deeply')
  return Object.fromEntries(mapField(struct, 1, (entry) => readValue(messageField(entry, 2), depth)))
}

function writeValue(value: Json): Fields {
  if (value === null) return integer(1, 0)
  if (typeof value === 'number') return double(2, value)
  // Written even when empty: which member is there says the type.
  if (typeof value === 'string') return value === '' ? Uint8Array.of(0x1a, 0) : text(3, value)
  if (typeof value === 'boolean') return integer(4, value ? 1 : 0)
  if (isList(value)) return message(6, ...value.map((item) => message(1, writeValue(item))))
  return message(5, writeStruct(value))
}

function readValue(value: Message, depth: number): Json {
  if (value.size > 1) return unreadable('a value has more than one type')
  if (value.has(2)) return readDouble(bytesField(value, 2))
  if (value.has(3)) return textField(value, 3) ?? ''
  if (value.has(4)) return varintField(value, 4) !== 0n
  if (value.has(5)) return readStruct(messageField(value, 5), depth + 1)
  if (!value.has(6)) return null
  if (depth > DEPTH_MAX) return unreadable('a structure is nested too deeply')
  return messagesField(messageField(value, 6), 1).map((item) => readValue(item, depth + 1))
}

function readDouble(bytes: Uint8Array | undefined): number {
  if (bytes?.length !== 8) return unreadable('a number has not 8 bytes')
  const number = new DataView(bytes.buffer, bytes.byteOffset, 8).getFloat64(0, true)
  return Number.isFinite(number) ? number : unreadable('a number is not finite')
}

function isList(value: JsonObject | readonly Json[]): value is readonly Json[] {
  return Array.isArray(value)
}
