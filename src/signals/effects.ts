import type { SecurityEvent } from '#identity/set.ts'
import { type EpochMilliseconds, type EpochSeconds, toSeconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Dependency } from '#model/revocation.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { certificateId } from '#revocation/certificate-id.ts'
import type { SignalStream } from './stream.ts'
import { type StreamStatus, statusIn } from './stream-configuration.ts'
import { type Refusal, readSubject } from './subject.ts'

/** What a received event does. */
export type SignalEffect =
  | { readonly do: 'revoke'; readonly target: Dependency; readonly issuedBefore?: EpochSeconds }
  /** Takes back what the same stream has revoked for good. */
  | { readonly do: 'enable'; readonly target: Dependency }
  | { readonly do: 'verified'; readonly state: string | undefined }
  | { readonly do: 'status'; readonly status: StreamStatus }

const CAEP = 'https://schemas.openid.net/secevent/caep/event-type/'
const RISC = 'https://schemas.openid.net/secevent/risc/event-type/'
const SSF = 'https://schemas.openid.net/secevent/ssf/event-type/'

/** How an event acts on its subject; an event of any other type is stored and does nothing. */
type Action = 'end' | 'epoch' | 'disable' | 'enable' | 'credential' | 'decrease' | 'compliance'

const ACTIONS: ReadonlyMap<string, Action> = new Map([
  [`${CAEP}session-revoked`, 'end'],
  [`${CAEP}token-claims-change`, 'end'],
  [`${CAEP}credential-change`, 'credential'],
  [`${CAEP}assurance-level-change`, 'decrease'],
  [`${CAEP}device-compliance-change`, 'compliance'],
  [`${RISC}account-disabled`, 'disable'],
  [`${RISC}account-purged`, 'disable'],
  [`${RISC}account-enabled`, 'enable'],
  [`${RISC}account-credential-change-required`, 'epoch'],
  [`${RISC}credential-compromise`, 'epoch'],
  [`${RISC}identifier-changed`, 'epoch'],
  [`${RISC}identifier-recycled`, 'epoch'],
  [`${RISC}sessions-revoked`, 'epoch'],
])

/** What a transmitter is asked to send: the types of events that do something here. */
export const EVENT_TYPES: readonly string[] = [...ACTIONS.keys()]

/**
 * INVARIANT: an event that lifts something acts only while it is remembered whether it came before (store/sweep.ts forgets after
 * 90 days), or whoever kept an old one could undo what was disabled later. What revokes may act again.
 */
const ENABLE_AGE_SECONDS_MAX = 30 * 86_400

/**
 * What `event` does in the tenant of `stream`. An epoch lies at the event's own time, never in the future: whoever logs in
 * again afterwards is good again.
 */
export function effectsOf(
  event: SecurityEvent,
  stream: SignalStream,
  now: EpochMilliseconds,
): Result<readonly SignalEffect[], Refusal> {
  if (event.type === `${SSF}verification` || event.type === `${SSF}stream-updated`)
    return effectOnStream(event, stream)
  const action = ACTIONS.get(event.type)
  if (action === undefined || !applies(action, event.payload)) return success([])
  if (action === 'enable' && event.issuedAt < toSeconds(now) - ENABLE_AGE_SECONDS_MAX) return success([])
  const subject = readSubject(event.subject, stream)
  if (!subject.ok) return subject
  const { targets, isWide } = subject.value
  if (isWide && !stream.wide)
    return failed({
      err: 'access_denied',
      description: 'this stream may not stop more than one subject at once',
    })
  const epoch = epochOf(event, now)
  const effects = targets.map((target) => effectOn(target, action, epoch))
  return success([...effects, ...certificateEffects(action, event.payload, stream)])
}

/**
 * What an event about the stream itself does (SSF 1.0 section 8.1.4).
 *
 * INVARIANT: a stream that Warder manages is named by its own id, so that an event about another stream of the same transmitter
 * says nothing about this one.
 */
function effectOnStream(
  { type, subject, payload }: SecurityEvent,
  { management }: SignalStream,
): Result<readonly SignalEffect[], Refusal> {
  const isSelf = subject['format'] === 'opaque' && subject['id'] === management?.streamId
  if (management !== undefined && !isSelf)
    return failed({ err: 'invalid_request', description: 'the subject is not this stream' })
  if (type === `${SSF}verification`) {
    const { state } = payload
    if (state !== undefined && typeof state !== 'string')
      return failed({ err: 'invalid_state', description: '`state` is not a text' })
    return success([{ do: 'verified', state }])
  }
  const status = statusIn(payload['status'])
  if (status === undefined)
    return failed({ err: 'invalid_request', description: '`status` is none that there is' })
  return success([{ do: 'status', status }])
}

/** Whether the change that the event tells of is one for the worse. */
function applies(action: Action, payload: JsonObject): boolean {
  if (action === 'credential') return payload['change_type'] !== 'create'
  if (action === 'decrease') return payload['change_direction'] !== 'increase'
  if (action === 'compliance') return payload['current_status'] !== 'compliant'
  return true
}

function effectOn(target: Dependency, action: Action, issuedBefore: EpochSeconds): SignalEffect {
  if (action === 'enable') return { do: 'enable', target }
  // A token or session that is over does not come back; a subject does, with new tokens, unless it was disabled.
  const isForGood = action === 'disable' || target.kind === 'token' || target.kind === 'session'
  return isForGood ? { do: 'revoke', target } : { do: 'revoke', target, issuedBefore }
}

/**
 * INVARIANT: a certificate says nothing of whose subject it is, and its authority may be anybody's. Only a stream that may stop more
 * than its own subjects revokes one; for another stream the event acts on its subject alone.
 */
function certificateEffects(
  action: Action,
  { x509_issuer: issuer, x509_serial: serial }: JsonObject,
  stream: SignalStream,
): readonly SignalEffect[] {
  if (action !== 'credential' || !stream.wide) return []
  if (typeof issuer !== 'string' || typeof serial !== 'string') return []
  const id = certificateId(issuer, serial)
  return id === undefined ? [] : [{ do: 'revoke', target: { kind: 'certificate', id } }]
}

/** The second after the event: tokens of that very second are older. INVARIANT: never beyond the second after now. */
function epochOf(event: SecurityEvent, now: EpochMilliseconds): EpochSeconds {
  const told: Json | undefined = event.payload['event_timestamp']
  const at = typeof told === 'number' && Number.isFinite(told) ? told : event.issuedAt
  return (Math.min(Math.max(0, Math.floor(at)), toSeconds(now)) + 1) as EpochSeconds
}
