import { createHash, randomBytes } from 'node:crypto'
import { API_KEY_PREFIX } from '#model/api-key.ts'

/** A secret just made. `key` is shown once; the database keeps `hash` and `hint`. */
export interface NewKey {
  readonly key: string
  /** SHA-256 of the whole key in hex. The key holds 256 random bits, so a slow hash would add nothing. */
  readonly hash: string
  /** First characters, enough to recognise the key and far too few to guess it. */
  readonly hint: string
}

const RANDOM_BYTES = 32
const HINT_LENGTH = 10

/** A new gateway key, `wgk_` and 43 characters that need no escaping in a path. */
export function newGatewayKey(): NewKey {
  return newKey('wgk_')
}

/** A new token for administrators, `wat_` and 43 characters. */
export function newAdminToken(): NewKey {
  return newKey('wat_')
}

/** A new API key of an agent, `wak_` and 43 characters. */
export function newApiKey(): NewKey {
  return newKey(API_KEY_PREFIX)
}

/** A credential of a receiver of our events, `wrk_` and 43 characters. */
export function newReceiverKey(): NewKey {
  return newKey('wrk_')
}

/** What is kept of a gateway that proves itself with a client certificate, given the SHA-256 of it in lower-case hex. */
export function certificateKey(sha256: string): Omit<NewKey, 'key'> {
  return { hash: `x509-sha256:${sha256}`, hint: `x509:${sha256.slice(0, 8)}` }
}

/** The form in which keys and tokens are stored and looked up. */
export function hashKey(key: string): string {
  return createHash('sha256').update(key).digest('hex')
}

/** The beginning of a key that lists show. */
export function keyHint(key: string): string {
  return key.slice(0, HINT_LENGTH)
}

function newKey(prefix: string): NewKey {
  const key = `${prefix}${randomBytes(RANDOM_BYTES).toString('base64url')}`
  return { key, hash: hashKey(key), hint: keyHint(key) }
}
