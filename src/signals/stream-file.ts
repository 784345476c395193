import { failed, type Result, success } from '#lib/result.ts'
import { EVENT_TYPES } from './effects.ts'
import { parseStream, type StreamRecord } from './stream.ts'
import { ACCESS_MEMBERS, isCallable, parseAccess, type TransmitterAccess } from './transmitter-access.ts'
import { metadataUrl } from './transmitter-metadata.ts'

/** A stream that Warder is to set up at its transmitter. */
export interface StreamSetup extends TransmitterAccess {
  /** Public URL of this installation, where events are pushed to; undefined: they are fetched. */
  readonly pushTo?: string
  /** Whether requests that fetch may be held until there is an event. */
  readonly long: boolean
  /** Types of events. Default: those that do something here. */
  readonly events: readonly string[]
  readonly description?: string
  /** Id of a stream that is there already and is taken over; undefined: a new one is made. */
  readonly streamId?: string
}

/** What the file of `warder signal add` says. */
export interface StreamFile {
  /** Without an audience where the transmitter is to say it. */
  readonly record: StreamRecord
  /** Undefined: the stream was set up at its transmitter by hand. */
  readonly transmitter?: StreamSetup
}

const MEMBERS = new Set<string>(['push_to', 'long', 'events', 'description', 'stream_id', ...ACCESS_MEMBERS])
const EVENTS_MAX = 100
const TEXT_CHARACTERS_MAX = 256

/** Reads the file of `warder signal add`; the failure says what is wrong, with the name of the member. */
export function parseStreamFile(value: unknown): Result<StreamFile, string> {
  const { transmitter, ...rest }: { readonly [name: string]: unknown } = { ...Object(value) }
  if (transmitter === undefined) {
    const record = parseStream(value)
    return record.ok ? success({ record: record.value }) : record
  }
  const extra = ['jwks_uri', 'jwks', 'poll'].find((name) => rest[name] !== undefined)
  if (extra !== undefined) return failed(`\`${extra}\` is what the transmitter says; leave it out`)
  const url = typeof rest['issuer'] === 'string' ? metadataUrl(rest['issuer']) : undefined
  if (url === undefined) return failed('`issuer` must be a URL without query and fragment')
  const parsed = parseStream({ ...rest, audience: rest['audience'] ?? url, jwks_uri: url })
  if (!parsed.ok) return parsed
  const { issuer } = parsed.value
  const request = parseRequest(transmitter, issuer.privateNetwork === true)
  if (!request.ok) return request
  const audience = rest['audience'] === undefined ? [] : issuer.audience
  const keys = { kind: 'remote', url, discovered: true } as const
  const record = { ...parsed.value, issuer: { ...issuer, audience, keys } }
  return success({ record, transmitter: request.value })
}

function parseRequest(value: unknown, privateNetwork: boolean): Result<StreamSetup, string> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    return failed('`transmitter` must be an object')
  const record: { readonly [name: string]: unknown } = { ...value }
  const unknown = Object.keys(record).find((name) => !MEMBERS.has(name))
  if (unknown !== undefined) return failed(`\`transmitter.${unknown.slice(0, 64)}\` is not a member`)
  const { push_to: pushTo, long = false, description, stream_id: streamId } = record
  if (pushTo !== undefined && !(isCallable(pushTo, privateNetwork) && !/[?#]/.test(pushTo)))
    return failed('`transmitter.push_to` must be the https URL that this installation is reached at')
  if (typeof long !== 'boolean') return failed('`transmitter.long` must be true or false')
  const events = eventsOf(record['events'])
  if (events === undefined)
    return failed(`\`transmitter.events\` must be a list of 1 to ${EVENTS_MAX} event types`)
  if (!isShortText(description)) return failed('`transmitter.description` must be a short text')
  if (!isShortText(streamId)) return failed('`transmitter.stream_id` must be the id of a stream')
  const access = parseAccess(record, 'transmitter')
  if (!access.ok) return access
  return success({
    ...access.value,
    ...(pushTo !== undefined && { pushTo: pushTo.replace(/\/$/, '') }),
    long,
    events,
    ...(description !== undefined && { description }),
    ...(streamId !== undefined && { streamId }),
  })
}

/** The types of events that `value` lists, or those that do something here; undefined when it is no such list. */
export function eventsOf(value: unknown): readonly string[] | undefined {
  if (value === undefined) return EVENT_TYPES
  if (!Array.isArray(value) || value.length === 0 || value.length > EVENTS_MAX) return undefined
  const types = value.filter((type: unknown) => typeof type === 'string' && URL.canParse(type))
  return types.length === value.length ? types.map(String) : undefined
}

function isShortText(value: unknown): value is string | undefined {
  if (value === undefined) return true
  return typeof value === 'string' && value !== '' && value.length <= TEXT_CHARACTERS_MAX
}
