import { hash } from 'node:crypto'
import type { EpochSeconds } from '#lib/clock.ts'
import type { Dependency } from '#model/revocation.ts'
import type { JsonObject } from '#model/value.ts'

/** What one receiver is told of one revocation. */
export interface OutgoingEvent {
  readonly subject: JsonObject
  readonly events: JsonObject
}

const SESSION_REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'
const REVOKED = 'urn:warder:event:revoked'

/** CAEP session-revoked for what another system can know: a subject, token or session of an issuer. Undefined for the rest. */
export function caepEvent({ kind, id }: Dependency, at: EpochSeconds): OutgoingEvent | undefined {
  const subject = subjectOf(kind, id)
  if (subject === undefined) return undefined
  const payload = { event_timestamp: at, initiating_entity: 'admin' }
  return { subject, events: { [SESSION_REVOKED]: payload } }
}

/** What a gateway is told, as in the stream: the hash of `KIND:ID` and the state version. */
export function webhookEvent({ kind, id }: Dependency, seq: number): OutgoingEvent {
  const hashed = hash('sha256', `${kind}:${id}`)
  return { subject: { format: 'opaque', id: hashed }, events: { [REVOKED]: { seq, kind, id: hashed } } }
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
