import { describe, expect, test } from 'vitest'
import type { SchemaType } from '#model/release.ts'
import type { Json, Value } from '#model/value.ts'
import { TypeMismatch, toRecord, toValue } from '#policy/ask/typed.ts'

const LONG: SchemaType = { kind: 'long' }
const USER: SchemaType = { kind: 'entity', type: 'User' }
const DECIMAL: SchemaType = { kind: 'extension', fn: 'decimal' }
const IP: SchemaType = { kind: 'extension', fn: 'ip' }
const user: Value = { kind: 'entity', uid: { type: 'User', id: 'a' } }

describe('with a schema', () => {
  test.each<[string, Json, SchemaType, Value]>([
    ['an integer is a Long', 5, LONG, 5],
    ['an implicit reference becomes explicit', { type: 'User', id: 'a' }, USER, user],
    [
      'a number with a fraction becomes a decimal',
      0.75,
      DECIMAL,
      { kind: 'extension', fn: 'decimal', text: '0.7500' },
    ],
    ['text becomes a decimal', '1.5', DECIMAL, { kind: 'extension', fn: 'decimal', text: '1.5' }],
    ['text becomes an ip', '10.0.0.0/8', IP, { kind: 'extension', fn: 'ip', text: '10.0.0.0/8' }],
    ['an array becomes a set', [1, 2], { kind: 'set', element: LONG }, { kind: 'set', elements: [1, 2] }],
  ])('%s', (_name, json, type, value) => {
    expect(toValue(json, type, 'caller', 'x')).toEqual(value)
  })

  test.each<[string, Json, SchemaType, string]>([
    ['text is no Long', '5', LONG, '`x` is not an integer between -(2^53 - 1) and 2^53 - 1'],
    ['a fraction is no Long', 1.5, LONG, '`x` is not an integer between -(2^53 - 1) and 2^53 - 1'],
    ['an unsafe integer is no Long', 2 ** 60, LONG, '`x` is not an integer between -(2^53 - 1) and 2^53 - 1'],
    [
      'a reference of another type',
      { type: 'Admin', id: 'a' },
      USER,
      '`x` is not a reference to an entity of type `User`',
    ],
    ['a decimal with five places', '1.23456', DECIMAL, '`x` is not a valid decimal'],
    ['an empty duration', '-', { kind: 'extension', fn: 'duration' }, '`x` is not a valid duration'],
    [
      'a wrong element',
      [1, 'a'],
      { kind: 'set', element: LONG },
      '`x[1]` is not an integer between -(2^53 - 1) and 2^53 - 1',
    ],
  ])('%s is refused', (_name, json, type, message) => {
    expect(() => toValue(json, type, 'caller', 'x')).toThrow(TypeMismatch)
    expect(() => toValue(json, type, 'caller', 'x')).toThrow(message)
  })

  test('what the schema does not declare is left out, and a missing required attribute is refused', () => {
    const attrs = { a: { type: LONG, required: true }, b: { type: LONG, required: false } }
    expect(toRecord({ a: 1, z: 'x' }, attrs, 'caller', '', true)).toEqual(new Map([['a', 1]]))
    expect(() => toRecord({ b: 1 }, attrs, 'caller', 'context', true)).toThrow(
      '`context.a` is not given, and it is required',
    )
    expect(toRecord({ b: 1 }, attrs, 'caller', '', false)).toEqual(new Map([['b', 1]]))
  })
})

describe('without a schema', () => {
  test('a caller can not write an entity reference or an extension value', () => {
    const smuggled = { __entity: { type: 'user', id: 'admin' } }
    const value = toValue(smuggled, undefined, 'caller', 'x')
    expect(value).toMatchObject({ kind: 'record' })
  })

  test('an administrator can', () => {
    expect(toValue({ __entity: { type: 'User', id: 'a' } }, undefined, 'stored', 'x')).toEqual(user)
    expect(toValue({ __extn: { fn: 'ip', arg: '::1' } }, undefined, 'stored', 'x')).toEqual({
      kind: 'extension',
      fn: 'ip',
      text: '::1',
    })
  })

  test.each([
    { __extn: { fn: 'unknown', arg: 'x' } },
    { __extn: { fn: 'datetime', arg: '2024-02-30' } },
    { __extn: { fn: 'ip', arg: '1.2.3' } },
    { __entity: { type: 'A' } },
  ])('what only looks like an extension value or a reference is refused: %j', (json) => {
    expect(() => toValue(json, undefined, 'stored', 'x')).toThrow(
      '`x` is not a valid reference or extension value',
    )
  })

  test('null members are absent, and a null alone is refused', () => {
    expect(toRecord({ a: null, b: [null, 1] }, undefined, 'caller', '', false)).toEqual(
      new Map([['b', { kind: 'set', elements: [1] }]]),
    )
    expect(() => toValue(null, undefined, 'caller', 'x')).toThrow('`x` is not given')
  })

  test('keys of prototypes are plain keys', () => {
    const json = JSON.parse('{"__proto__":{"admin":true},"constructor":1}')
    const fields = toRecord(json, undefined, 'caller', '', false)
    expect([...fields.keys()]).toEqual(['__proto__', 'constructor'])
    expect(({} as { admin?: boolean }).admin).toBeUndefined()
  })
})
