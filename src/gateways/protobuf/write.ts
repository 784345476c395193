const ENCODER = new TextEncoder()

/** The bytes of some fields; fields are written in the order in which they are joined. */
export type Fields = Uint8Array

/** A `string` field; nothing for an empty text, as protobuf has it. */
export function text(field: number, value: string): Fields {
  return value === '' ? EMPTY : bytes(field, ENCODER.encode(value))
}

/** A `bytes` field or a message, written even when it is empty. */
export function bytes(field: number, value: Uint8Array): Fields {
  return join(varint(tag(field, 2)), varint(value.length), value)
}

/** A message field, written even when it is empty: that it is there can mean something. */
export function message(field: number, ...fields: readonly Fields[]): Fields {
  return bytes(field, join(...fields))
}

/** A non-negative integer, enum or `bool` field, written even when it is 0. */
export function integer(field: number, value: number): Fields {
  return join(varint(tag(field, 0)), varint(value))
}

/** A `double` field. */
export function double(field: number, value: number): Fields {
  const number = new Uint8Array(8)
  new DataView(number.buffer).setFloat64(0, value, true)
  return join(varint(tag(field, 1)), number)
}

/** Fields one after the other. */
export function join(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = new Uint8Array(parts.reduce((length, part) => length + part.length, 0))
  let at = 0
  for (const part of parts) {
    joined.set(part, at)
    at += part.length
  }
  return joined
}

const EMPTY = new Uint8Array()

function tag(field: number, type: 0 | 1 | 2): number {
  return field * 8 + type
}

function varint(value: number): Uint8Array {
  const encoded: number[] = []
  let rest = value
  while (rest >= 0x80) {
    encoded.push((rest % 0x80) + 0x80)
    rest = Math.floor(rest / 0x80)
  }
  encoded.push(rest)
  return Uint8Array.from(encoded)
}
