import { hash } from 'node:crypto'

/** Signed texts that one set of keys has refused. */
export interface RefusedTexts {
  has(text: string): boolean
  add(text: string): void
}

/**
 * Remembers the newest of them by their SHA-256, so that the same bad token costs its signature check once.
 *
 * INVARIANT: this belongs to one set of keys of one tenant's issuer and ends with it. Nothing is kept that could become good under the
 * same keys (an unknown `kid`, dates, keys that could not be fetched): only that a signature is not of the key that it names.
 */
export function createRefusedTexts(entriesMax = 256): RefusedTexts {
  const digests = new Set<string>()
  return {
    // Good tokens of an issuer that nobody attacks are not even hashed.
    has: (text) => digests.size > 0 && digests.has(digestOf(text)),
    add(text) {
      const oldest = digests.values().next().value
      if (digests.size >= entriesMax && oldest !== undefined) digests.delete(oldest)
      digests.add(digestOf(text))
    },
  }
}

function digestOf(text: string): string {
  return hash('sha256', text, 'base64url')
}
