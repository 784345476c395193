import { hash } from 'node:crypto'
import type { EpochSeconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { Dependency } from '#model/revocation.ts'
import type { JsonObject } from '#model/value.ts'

/** What one receiver is told of one revocation. */
export interface OutgoingEvent {
  readonly subject: JsonObject
  readonly events: JsonObject
}

const SESSION_REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'
const REVOKED = 'urn:warder:event:revoked'
const VERIFICATION = 'https://schemas.openid.net/secevent/ssf/event-type/verification'

/** The one type of event that a kind of receiver is told, beside those about its stream. */
export const EVENT_TYPE = { caep: SESSION_REVOKED, webhook: REVOKED } as const

/** What a receiver is: another system, or a gateway that keeps answers. */
export type ReceiverKind = keyof typeof EVENT_TYPE

/** Between the public URL and the name of a tenant, in its issuer. */
export const TENANTS = '/tenants/'

/**
 * `iss` of the events of a tenant.
 *
 * INVARIANT: each tenant has its own, so that who receives from two tenants can tell them apart, and whoever administers one can
 * send nobody an event that passes for another's.
 */
export function tenantIssuer(publicUrl: string, tenant: TenantId): string {
  return `${publicUrl.replace(/\/+$/, '')}${TENANTS}${tenant}`
}

/** CAEP session-revoked for what another system can know: a subject, token or session of an issuer. Undefined for the rest. */
export function caepEvent({ kind, id }: Dependency, at: EpochSeconds): OutgoingEvent | undefined {
  const subject = subjectOf(kind, id)
  if (subject === undefined) return undefined
  const payload = { event_timestamp: at, initiating_entity: 'admin', reason_admin: { en: 'revoked' } }
  return { subject, events: { [SESSION_REVOKED]: payload } }
}

/** What a gateway is told, as in the stream: the hash of `KIND:ID` and the state version. */
export function webhookEvent({ kind, id }: Dependency, seq: number): OutgoingEvent {
  const hashed = hash('sha256', `${kind}:${id}`)
  return { subject: { format: 'opaque', id: hashed }, events: { [REVOKED]: { seq, kind, id: hashed } } }
}

/** What a stream is tested with (SSF 8.1.4.1). */
export function verificationEvent(stream: string, state: string | undefined): OutgoingEvent {
  const payload = state === undefined ? {} : { state }
  return { subject: { format: 'opaque', id: stream }, events: { [VERIFICATION]: payload } }
}

function subjectOf(kind: Dependency['kind'], id: string): JsonObject | undefined {
  const [issuer, name] = [id.slice(0, Math.max(0, id.indexOf('|'))), id.slice(id.indexOf('|') + 1)]
  if (kind === 'agent') return { format: 'opaque', id }
  if (issuer === '') return undefined
  if (kind === 'subject') return { format: 'iss_sub', iss: issuer, sub: name }
  if (kind === 'token') return { format: 'jwt_id', iss: issuer, jti: name }
  if (kind === 'session') return { session: { format: 'opaque', id: name } }
  return undefined
}
