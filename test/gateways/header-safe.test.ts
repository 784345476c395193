import fc from 'fast-check'
import { expect, test } from 'vitest'
import { headerJson, headerSafe } from '#gateways/header-safe.ts'

test.each([
  [undefined, 'none'],
  ['', 'none'],
  ['none', '%6Eone'],
  ['None', '%4Eone'],
  ['spiffe://acme.test/agent/7', 'spiffe://acme.test/agent/7'],
  ['a\r\nX-Warder-User: root', 'a%0D%0AX-Warder-User:%20root'],
  ['100%', '100%25'],
  ['Zoë', 'Zo%C3%AB'],
])('%j becomes %s', (text, value) => expect(headerSafe(text)).toBe(value))

test('any text becomes printable ASCII without blanks, and different texts stay different', () => {
  const text = fc.string({ unit: 'binary' }).filter((value) => value !== '' && value.isWellFormed())
  fc.assert(
    fc.property(text, (value) => {
      const header = headerSafe(value)
      expect(header).toMatch(/^[\x21-\x7e]+$/)
      expect(header).not.toBe('none')
      expect(decodeURIComponent(header)).toBe(value)
    }),
  )
})

test('JSON in a header is ASCII and reads back the same', () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const header = headerJson(value)
      expect(header).toMatch(/^[\x20-\x7e]*$/)
      expect(JSON.stringify(JSON.parse(header))).toBe(JSON.stringify(value))
    }),
  )
})
