/** The bytes of some fields; fields are written in the order in which they are joined. */
export type Fields = Uint8Array

/** A `string` field; nothing for an empty text, as protobuf has it. */
export function text(field: number, value: string): Fields {
  if (value === '') return EMPTY
  const length = Buffer.byteLength(value)
  const written = Buffer.allocUnsafe(headSize(field, length) + length)
  written.write(value, writeHead(written, field, length))
  return written
}

/** A `bytes` field or a message, written even when it is empty. */
export function bytes(field: number, value: Uint8Array): Fields {
  return message(field, value)
}

/** A message field, written even when it is empty: that it is there can mean something. */
export function message(field: number, ...fields: readonly Fields[]): Fields {
  const length = lengthOf(fields)
  const written = Buffer.allocUnsafe(headSize(field, length) + length)
  place(fields, written, writeHead(written, field, length))
  return written
}

/** A non-negative integer, enum or `bool` field, written even when it is 0. */
export function integer(field: number, value: number): Fields {
  const written = Buffer.allocUnsafe(varintSize(field * 8) + varintSize(value))
  writeVarint(written, writeVarint(written, 0, field * 8), value)
  return written
}

/** A `double` field. */
export function double(field: number, value: number): Fields {
  const written = Buffer.allocUnsafe(varintSize(field * 8 + 1) + 8)
  written.writeDoubleLE(value, writeVarint(written, 0, field * 8 + 1))
  return written
}

/** Fields one after the other. */
export function join(...parts: readonly Uint8Array[]): Uint8Array {
  const joined = Buffer.allocUnsafe(lengthOf(parts))
  place(parts, joined, 0)
  return joined
}

const EMPTY = new Uint8Array()

function lengthOf(parts: readonly Uint8Array[]): number {
  let length = 0
  for (const part of parts) length += part.length
  return length
}

function place(parts: readonly Uint8Array[], written: Buffer, start: number): void {
  let at = start
  for (const part of parts) {
    written.set(part, at)
    at += part.length
  }
}

/** Tag and length of a field that has one. */
function headSize(field: number, length: number): number {
  return varintSize(field * 8 + 2) + varintSize(length)
}

function writeHead(written: Buffer, field: number, length: number): number {
  return writeVarint(written, writeVarint(written, 0, field * 8 + 2), length)
}

function varintSize(value: number): number {
  let size = 1
  for (let rest = value; rest >= 0x80; rest = Math.floor(rest / 0x80)) size++
  return size
}

/** Gives the place behind it. */
function writeVarint(written: Buffer, start: number, value: number): number {
  let at = start
  let rest = value
  while (rest >= 0x80) {
    written[at++] = (rest % 0x80) + 0x80
    rest = Math.floor(rest / 0x80)
  }
  written[at++] = rest
  return at
}
