import type { KeyObject, X509Certificate } from 'node:crypto'

const RSA_BITS_MIN = 2_048
/** Beyond it one signature costs us milliseconds, and buys nobody anything. */
const RSA_BITS_MAX = 8_192
const RSA_EXPONENT = 65_537n
/** Curves as Node.js names them: P-256, P-384, P-521. */
const CURVES: readonly unknown[] = ['prime256v1', 'secp384r1', 'secp521r1']
/** Odd primes that every product of the faulty generator is built from, whatever the length of its keys. */
const PRIMES = [
  3, 5, 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47, 53, 59, 61, 67, 71, 73, 79, 83, 89, 97, 101, 103, 107,
  109, 113, 127, 131, 137, 139, 149, 151, 157, 163, 167,
]
/** For each of them the powers of the exponent, from the one with 0 on, as long as they differ. */
const POWERS = PRIMES.map(powersOfExponent)
const WEAK = new WeakMap<X509Certificate, boolean>()

/**
 * Why nobody should rely on what this public key signs; undefined for a good one: RSA of 2,048 to 8,192 bits with the exponent 65537
 * that was not made by the generator of CVE-2017-15361, EC on P-256, P-384 or P-521, Ed25519. Node.js has checked that an EC point is
 * on its curve, when it imported the key.
 */
export function weaknessOf(key: KeyObject): string | undefined {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details = {} } = key
  if (type === 'ed25519') return undefined
  if (type === 'ec') return CURVES.includes(details.namedCurve) ? undefined : 'the EC key is on another curve'
  if (type !== 'rsa') return 'the kind of key is not known'
  const { modulusLength = 0, publicExponent } = details
  if (publicExponent !== RSA_EXPONENT) return 'the RSA exponent is not 65537'
  if (modulusLength < RSA_BITS_MIN) return `the RSA key has fewer than ${RSA_BITS_MIN} bits`
  if (modulusLength > RSA_BITS_MAX) return `the RSA key has more than ${RSA_BITS_MAX} bits`
  return weaknessOfModulus(modulusOf(key))
}

/** Whether somebody else could have the private key of a certificate (`weaknessOf`); worked out once for each. */
export function isWeak(certificate: X509Certificate): boolean {
  const known = WEAK.get(certificate) ?? hasWeakKey(certificate)
  WEAK.set(certificate, known)
  return known
}

/** A key that Node.js can't read is one that nobody can rely on. */
function hasWeakKey(certificate: X509Certificate): boolean {
  try {
    return weaknessOf(certificate.publicKey) !== undefined
  } catch {
    return true
  }
}

/**
 * The generator of CVE-2017-15361 made primes `k * M + (65537^a mod M)`, where M is a product of small primes. So the modulus is
 * `65537^c mod M` for some c, which shows in its discrete logarithms modulo each of these primes: they are there, and are those of one c
 * (Chinese remainder theorem). That is true of one in 2^153 other moduli.
 *
 * @see Nemec, Sys, Svenda, Klinec, Matyas: The Return of Coppersmith's Attack (CCS 2017), section 2
 */
function weaknessOfModulus(modulus: bigint): string | undefined {
  const rests = PRIMES.map((prime) => Number(modulus % BigInt(prime)))
  if (modulus % 2n === 0n || rests.includes(0)) return 'the RSA modulus has a small factor'
  const logs = rests.map((rest, i) => POWERS[i]?.indexOf(rest) ?? -1)
  if (logs.includes(-1)) return undefined
  const orders = POWERS.map(({ length }) => length)
  const areOfOne = logs.every((log, i) =>
    logs.slice(0, i).every((other, j) => (log - other) % divisorOf(orders[i] ?? 1, orders[j] ?? 1) === 0),
  )
  return areOfOne
    ? 'the RSA modulus is of a generator whose keys can be factored (CVE-2017-15361)'
    : undefined
}

/** Greatest common divisor. */
function divisorOf(a: number, b: number): number {
  return b === 0 ? a : divisorOf(b, a % b)
}

function modulusOf(key: KeyObject): bigint {
  const { n = '' } = key.export({ format: 'jwk' })
  return BigInt(`0x0${Buffer.from(n, 'base64url').toString('hex')}`)
}

function powersOfExponent(prime: number): readonly number[] {
  const exponent = Number(RSA_EXPONENT) % prime
  const powers: number[] = []
  for (let power = 1; !powers.includes(power); power = (power * exponent) % prime) powers.push(power)
  return powers
}
