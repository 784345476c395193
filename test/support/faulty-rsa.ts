import { checkPrimeSync, createPrivateKey, createPublicKey, randomBytes } from 'node:crypto'
import type { Pair } from './carriers.ts'

const EXPONENT = 65_537n
/** How many of the first primes the faulty generator multiplied, by the bits of the key. */
const PRIMES_BY_BITS = new Map([
  [2_048, 126],
  [4_096, 225],
])

const text = (value: bigint) => {
  const hex = value.toString(16)
  return Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex').toString('base64url')
}
const randomBelow = (limit: bigint) =>
  BigInt(`0x${randomBytes(limit.toString(16).length).toString('hex')}`) % limit

function firstPrimes(count: number): readonly bigint[] {
  const primes: bigint[] = []
  for (let each = 2n; primes.length < count; each += 1n)
    if (primes.every((prime) => each % prime !== 0n)) primes.push(each)
  return primes
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let [result, square] = [1n, base % modulus]
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if (rest % 2n === 1n) result = (result * square) % modulus
    square = (square * square) % modulus
  }
  return result
}

/** The inverse of `value` for a modulus that it has no factor in common with. */
function inverse(value: bigint, modulus: bigint): bigint {
  let [a, b, x, y] = [value % modulus, modulus, 1n, 0n]
  while (b !== 0n) [a, b, x, y] = [b, a % b, y, x - (a / b) * y]
  return ((x % modulus) + modulus) % modulus
}

/** A number of the form `k * M + (65537^a mod M)`, with both its highest bits set. */
function candidate(bits: number, product: bigint): bigint {
  const lowest = (3n << BigInt(bits - 2)) / product + 1n
  const highest = (1n << BigInt(bits)) / product - 1n
  const k = lowest + randomBelow(highest - lowest)
  return k * product + power(EXPONENT, randomBelow(1n << 128n), product)
}

const productOf = (bits: number) =>
  firstPrimes(PRIMES_BY_BITS.get(bits) ?? 126).reduce((product, prime) => product * prime, 1n)

/** A modulus of that form; its factors need not be prime, which makes it quick. */
export function faultyModulus(bits: number): string {
  const product = productOf(bits)
  return text(candidate(bits / 2, product) * candidate(bits / 2, product))
}

/**
 * A modulus whose rests are powers of 65537 for each of the first primes, but not of one and the same exponent: those of a key that
 * looks faulty and is not.
 */
export function likeFaultyModulus(): string {
  const primes = firstPrimes(126)
  const product = productOf(2_048)
  // The same as a faulty one, but for its rests modulo 5 and 7, which no one exponent gives beside the others.
  const faulty = BigInt(`0x${Buffer.from(faultyModulus(2_048), 'base64url').toString('hex')}`)
  const changed = [5n, 7n]
  const rests = primes.map((prime) =>
    changed.includes(prime) ? (faulty * EXPONENT) % prime : faulty % prime,
  )
  const rest = primes.reduce((sum, prime, i) => {
    const others = product / prime
    return (sum + (rests[i] ?? 0n) * others * inverse(others, prime)) % product
  }, 0n)
  return text((1n << 2_047n) - ((1n << 2_047n) % product) + product + rest)
}

let known: Pair | undefined

/**
 * An RSA key of 2,048 bits as the faulty generator made them (CVE-2017-15361); whoever has its modulus can find its factors. One for each
 * test file, because its primes take a while to find.
 */
export function faultyPair(): Pair {
  known ??= makeFaultyPair()
  return known
}

function makeFaultyPair(): Pair {
  const product = productOf(2_048)
  const prime = (): bigint => {
    for (;;) {
      const found = candidate(1_024, product)
      if (found % EXPONENT !== 1n && checkPrimeSync(found)) return found
    }
  }
  const [p, q] = [prime(), prime()]
  const d = inverse(EXPONENT, (p - 1n) * (q - 1n))
  const numbers = { d, p, q, dp: d % (p - 1n), dq: d % (q - 1n), qi: inverse(q, p) }
  const jwk = { kty: 'RSA', n: text(p * q), e: 'AQAB' }
  const secret = Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, text(value)]))
  const privateKey = createPrivateKey({ key: { ...jwk, ...secret }, format: 'jwk' })
  return { alg: 'RS256', privateKey, publicKey: createPublicKey(privateKey), jwk }
}
