import { createHmac, generateKeyPairSync } from 'node:crypto'
import type { JWK } from 'jose'
import { expect, test } from 'vitest'
import { askSigned, carriersOf, compact, honest, type Pair, type Sign } from '../support/carriers.ts'
import { faultyPair } from '../support/faulty-rsa.ts'
import { bytesOf, digestOf, expectDenied, padded, pairFor, SHA256 } from '../support/forgeries.ts'

/** Keys that nobody should have: what is signed with them holds for whoever knows how, or could not be checked. */
const okp = (bytes: Uint8Array): JWK => ({
  kty: 'OKP',
  crv: 'Ed25519',
  x: Buffer.from(bytes).toString('base64url'),
})
const point = (y: bigint, sign = 0): JWK => {
  const bytes = bytesOf(y, 32).reverse()
  bytes[31] = (bytes[31] ?? 0) | (sign << 7)
  return okp(bytes)
}
const FIELD = 2n ** 255n - 19n
/** y of the points of order 8. */
const EIGHTH = 0x05fc536d880238b13933c6d305acdfd5f098eff289f4c345b027b2c28f95e826n
const SMALL = [0n, 1n, FIELD - 1n, FIELD, FIELD + 1n, EIGHTH, FIELD - EIGHTH]
const BASE = Buffer.from(`58${'66'.repeat(31)}`, 'hex')
/** S times the base point as R: right for every text, where the key is the neutral element. */
const EVERYBODYS: readonly Sign[] = [
  () => Buffer.concat([Buffer.of(1), Buffer.alloc(63)]),
  () => Buffer.concat([BASE, Buffer.of(1), Buffer.alloc(31)]),
]

const ellipticOf = (namedCurve: string): Pair => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve })
  const { crv = '', x = '', y = '' } = publicKey.export({ format: 'jwk' })
  return { alg: 'ES256', privateKey, publicKey, jwk: { kty: 'EC', crv, x, y } }
}
const rsaOf = (modulusLength: number, publicExponent = 65_537): Pair => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength, publicExponent })
  const { n = '', e = '' } = publicKey.export({ format: 'jwk' })
  return { alg: 'RS256', privateKey, publicKey, jwk: { kty: 'RSA', n, e } }
}
const spelt = (pair: Pair, jwk: Partial<JWK>): Pair => ({ ...pair, jwk: { ...pair.jwk, ...jwk } })
const longer = (text = '') =>
  Buffer.concat([Buffer.alloc(128), Buffer.from(text, 'base64url')]).toString('base64url')

const WEAK: readonly (readonly [string, () => readonly (readonly [Pair, readonly Sign[]])[]])[] = [
  [
    'an Ed25519 key of small order',
    () =>
      SMALL.flatMap((y) => [point(y), point(y, 1)]).map(
        (jwk) => [spelt(pairFor('EdDSA'), jwk), EVERYBODYS] as const,
      ),
  ],
  [
    'an Ed25519 key of another length',
    () =>
      [31, 33, 57].map((length) => {
        const pair = spelt(pairFor('EdDSA'), okp(Buffer.alloc(length, 0x58)))
        return [pair, [...EVERYBODYS, honest(pair)]] as const
      }),
  ],
  [
    'an RSA key with the exponent 1',
    () => {
      const pair = spelt(pairFor('RS256'), { e: 'AQ' })
      return [[pair, [(input) => padded(Buffer.concat([SHA256, digestOf(input)])), honest(pair)]]]
    },
  ],
  ['an RSA key with the exponent 3', () => withHonest(rsaOf(2_048, 3))],
  ['an RSA key of 1,024 bits', () => withHonest(rsaOf(1_024))],
  ['an RSA key of 2,040 bits', () => withHonest(rsaOf(2_040))],
  [
    'an RSA key that zeros make long',
    () => {
      const pair = rsaOf(1_024)
      return withHonest(spelt(pair, { n: longer(pair.jwk.n) }))
    },
  ],
  ['an RSA key whose factors can be found from how they were made', () => withHonest(faultyPair())],
  [
    'one of them that zeros make look otherwise',
    () => {
      const pair = faultyPair()
      return withHonest(spelt(pair, { n: longer(pair.jwk.n) }))
    },
  ],
  ['a key on a curve of others', () => withHonest(ellipticOf('secp256k1'))],
  [
    'a key on a curve of others that goes by ours',
    () => withHonest(spelt(ellipticOf('secp256k1'), { crv: 'P-256' })),
  ],
  ['an EC point at zero', () => withHonest(spelt(pairFor('ES256'), { x: zeros(32), y: zeros(32) }))],
  [
    'an EC point of another',
    () => withHonest(spelt(pairFor('ES256'), { y: ellipticOf('P-256').jwk.y ?? '' })),
  ],
  ['a symmetric key', () => symmetric()],
]

const zeros = (length: number) => Buffer.alloc(length).toString('base64url')
const withHonest = (pair: Pair) => [[pair, [honest(pair)]]] as const

function symmetric() {
  const pair = { ...pairFor('ES256'), alg: 'HS256', jwk: { kty: 'oct', k: zeros(32) } }
  const mac: Sign = (input) => createHmac('sha256', Buffer.alloc(32)).update(input).digest()
  return [[pair, [mac]]] as const
}

test.each(WEAK)('%s verifies nothing, whoever publishes it or brings it along', async (_what, make) => {
  for (const [pair, signs] of make())
    for (const carrier of await carriersOf(pair))
      for (const sign of signs)
        await expectDenied(carrier, compact(carrier.header, carrier.payload, sign), carrier.name)
})

test.each(WEAK)('%s signs no call', async (_what, make) => {
  for (const [pair, signs] of make())
    for (const sign of signs) expect(await askSigned(pair, sign)).toMatchObject({ ok: false })
})
