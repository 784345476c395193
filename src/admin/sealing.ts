import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { TenantId } from '#model/ids.ts'
import type { ClientCredentials, Issuer } from '#model/issuer.ts'

/** Encrypts secrets of ours for the database, where only their sealed form is kept. */
export interface Sealing {
  /** `issuer` with its secrets sealed for `tenant`; unchanged without any. */
  sealIssuer(tenant: TenantId, issuer: Issuer): Issuer
  /** The introspection secret of a stored issuer; undefined when there is none or it can't be opened here. */
  openSecret(tenant: TenantId, issuer: Issuer): string | undefined
  /** The same for its secret of token exchanges. */
  openExchangeSecret(tenant: TenantId, issuer: Issuer): string | undefined
  /** A token that was exchanged for one of `issuer`, sealed. */
  sealToken(tenant: TenantId, issuer: string, token: string): string
  /** Undefined when it can't be opened here. */
  openToken(tenant: TenantId, issuer: string, sealed: string): string | undefined
  /** The place at which a page of a search ended, sealed for the search that `bound` describes. */
  sealPlace(place: string, bound: string): string
  /** Undefined when it can't be opened here, or is of another search. */
  openPlace(sealed: string, bound: string): string | undefined
}

/** Opens the keys when they are first needed. */
export type OpenSealing = () => Promise<Sealing>

const KEY_BYTES = 32
const NONCE_BYTES = 12
const TAG_BYTES = 16
const VERSION = 'v1'

/**
 * Sealing with the key file at `keyFile`, else `sealing.key` in the data folder, made on first use (mode 0600). The file holds
 * one key a line, base64: the first one seals, all of them open. To rotate, put a new line first, add the issuers again,
 * then remove the old line. Every server of an installation needs the same file.
 *
 * @throws when the file can't be read or made, or holds anything else
 */
export async function openSealing(dataDirectory: string, keyFile: string | undefined): Promise<Sealing> {
  const path = keyFile ?? join(dataDirectory, 'sealing.key')
  return createSealing(parseKeys(await readOrMake(path), path))
}

/** Sealing with `keys` of 32 bytes; the first one seals. */
export function createSealing(keys: readonly Uint8Array[]): Sealing {
  return {
    sealIssuer(tenant, issuer) {
      const { introspection, tokenExchange } = issuer
      const sealed = <Client extends ClientCredentials>(client: Client, bound: Buffer): Client => ({
        ...client,
        secret: seal(keys, client.secret, bound),
      })
      return {
        ...issuer,
        ...(introspection && { introspection: sealed(introspection, boundTo(tenant, issuer)) }),
        ...(tokenExchange && { tokenExchange: sealed(tokenExchange, exchangeBoundTo(tenant, issuer)) }),
      }
    },
    openSecret(tenant, issuer) {
      const sealed = issuer.introspection?.secret
      return sealed === undefined ? undefined : open(keys, sealed, boundTo(tenant, issuer))
    },
    openExchangeSecret(tenant, issuer) {
      const sealed = issuer.tokenExchange?.secret
      return sealed === undefined ? undefined : open(keys, sealed, exchangeBoundTo(tenant, issuer))
    },
    sealToken: (tenant, issuer, token) => seal(keys, token, tokenBoundTo(tenant, issuer)),
    openToken: (tenant, issuer, sealed) => open(keys, sealed, tokenBoundTo(tenant, issuer)),
    sealPlace: (place, bound) => seal(keys, place, placeBoundTo(bound)),
    openPlace: (sealed, bound) => open(keys, sealed, placeBoundTo(bound)),
  }
}

/** INVARIANT: a sealed secret opens only where it was put: not for another tenant, issuer, URL or client. */
function boundTo(tenant: TenantId, { issuer, introspection }: Issuer): Buffer {
  return Buffer.from(JSON.stringify([tenant, issuer, introspection?.url, introspection?.clientId]))
}

/** INVARIANT: both endpoints are part of it, so that the secret is shown to no third one. */
function exchangeBoundTo(tenant: TenantId, { issuer, tokenExchange }: Issuer): Buffer {
  const { url, revocationUrl = null, clientId } = tokenExchange ?? {}
  return Buffer.from(JSON.stringify([tenant, issuer, 'token_exchange', url, revocationUrl, clientId]))
}

function tokenBoundTo(tenant: TenantId, issuer: string): Buffer {
  return Buffer.from(JSON.stringify([tenant, issuer, 'exchanged_token']))
}

function placeBoundTo(bound: string): Buffer {
  return Buffer.from(JSON.stringify(['search_place', bound]))
}

/** Envelope: a key of its own encrypts the secret, and our key encrypts that one. */
function seal(keys: readonly Uint8Array[], secret: string, bound: Buffer): string {
  const [key] = keys
  if (key === undefined) throw new Error('there is no key to seal with')
  const inner = randomBytes(KEY_BYTES)
  const parts = [encrypt(key, inner, bound), encrypt(inner, Buffer.from(secret), bound)]
  return [VERSION, nameOf(key), ...parts.map((part) => part.toString('base64url'))].join('.')
}

function open(keys: readonly Uint8Array[], sealed: string, bound: Buffer): string | undefined {
  const [version, name, wrapped, text, ...rest] = sealed.split('.')
  const key = keys.find((each) => nameOf(each) === name)
  if (version !== VERSION || key === undefined || wrapped === undefined || text === undefined)
    return undefined
  if (rest.length > 0) return undefined
  try {
    const inner = decrypt(key, Buffer.from(wrapped, 'base64url'), bound)
    return decrypt(inner, Buffer.from(text, 'base64url'), bound).toString('utf8')
  } catch {
    return undefined
  }
}

function encrypt(key: Uint8Array, plain: Uint8Array, bound: Buffer): Buffer {
  const nonce = randomBytes(NONCE_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, nonce).setAAD(bound)
  return Buffer.concat([nonce, cipher.update(plain), cipher.final(), cipher.getAuthTag()])
}

function decrypt(key: Uint8Array, sealed: Buffer, bound: Buffer): Buffer {
  const end = sealed.length - TAG_BYTES
  const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, NONCE_BYTES), {
    authTagLength: TAG_BYTES,
  })
    .setAAD(bound)
    .setAuthTag(sealed.subarray(end))
  return Buffer.concat([decipher.update(sealed.subarray(NONCE_BYTES, end)), decipher.final()])
}

function nameOf(key: Uint8Array): string {
  return createHash('sha256').update(key).digest('hex').slice(0, 8)
}

async function readOrMake(path: string): Promise<string> {
  await mkdir(dirname(path), { recursive: true })
  try {
    const made = `${randomBytes(KEY_BYTES).toString('base64')}\n`
    await writeFile(path, made, { mode: 0o600, flag: 'wx' })
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error
  }
  return await readFile(path, 'utf8')
}

function parseKeys(text: string, path: string): readonly Uint8Array[] {
  const lines = text.split('\n').filter((line) => line.trim() !== '')
  const keys = lines.map((line) => Buffer.from(line.trim(), 'base64'))
  if (keys.length === 0 || keys.some((key) => key.length !== KEY_BYTES))
    throw new Error(`${path} must hold keys of ${KEY_BYTES} bytes, base64, one a line`)
  return keys
}
