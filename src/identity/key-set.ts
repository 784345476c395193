import { createPublicKey, X509Certificate } from 'node:crypto'
import { type CryptoKey, importJWK, type JWK } from 'jose'
import { failed, type Result, success } from '#lib/result.ts'
import { weaknessOf } from './key-strength.ts'
import { createRefusedTexts, type RefusedTexts } from './refused-texts.ts'

/** Signature algorithms that can be accepted at all; asymmetric ones only, each bound to one kind of key. */
export const ALGORITHMS: ReadonlyMap<string, { readonly kty: string; readonly crv?: string }> = new Map([
  ['ES256', { kty: 'EC', crv: 'P-256' }],
  ['ES384', { kty: 'EC', crv: 'P-384' }],
  ['ES512', { kty: 'EC', crv: 'P-521' }],
  ['RS256', { kty: 'RSA' }],
  ['RS384', { kty: 'RSA' }],
  ['RS512', { kty: 'RSA' }],
  ['PS256', { kty: 'RSA' }],
  ['PS384', { kty: 'RSA' }],
  ['PS512', { kty: 'RSA' }],
  ['EdDSA', { kty: 'OKP', crv: 'Ed25519' }],
  ['Ed25519', { kty: 'OKP', crv: 'Ed25519' }],
])

/** The usable public keys of one issuer. */
export interface KeySet {
  /** The key for a token's `kid` and `alg`. Without a `kid` only the sole key of a set can be meant. */
  find(kid: string | undefined, alg: string): Promise<CryptoKey | undefined>
  readonly size: number
  /** Certificates of the authorities in a SPIFFE bundle: of keys with the use `x509-svid`, one each. */
  readonly anchors: readonly X509Certificate[]
  /** JWS whose signature is not of the key that `find` gives for them. */
  readonly refused: RefusedTexts
}

const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']
const KEYS_MAX = 100

/**
 * The key set in a JWKS document (RFC 7517 section 5).
 *
 * @param use what `use` a signature key has, if any. Default `sig`.
 * @param mayBeEmpty whether a set without any usable key is one: then it verifies nothing. Default false.
 *
 * Keys for encryption or of an unknown kind are skipped, as section 5 asks. A set with a symmetric or private key, a weak
 * key, a duplicate `kid`, or without any usable key is refused as a whole: it was not meant to be published.
 */
export function parseKeySet(document: unknown, use = 'sig', mayBeEmpty = false): Result<KeySet, string> {
  const entries = isRecord(document) ? document['keys'] : undefined
  if (!Array.isArray(entries)) return failed('`keys` is not an array')
  if (entries.length > KEYS_MAX) return failed(`more than ${KEYS_MAX} keys`)
  const keys: JWK[] = []
  const kids = new Set<string>()
  for (const [i, entry] of entries.entries()) {
    const objection = objectionTo(entry, use, kids)
    if (objection !== undefined) return failed(`keys[${i}]: ${objection}`)
    if (isUsable(entry, use)) keys.push(entry)
  }
  return keys.length === 0 && !mayBeEmpty
    ? failed('no usable signature key')
    : success(createKeySet(keys, anchorsIn(entries)))
}

function objectionTo(entry: unknown, use: string, kids: Set<string>): string | undefined {
  if (!isRecord(entry)) return 'not an object'
  const { kty, kid, e } = entry
  if (typeof kty !== 'string') return '`kty` is not a string'
  if (kty === 'oct') return 'a symmetric key can not verify tokens'
  if (PRIVATE_MEMBERS.some((name) => Object.hasOwn(entry, name))) return 'the key has private members'
  if (kid !== undefined) {
    if (typeof kid !== 'string' || kid === '') return '`kid` is not a non-empty string'
    if (kids.has(kid)) return 'the `kid` occurs twice'
    kids.add(kid)
  }
  if (kty === 'RSA' && e !== 'AQAB') return 'the RSA exponent is not 65537'
  return kty === 'RSA' || isUsable(entry, use) ? objectionToKey(entry) : undefined
}

/** Node.js imports no EC point that is not on its curve. */
function objectionToKey(entry: JWK): string | undefined {
  try {
    return weaknessOf(createPublicKey({ key: bareOf(entry), format: 'jwk' }))
  } catch {
    return 'it is no public key of its kind'
  }
}

function isUsable(entry: unknown, wanted: string): entry is JWK {
  if (!isRecord(entry)) return false
  const { use, key_ops: operations, alg } = entry
  if (use !== undefined && use !== wanted) return false
  if (Array.isArray(operations) && !operations.includes('verify')) return false
  if (alg !== undefined && !(typeof alg === 'string' && fits(entry, alg))) return false
  return [...ALGORITHMS.keys()].some((name) => fits(entry, name))
}

function fits(key: { readonly [member: string]: unknown }, alg: string): boolean {
  const wanted = ALGORITHMS.get(alg)
  return wanted !== undefined && key['kty'] === wanted.kty && (!wanted.crv || key['crv'] === wanted.crv)
}

function createKeySet(keys: readonly JWK[], anchors: readonly X509Certificate[]): KeySet {
  const imported = new Map<string, Promise<CryptoKey | undefined>>()
  return {
    size: keys.length,
    anchors,
    refused: createRefusedTexts(),
    async find(kid, alg) {
      const candidates = kid === undefined ? keys : keys.filter((key) => key.kid === kid)
      const key = candidates.length === 1 ? candidates[0] : undefined
      if (key === undefined || !fits(key, alg) || (key.alg !== undefined && key.alg !== alg)) return undefined
      const slot = `${keys.indexOf(key)}:${alg}`
      const known = imported.get(slot) ?? importPublicKey(key, alg)
      imported.set(slot, known)
      return await known
    },
  }
}

/** SPIFFE Trust Domain and Bundle, section 4.2: what does not hold exactly one certificate is ignored. */
function anchorsIn(entries: readonly unknown[]): readonly X509Certificate[] {
  return entries.filter(isRecord).flatMap(({ use, x5c }) => {
    const [text, second]: readonly unknown[] = Array.isArray(x5c) ? x5c : []
    if (use !== 'x509-svid' || typeof text !== 'string' || second !== undefined) return []
    try {
      return [new X509Certificate(Buffer.from(text, 'base64'))]
    } catch {
      return []
    }
  })
}

async function importPublicKey(key: JWK, alg: string): Promise<CryptoKey | undefined> {
  try {
    const made = await importJWK(bareOf(key), alg)
    return made instanceof Uint8Array ? undefined : made
  } catch {
    return undefined
  }
}

/** The members that make the key. */
function bareOf({ kty, crv, n, e, x, y }: JWK): { readonly [member: string]: string } {
  const members = Object.entries({ kty, crv, n, e, x, y })
  return Object.fromEntries(members.filter((member): member is [string, string] => member[1] !== undefined))
}

function isRecord(value: unknown): value is { readonly [member: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
