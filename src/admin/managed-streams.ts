import { failed, type Result, success } from '#lib/result.ts'
import { parseTenantId, type TenantId } from '#model/ids.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { ANSWER_SECONDS_MAX, askVerification } from '#signals/check.ts'
import { STREAM_STATUSES, type StreamConfiguration, statusIn } from '#signals/stream-configuration.ts'
import { eventsOf } from '#signals/stream-file.ts'
import type { Accepted, ManagedStream, ToldStatus } from '#signals/transmitter-client.ts'
import { type AdminFailure, invalid, refused, tenantUnknown } from './failure.ts'
import { reasonOf } from './grants.ts'
import { secretClosed, streamUnknown } from './signals.ts'
import { type StreamParts, transmitterFailure } from './stream-setup.ts'

/** A stream by its name. */
export interface Named {
  readonly tenant: string
  readonly name: string
}

/** A change at a transmitter, and why. */
export interface NamedChange extends Named {
  readonly reason: string
}

const DESCRIPTION_CHARACTERS_MAX = 256

/** What the transmitter has of a stream. */
export async function readStream(
  { store, client }: StreamParts,
  request: Named,
): Promise<Result<StreamConfiguration, AdminFailure>> {
  const found = await find(store, request)
  return found.ok ? await reached(client.read(found.value.stream)) : found
}

/** Changes which events are requested, and how the stream is described. */
export async function updateStream(
  { store, client }: StreamParts,
  request: NamedChange & {
    readonly events: readonly string[] | undefined
    readonly description: string | undefined
  },
): Promise<Result<StreamConfiguration | Accepted, AdminFailure>> {
  const { events, description } = request
  const isEmpty = events === undefined && description === undefined
  const isFine = eventsOf(events) !== undefined && (description?.length ?? 0) <= DESCRIPTION_CHARACTERS_MAX
  if (isEmpty || !isFine)
    return failed(
      invalid('stream.invalid', 'what changes is a list of event types, a short description, or both'),
    )
  const change = {
    ...(events !== undefined && { events_requested: events }),
    ...(description !== undefined && { description }),
  }
  return await changed(store, request, change, (stream) => client.update(stream, change))
}

/** What the transmitter says of the status of a stream; it is kept. */
export async function readStreamStatus(
  { store, client }: StreamParts,
  request: Named,
): Promise<Result<ToldStatus, AdminFailure>> {
  const found = await find(store, request)
  if (!found.ok) return found
  const told = await reached(client.status(found.value.stream))
  if (told.ok) await store.questions.told(found.value.stream.id, told.value)
  return told
}

/** Has the transmitter enable, pause or disable a stream; the reason is told to it. */
export async function setStreamStatus(
  { store, client }: StreamParts,
  request: NamedChange & { readonly status: string },
): Promise<Result<ToldStatus | Accepted, AdminFailure>> {
  const status = statusIn(request.status)
  if (status === undefined)
    return failed(invalid('stream.invalid', `the status is one of ${STREAM_STATUSES.join(', ')}`))
  return await changed(store, request, { status }, async (stream, reason) => {
    const told = await client.setStatus(stream, status, reason)
    if (told !== 'accepted') await store.questions.told(stream.id, told)
    return told
  })
}

/** Asks the transmitter for a verification event. */
export async function requestVerification(
  { store, client }: StreamParts,
  request: Named,
): Promise<Result<{ readonly asked: true; readonly within_seconds: number }, AdminFailure>> {
  const found = await find(store, request)
  if (!found.ok) return found
  const asked = await reached(askVerification(found.value.stream, { client, questions: store.questions }))
  return asked.ok ? success({ asked: true, within_seconds: ANSWER_SECONDS_MAX }) : asked
}

/** Tells the transmitter that events about a subject are wanted, or are not. */
export async function changeSubject(
  { store, client }: StreamParts,
  request: NamedChange & { readonly change: 'add' | 'remove'; readonly subject: JsonObject },
): Promise<Result<{ readonly done: true }, AdminFailure>> {
  const { change, subject } = request
  if (typeof subject['format'] !== 'string')
    return failed(invalid('stream.invalid', 'a subject is an object with `format` (RFC 9493)'))
  return await changed(store, request, { subject: change, of: subject }, async (stream) => {
    await (change === 'add' ? client.addSubject(stream, subject) : client.removeSubject(stream, subject))
    return { done: true } as const
  })
}

/**
 * Does `work` at the transmitter and records it with the reason.
 *
 * INVARIANT: what is about to be done is recorded first, so that nothing is changed at a transmitter that the audit does not know of.
 */
async function changed<Value>(
  store: StreamParts['store'],
  request: NamedChange,
  what: { readonly [name: string]: Json },
  work: (stream: ManagedStream, reason: string) => Promise<Value>,
): Promise<Result<Value, AdminFailure>> {
  const reason = reasonOf(request.reason)
  if (!reason.ok) return reason
  const found = await find(store, request)
  if (!found.ok) return found
  const { tenant, stream } = found.value
  const record = (done: boolean) => {
    const after = { stream: stream.id, ...what, reason: reason.value, done }
    return store.recordManaged(tenant, request.name, { before: null, after })
  }
  await record(false)
  const done = await reached(work(stream, reason.value))
  if (done.ok) await record(true)
  return done
}

async function find(
  store: StreamParts['store'],
  request: Named,
): Promise<Result<{ readonly tenant: TenantId; readonly stream: ManagedStream }, AdminFailure>> {
  const { name } = request
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  const stream = await store.findManaged(tenant, name)
  if (typeof stream !== 'string') return success({ tenant, stream })
  if (stream === 'unknown') return failed(streamUnknown(tenant, name))
  if (stream === 'sealed') return failed(secretClosed(name))
  const message = `the stream \`${name.slice(0, 80)}\` was set up at its transmitter by hand`
  return failed(refused('stream.unmanaged', message, 'manage it there, or add it again with `transmitter`'))
}

/** What a call to a transmitter gave, or why it failed. */
async function reached<Value>(work: Promise<Value>): Promise<Result<Value, AdminFailure>> {
  try {
    return success(await work)
  } catch (error) {
    return failed(transmitterFailure(error))
  }
}
