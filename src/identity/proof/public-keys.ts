import { constants, createPublicKey, hash, type KeyObject, verify } from 'node:crypto'
import { ALGORITHMS } from '#identity/key-set.ts'
import { weaknessOf } from '#identity/key-strength.ts'
import type { JsonObject } from '#model/value.ts'
import { derOf } from './ecdsa-signature.ts'

/** A public key that came with what it signed. */
export interface PublicKey {
  /** RFC 7638 SHA-256 thumbprint, base64url, of the key itself: other spellings of its numbers give the same. */
  readonly thumbprint: string
  /** Whether `signature` over `input` (ASCII) is this key's, made with `alg`. False for an algorithm of other keys. */
  verifies(alg: string, input: string, signature: Uint8Array): boolean
}

/** Keys by their JWK, imported once. */
export interface PublicKeys {
  /** Undefined for anything but a public key that is strong enough (`weaknessOf`). */
  find(jwk: JsonObject): PublicKey | undefined
  readonly size: number
}

const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']
/** Members that make the key, in the order that RFC 7638 section 3.2 hashes them in. */
const MEMBERS: ReadonlyMap<string, readonly string[]> = new Map([
  ['EC', ['crv', 'kty', 'x', 'y']],
  ['OKP', ['crv', 'kty', 'x']],
  ['RSA', ['e', 'kty', 'n']],
])
const SIGNATURE_BYTES: ReadonlyMap<string, number> = new Map([
  ['ES256', 64],
  ['ES384', 96],
  ['ES512', 132],
  ['EdDSA', 64],
  ['Ed25519', 64],
])

/** A bounded cache, oldest key out first: importing a key costs as much as verifying with it. */
export function createPublicKeys(keysMax = 10_000): PublicKeys {
  const known = new Map<string, PublicKey>()
  return {
    find(jwk) {
      const slot = slotOf(jwk)
      if (slot === undefined) return undefined
      const found = known.get(slot)
      if (found !== undefined) return found
      const made = importKey(jwk)
      if (made === undefined) return undefined
      const oldest = known.keys().next().value
      if (known.size >= keysMax && oldest !== undefined) known.delete(oldest)
      known.set(slot, made)
      return made
    },
    get size() {
      return known.size
    },
  }
}

/** The members that make the key, as they are spelt; undefined for a private or symmetric one. */
function slotOf(jwk: JsonObject): string | undefined {
  for (const name of PRIVATE_MEMBERS) if (Object.hasOwn(jwk, name)) return undefined
  const { kty } = jwk
  const members = typeof kty === 'string' ? MEMBERS.get(kty) : undefined
  if (members === undefined) return undefined
  let slot = ''
  for (const name of members) {
    const value = jwk[name]
    if (typeof value !== 'string' || value.length > 2_048) return undefined
    slot += `${value}.`
  }
  return slot
}

function importKey(jwk: JsonObject): PublicKey | undefined {
  const members = MEMBERS.get(String(jwk['kty'])) ?? []
  try {
    const bare = Object.fromEntries(members.map((name) => [name, jwk[name]]))
    const key = createPublicKey({ key: bare, format: 'jwk' })
    // INVARIANT: hashed is the key as we would write it, never the text that came in.
    const canonical: { readonly [member: string]: unknown } = { ...key.export({ format: 'jwk' }) }
    const { kty, crv } = canonical
    if (weaknessOf(key) !== undefined) return undefined
    const text = JSON.stringify(Object.fromEntries(members.map((name) => [name, canonical[name]])))
    return {
      thumbprint: hash('sha256', text, 'base64url'),
      verifies(alg, input, signature) {
        const wanted = ALGORITHMS.get(alg)
        if (wanted === undefined || wanted.kty !== kty || (wanted.crv !== undefined && wanted.crv !== crv))
          return false
        const bytes = SIGNATURE_BYTES.get(alg)
        if (bytes !== undefined && signature.length !== bytes) return false
        return verifySignature(alg, key, input, signature)
      },
    }
  } catch {
    return undefined
  }
}

function verifySignature(alg: string, key: KeyObject, input: string, signature: Uint8Array): boolean {
  const data = Buffer.from(input, 'latin1')
  if (alg === 'EdDSA' || alg === 'Ed25519') return verify(null, data, key, signature)
  const digest = `sha${alg.slice(2)}`
  if (alg.startsWith('ES')) return verify(digest, data, key, derOf(signature))
  if (alg.startsWith('RS')) return verify(digest, data, key, signature)
  const padding = constants.RSA_PKCS1_PSS_PADDING
  return verify(digest, data, { key, padding, saltLength: constants.RSA_PSS_SALTLEN_DIGEST }, signature)
}
