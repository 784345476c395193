import { createPrivateKey, createPublicKey, hkdfSync, type KeyObject, sign, verify } from 'node:crypto'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { Federation } from '#model/delegation.ts'
import type { TenantId } from '#model/ids.ts'

/** What two tenants sign. */
export type FederationRecord = Omit<Federation, 'direction' | 'endsAt'> & {
  /** RFC 3339, UTC. */
  readonly endsAt: string
}

const ROLES: readonly string[] = ['subject', 'actor']
/** PKCS #8 of an Ed25519 key is this and its 32 bytes (RFC 8410 section 7). */
const PKCS8_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex')
const SPKI_ED25519 = Buffer.from('302a300506032b6570032100', 'hex')

/** The one text of a record: members in the order of their names, as RFC 8785 writes such values. */
export function recordText(record: FederationRecord): string {
  const { id, home, foreign, agents, tools, roles, endsAt } = record
  return JSON.stringify({ agents, endsAt, foreign, home, id, roles, tools })
}

/**
 * The signing key of a tenant, worked out from the secret of the installation: there is no private key to keep, and who has the
 * database alone can't sign.
 */
export function tenantSigningKey(secret: Uint8Array, tenant: TenantId): KeyObject {
  const seed = Buffer.from(hkdfSync('sha256', secret, '', `warder federation key of ${tenant}`, 32))
  return createPrivateKey({ key: Buffer.concat([PKCS8_ED25519, seed]), format: 'der', type: 'pkcs8' })
}

/** The public half of a key, base64url of its 32 bytes. */
export function publicKeyText(key: KeyObject): string {
  const spki = createPublicKey(key).export({ format: 'der', type: 'spki' })
  return spki.subarray(SPKI_ED25519.length).toString('base64url')
}

/** Signs a record (Ed25519), base64url. */
export function signRecord(text: string, key: KeyObject): string {
  return sign(null, Buffer.from(text), key).toString('base64url')
}

/** Whether `signature` is that of `publicKey` on `text`. Anything that can't be read is none. */
export function isSigned(text: string, signature: string | null, publicKey: string | null): boolean {
  if (signature === null || publicKey === null) return false
  const bytes = Buffer.from(publicKey, 'base64url')
  if (bytes.length !== 32) return false
  const key = createPublicKey({ key: Buffer.concat([SPKI_ED25519, bytes]), format: 'der', type: 'spki' })
  return verify(null, Buffer.from(text), key, Buffer.from(signature, 'base64url'))
}

/** Reads a record; undefined for one that is not exactly as `recordText` writes it. */
export function readRecord(text: string): FederationRecord | undefined {
  const record = parsed(text)
  if (record === undefined) return undefined
  const { id, home, foreign, agents, tools, roles, endsAt } = record
  const isText = [id, home, foreign, endsAt].every((value) => typeof value === 'string')
  if (!isText || !isTexts(agents) || !isTexts(tools) || !isTexts(roles)) return undefined
  if (!roles.every((role) => ROLES.includes(role)) || Number.isNaN(Date.parse(String(endsAt))))
    return undefined
  const read = {
    id: String(id),
    home: String(home) as TenantId,
    foreign: String(foreign) as TenantId,
    agents,
    tools,
    roles: roles.map((role) => (role === 'subject' ? 'subject' : 'actor')),
    endsAt: String(endsAt),
  } satisfies FederationRecord
  return recordText(read) === text ? read : undefined
}

/** A record as the state of `tenant` holds it. */
export function federationFor(tenant: TenantId, { endsAt, ...record }: FederationRecord): Federation {
  return {
    ...record,
    direction: record.home === tenant ? 'in' : 'out',
    endsAt: Date.parse(endsAt) as EpochMilliseconds,
  }
}

function parsed(text: string): { readonly [name: string]: unknown } | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}
