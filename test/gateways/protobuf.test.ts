import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  bytesField,
  decodeMessage,
  int64Field,
  mapField,
  messageField,
  textField,
  textsField,
  varintField,
} from '#gateways/protobuf/read.ts'
import { readStruct, writeStruct } from '#gateways/protobuf/struct.ts'
import { bytes, double, integer, join, message, text } from '#gateways/protobuf/write.ts'
import type { JsonObject } from '#model/value.ts'

const readAll = (encoded: Uint8Array) => decodeMessage(encoded, (found) => found)

test('what is written is read again', () => {
  const encoded = join(
    text(1, 'Zoë'),
    bytes(2, Uint8Array.of(0, 255)),
    integer(3, 300),
    message(4, text(1, 'inner')),
    text(5, 'a'),
    text(5, 'b'),
    message(6, text(1, 'key'), text(2, 'value')),
    double(7, 1.5),
  )
  const read = decodeMessage(encoded, (found) => [
    textField(found, 1),
    Uint8Array.from(bytesField(found, 2) ?? []),
    varintField(found, 3),
    textField(messageField(found, 4), 1),
    textsField(found, 5),
    mapField(found, 6, (entry) => textField(entry, 2)).get('key'),
    textField(found, 99),
  ])
  expect(read).toEqual({
    ok: true,
    value: ['Zoë', Uint8Array.of(0, 255), 300n, 'inner', ['a', 'b'], 'value', undefined],
  })
})

test('a negative number is ten bytes', () => {
  const minusOne = Uint8Array.of(0x48, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1)
  expect(decodeMessage(minusOne, (found) => int64Field(found, 9))).toEqual({ ok: true, value: -1n })
})

test.each([
  ['a length beyond the end', [0x0a, 5, 1]],
  ['a length of 2^63', [0x0a, 255, 255, 255, 255, 255, 255, 255, 255, 127]],
  ['a number that does not end', [0x08, 255]],
  ['a number of more than 64 bits', [0x08, 255, 255, 255, 255, 255, 255, 255, 255, 255, 2]],
  ['a number of eleven bytes', [0x08, 128, 128, 128, 128, 128, 128, 128, 128, 128, 128, 0]],
  ['a group', [0x0b, 0x0c]],
  ['a type that does not exist', [0x0e]],
  ['field 0', [0x02, 0]],
  ['eight bytes that are five', [0x09, 1, 2, 3, 4, 5]],
])('%s is not read', (_what, encoded) => {
  expect(readAll(Uint8Array.from(encoded))).toMatchObject({
    ok: false,
    failure: { code: 'request.malformed_protobuf' },
  })
})

test.each([
  ['a single field twice', join(text(1, 'a'), text(1, 'b')), 1],
  ['text that is not UTF-8', bytes(1, Uint8Array.of(0xc0, 0xaf)), 1],
  ['a number where a text belongs', integer(1, 7), 1],
])('%s is refused where it is used', (_what, encoded, field) => {
  const read = decodeMessage(encoded, (found) => textField(found, field))
  expect(read).toMatchObject({ ok: false, failure: { code: 'request.malformed_protobuf' } })
})

test('a key of a map that occurs twice is refused', () => {
  const entry = message(1, text(1, 'k'), text(2, 'v'))
  const read = decodeMessage(join(entry, entry), (found) => mapField(found, 1, () => 0))
  expect(read.ok).toBe(false)
})

test('any JSON object survives as a Struct', () => {
  const json = fc.dictionary(
    fc.string({ unit: 'binary' }),
    fc.jsonValue({ maxDepth: 4, noUnicodeString: false }),
  )
  fc.assert(
    fc.property(json, (object) => {
      const given = JSON.parse(JSON.stringify(object)) as JsonObject
      if (!JSON.stringify(given).isWellFormed()) return
      const read = decodeMessage(writeStruct(given), (found) => readStruct(found))
      // -0 and 0 are one number in JSON.
      expect(JSON.stringify(read.ok && read.value)).toBe(JSON.stringify(given))
    }),
    { numRuns: 300, seed: 1 },
  )
})

test('a Struct that is nested without end is refused', () => {
  let nested = writeStruct({ a: 1 })
  for (let i = 0; i < 100; i++) nested = message(1, text(1, 'a'), message(2, bytes(5, nested)))
  expect(decodeMessage(nested, (found) => readStruct(found))).toMatchObject({ ok: false })
})

test('no bytes make the reader throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (encoded) => {
      decodeMessage(encoded, (found) => {
        for (const field of found.keys()) textsField(found, field)
        readStruct(found)
      })
    }),
    { numRuns: 2_000, seed: 1 },
  )
})
