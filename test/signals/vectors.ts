import { createHash } from 'node:crypto'
import { SignJWT } from 'jose'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { FoundStream } from '#signals/receive.ts'
import { parseStream } from '#signals/stream.ts'
import type { SigningKey } from '../support/tokens.ts'

/** The frozen time of signal tests, in seconds. */
export const SECOND = 1_800_000_000
export const NOW = (SECOND * 1000) as EpochMilliseconds
export const TRANSMITTER = 'https://idp.example'
export const RECEIVER = 'https://warder.example'
export const AUTHORIZATION = 'Bearer wss_test'

const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/'
const RISC = 'https://schemas.openid.net/secevent/risc/event-type/'
const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/'

/** `caep:session-revoked` as the whole URI. */
export function eventType(short: string): string {
  return short
    .replace(/^caep:/, CAEP)
    .replace(/^risc:/, RISC)
    .replace(/^ssf:/, SSF)
}

/** The user alice, as the transmitter names her. */
export const ALICE = { format: 'iss_sub', iss: TRANSMITTER, sub: 'alice' }

let count = 0

/** Claims of a security event token; undefined removes one. */
export function setClaims(
  event: string,
  subject: object | undefined,
  payload: object = {},
  more: object = {},
): Record<string, unknown> {
  const claims = {
    iss: TRANSMITTER,
    aud: RECEIVER,
    iat: SECOND - 5,
    jti: `set-${++count}`,
    sub_id: subject,
    events: { [eventType(event)]: payload },
    ...more,
  }
  return Object.fromEntries(Object.entries(claims).filter(([, value]) => value !== undefined))
}

/** Signs claims as a transmitter does. */
export function signSet(
  key: SigningKey,
  claims: Record<string, unknown>,
  header: object = {},
): Promise<string> {
  return new SignJWT(claims)
    .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'secevent+jwt', ...header })
    .sign(key.privateKey)
}

/** A stream of `tenant` that trusts `key`. */
export function streamOf(tenant: TenantId, key: SigningKey, more: object = {}): FoundStream {
  const record = parseStream({ issuer: TRANSMITTER, audience: RECEIVER, jwks: { keys: [key.jwk] }, ...more })
  if (!record.ok) throw new Error(record.failure)
  const authorizationHash = createHash('sha256').update(AUTHORIZATION).digest('hex')
  const id = '0199d000-0000-7000-8000-00000000000a'
  return { id, tenant, name: 'idp', authorizationHash, ...record.value }
}
