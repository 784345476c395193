import { generateKeyPairSync, sign, verify } from 'node:crypto'
import { expect, test } from 'vitest'
import { derOf } from '#identity/proof/ecdsa-signature.ts'

const hex = (text: string) => Buffer.from(text.replaceAll(' ', ''), 'hex')

test.each([
  ['small numbers', '0001 0002', '3006 020101 020102'],
  ['numbers whose first bit is set', '8001 ff02', '300a 0203008001 020300ff02'],
  ['numbers with zeros before them', '000080 00007f', '3007 02020080 02017f'],
  ['nothing but zeros', '0000 0000', '3006 020100 020100'],
  [
    'numbers that are too long for one byte of length',
    `${'01'.repeat(66)}${'81'.repeat(66)}`,
    `308189 0242${'01'.repeat(66)} 024300${'81'.repeat(66)}`,
  ],
])('%s are written in their shortest form', (_what, halves, expected) => {
  expect(Buffer.from(derOf(hex(halves))).toString('hex')).toBe(expected.replaceAll(' ', ''))
})

test.each([
  ['P-256', 'sha256'],
  ['P-384', 'sha384'],
  ['P-521', 'sha512'],
])('what was signed on %s verifies as before, and nothing else does', (namedCurve, digest) => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve })
  for (let i = 0; i < 64; i++) {
    const text = Buffer.from(`text ${i}`)
    const halves = sign(digest, text, { key: privateKey, dsaEncoding: 'ieee-p1363' })
    expect(verify(digest, text, publicKey, derOf(halves))).toBe(true)
    const changed = Buffer.from(halves)
    changed[i % changed.length] = (changed[i % changed.length] ?? 0) ^ 1
    expect(verify(digest, text, publicKey, derOf(changed))).toBe(false)
    expect(verify(digest, Buffer.from('other'), publicKey, derOf(halves))).toBe(false)
  }
})
