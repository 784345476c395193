import { expect, test } from 'vitest'
import { readElements } from '#identity/workload/der.ts'

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex, 'hex'))

test('elements that stand one after another are read', () => {
  const found = readElements(bytes('0500020107308100'))
  expect(found?.map(({ tag, content }) => [tag, content.length])).toEqual([
    [0x05, 0],
    [0x02, 1],
    [0x30, 0],
  ])
})

test.each([
  ['an indefinite length, which hides what follows', '30800500 0000'],
  ['a length beyond the end', '3005 0500'],
  ['a length of five bytes', '30850000000001 05'],
  ['a length that breaks off', '3082 01'],
  ['a tag of several bytes', '1f8101 00'],
  ['a lone tag', '0500 30'],
])('%s is not DER', (_what, hex) => {
  expect(readElements(bytes(hex.replaceAll(' ', '')))).toBeUndefined()
})
