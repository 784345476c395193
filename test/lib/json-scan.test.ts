import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { RESERVED_KEYS, scanJson } from '#lib/json-scan.ts'

const nested = (depth: number): string => `${'['.repeat(depth)}${']'.repeat(depth)}`

test.each([
  ['a key that occurs twice', '{"a":1,"a":2}', 'duplicate_key', '`a`: the key occurs twice in one object'],
  [
    'a key that occurs twice, once escaped',
    '{"a":1,"\\u0061":2}',
    'duplicate_key',
    '`a`: the key occurs twice in one object',
  ],
  [
    'a duplicate deep inside',
    '{"x":[{"y":{"b":1,"c":2,"b":3}}]}',
    'duplicate_key',
    '`x[0].y.b`: the key occurs twice in one object',
  ],
  [
    'a duplicate after a nested object',
    '{"a":{"b":1},"a":2}',
    'duplicate_key',
    '`a`: the key occurs twice in one object',
  ],
  [
    'a duplicate among many keys',
    `{${[...'abcdefghijkl'].map((key) => `"${key}":1`).join()},"c":2}`,
    'duplicate_key',
    '`c`: the key occurs twice in one object',
  ],
  ['an empty key that occurs twice', '{"":1,"":2}', 'duplicate_key', 'the key occurs twice in one object'],
  [
    'an entity escape',
    '{"p":{"__entity":{"type":"u","id":"a"}}}',
    'reserved_key',
    '`p.__entity`: the key is reserved',
  ],
  [
    'an entity escape in disguise',
    '{"p":{"\\u005f_entity":1}}',
    'reserved_key',
    '`p.__entity`: the key is reserved',
  ],
  [
    'an extension escape in an array',
    '{"p":[1,{"__extn":{}}]}',
    'reserved_key',
    '`p[1].__extn`: the key is reserved',
  ],
  [
    'an integer beyond 2^53 - 1',
    '{"n":9007199254740992}',
    'number_out_of_range',
    '`n`: integers may not exceed 2^53 - 1 and numbers must be finite',
  ],
  [
    'a negative integer beyond',
    '[-9007199254740993]',
    'number_out_of_range',
    '`[0]`: integers may not exceed 2^53 - 1 and numbers must be finite',
  ],
  [
    'an integer beyond in exponent form',
    '[1e20]',
    'number_out_of_range',
    '`[0]`: integers may not exceed 2^53 - 1 and numbers must be finite',
  ],
  [
    'an integer beyond with a fraction of zero',
    '[9007199254740993.0]',
    'number_out_of_range',
    '`[0]`: integers may not exceed 2^53 - 1 and numbers must be finite',
  ],
  [
    'a number that becomes infinite',
    '{"n":1e400}',
    'number_out_of_range',
    '`n`: integers may not exceed 2^53 - 1 and numbers must be finite',
  ],
  [
    'an escaped lone surrogate',
    '{"s":"\\ud800"}',
    'invalid_unicode',
    '`s`: a string contains a lone surrogate',
  ],
  [
    'an escaped low surrogate first',
    '["\\udc00\\ud800"]',
    'invalid_unicode',
    '`[0]`: a string contains a lone surrogate',
  ],
  ['a lone surrogate in a key', '{"\\ud83d":1}', 'invalid_unicode', 'a string contains a lone surrogate'],
  ['a raw lone surrogate', '["\ud800"]', 'invalid_unicode', 'the text contains a lone surrogate'],
  [
    'nesting of 65',
    nested(65),
    'too_deep',
    `\`${'[0]'.repeat(64)}\`: arrays and objects may nest 64 levels deep`,
  ],
])('what JSON.parse would swallow is refused: %s', (_name, text, kind, message) => {
  expect(scanJson(text)).toMatchObject({ kind, message })
})

test.each([...RESERVED_KEYS])('the reserved key %s', (key) => {
  expect(scanJson(JSON.stringify({ a: 1 }).replace('a', key))?.kind).toBe('reserved_key')
})

test('what JSON.parse would swallow is refused: more members than allowed, in objects and arrays together', () => {
  const limits = { depthMax: 64, membersMax: 4 }
  expect(scanJson('{"a":[1,2,3],"b":1}', limits)).toBeUndefined()
  expect(scanJson('{"a":[1,2,3],"b":1,"c":2}', limits)?.kind).toBe('too_large')
})

describe('ordinary JSON passes', () => {
  test.each([
    ['the largest safe integers', '[9007199254740991,-9007199254740991]'],
    ['small exponents and fractions', '[1e3,-2.5E-3,0.1234567890123456789]'],
    ['the same key in sibling objects', '[{"a":1},{"a":1}]'],
    ['a key equal to an outer one', '{"a":{"a":{"a":1}}}'],
    ['a value equal to a key', '{"a":"a","b":"a"}'],
    ['a surrogate pair, raw and escaped', '["😀","\\ud83d\\ude00"]'],
    ['structure inside strings', '{"a":"{\\"b\\":1,\\"b\\":2}","c":"[[["}'],
    ['nesting of 64', nested(64)],
    ['backslashes at the end of strings', '{"a\\\\":"\\\\","b":"\\\\\\""}'],
  ])('%s', (_name, text) => {
    expect(scanJson(text)).toBeUndefined()
    expect(() => JSON.parse(text)).not.toThrow()
  })

  test('whatever JSON.stringify makes of safe values', () => {
    const safeKey = fc
      .string({ unit: 'binary' })
      .filter((key) => !RESERVED_KEYS.has(key) && key.isWellFormed())
    const { value } = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 6 },
        fc.constant(null),
        fc.boolean(),
        fc.maxSafeInteger(),
        fc.string({ unit: 'grapheme' }),
        fc.array(tie('value'), { maxLength: 4 }),
        fc.dictionary(safeKey, tie('value'), { maxKeys: 12 }),
      ),
    }))
    fc.assert(
      fc.property(value, (json) => {
        expect(scanJson(JSON.stringify(json))).toBeUndefined()
      }),
    )
  })
})

test('no text makes it throw, and it always ends', () => {
  const noise = fc.string({ unit: fc.constantFrom(...'{}[]",:\\u0d8e-1.5 a_\ud800'), maxLength: 60 })
  fc.assert(
    fc.property(noise, (text) => {
      scanJson(text)
    }),
    { numRuns: 5_000 },
  )
})

test('a duplicate is found wherever JSON.parse would have dropped a key', () => {
  const key = fc.constantFrom('a', 'b', '\\u0061', '\\u0062', 'c')
  const object = fc.array(key, { maxLength: 14 })
  fc.assert(
    fc.property(object, (keys) => {
      const text = `{${keys.map((name) => `"${name}":1`).join()}}`
      const isComplete = Object.keys(JSON.parse(text)).length === keys.length
      expect(scanJson(text) === undefined).toBe(isComplete)
    }),
  )
})

test('a path in a message is short and holds no control characters or backticks', () => {
  const fault = scanJson(`{"${'k'.repeat(500)}\\n\\u0060":{"a":1,"a":2}}`)
  expect(fault?.message).toBe(`\`${'k'.repeat(64)}....a\`: the key occurs twice in one object`)
})
