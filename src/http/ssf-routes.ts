import type { IncomingMessage } from 'node:http'
import type { z } from 'zod'
import { readJsonBody } from '#gateways/json-body.ts'
import { fromSchemaError } from '#gateways/schema-error.ts'
import type { WireResponse } from '#gateways/wire.ts'
import type { Result } from '#lib/result.ts'
import type { JsonObject } from '#model/value.ts'
import type { StreamRequest } from '#signals/manage.ts'
import type { Receiver, StreamOwner } from '#signals/outgoing.ts'
import { invalidStream, type Refusal, STREAM_UNKNOWN, UNAUTHENTICATED } from '#signals/refusal.ts'
import { SSF_PATHS, type Transmitter } from '#signals/transmitter.ts'
import { readBody } from './read-body.ts'
import {
  newStreamSchema,
  pollSchema,
  statusChangeSchema,
  streamChangeSchema,
  verificationSchema,
} from './ssf-schema.ts'

/** One request of a receiver that proved itself. */
export interface SsfCall {
  readonly incoming: IncomingMessage
  readonly transmitter: Transmitter
  readonly receiver: Receiver
  /** For a poll that finds nothing: whether to look again. */
  readonly wait: () => Promise<boolean>
}

/** An answer; nobody is there to get it when the request was aborted. */
export type Outcome = WireResponse | 'aborted'

/** What one method of one path does. */
export type SsfRoute = (call: SsfCall) => Promise<Outcome>

const BODY_BYTES_MAX = 65_536
const TOKEN = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
const REFUSED_LENGTH_MAX = 300

/** Every route by path and method; the path of polls goes on with the id of the stream. */
export const SSF_ROUTES: ReadonlyMap<string, ReadonlyMap<string, SsfRoute>> = new Map([
  [
    SSF_PATHS.stream,
    new Map<string, SsfRoute>([
      ['GET', readStreams],
      ['POST', createStream],
      ['PATCH', (call) => changeStream(call, false)],
      ['PUT', (call) => changeStream(call, true)],
      ['DELETE', deleteStream],
    ]),
  ],
  [
    SSF_PATHS.status,
    new Map<string, SsfRoute>([
      ['GET', readStatus],
      ['POST', changeStatus],
    ]),
  ],
  [SSF_PATHS.verify, new Map<string, SsfRoute>([['POST', verify]])],
  [SSF_PATHS.poll, new Map<string, SsfRoute>([['POST', poll]])],
])

async function readStreams({ incoming, receiver, transmitter: { streams } }: SsfCall): Promise<Outcome> {
  if (!queryOf(incoming).has('stream_id'))
    return toResponse(200, isOwner(receiver) ? [streams.describe(receiver)] : [])
  const owner = ownerOf(receiver, queryId(incoming))
  return owner === undefined ? refusalResponse(STREAM_UNKNOWN) : toResponse(200, streams.describe(owner))
}

async function createStream(call: SsfCall): Promise<Outcome> {
  const { streams } = call.transmitter
  const given = await read(call, newStreamSchema)
  if (!given.ok) return given.failure
  const created = await streams.create(given.receiver, requestOf(given.value, given.body))
  return created.ok ? toResponse(201, created.value) : refusalResponse(created.failure)
}

async function changeStream(call: SsfCall, replace: boolean): Promise<Outcome> {
  const given = await read(call, streamChangeSchema)
  if (!given.ok) return given.failure
  const owner = ownerOf(given.receiver, given.value.stream_id)
  if (owner === undefined) return refusalResponse(STREAM_UNKNOWN)
  const request = requestOf(given.value, given.body)
  return answered(await call.transmitter.streams.change(owner, request, replace), 200)
}

async function deleteStream({ incoming, receiver, transmitter: { streams } }: SsfCall): Promise<Outcome> {
  const owner = ownerOf(receiver, queryId(incoming))
  return owner === undefined ? refusalResponse(STREAM_UNKNOWN) : answered(await streams.remove(owner), 204)
}

async function readStatus({ incoming, receiver, transmitter: { streams } }: SsfCall): Promise<Outcome> {
  const owner = ownerOf(receiver, queryId(incoming))
  return owner === undefined
    ? refusalResponse(STREAM_UNKNOWN)
    : toResponse(200, streams.describeStatus(owner))
}

async function changeStatus(call: SsfCall): Promise<Outcome> {
  const { streams } = call.transmitter
  const given = await read(call, statusChangeSchema)
  if (!given.ok) return given.failure
  const { stream_id: id, status, reason } = given.value
  const owner = ownerOf(given.receiver, id)
  if (owner === undefined) return refusalResponse(STREAM_UNKNOWN)
  return answered(await streams.setStatus(owner, status, reason), 200)
}

async function verify(call: SsfCall): Promise<Outcome> {
  const { streams } = call.transmitter
  const given = await read(call, verificationSchema)
  if (!given.ok) return given.failure
  const owner = ownerOf(given.receiver, given.value.stream_id)
  if (owner === undefined) return refusalResponse(STREAM_UNKNOWN)
  return answered(await streams.verify(owner, given.value.state), 204)
}

async function poll(call: SsfCall): Promise<Outcome> {
  const { incoming, transmitter, receiver, wait } = call
  const stream = pathOf(incoming).slice(SSF_PATHS.poll.length)
  if (ownerOf(receiver, stream) === undefined) return refusalResponse(STREAM_UNKNOWN)
  const given = await read(call, pollSchema)
  if (!given.ok) return given.failure
  const owner = ownerOf(given.receiver, stream)
  if (owner === undefined) return refusalResponse(STREAM_UNKNOWN)
  if (owner.stream.url !== undefined)
    return refusalResponse(invalidStream('the events of this stream are pushed; change its `delivery` first'))
  const { maxEvents, returnImmediately, ack, setErrs } = given.value
  const refused = Object.entries(setErrs).map(([token, { err, description = '' }]) => ({
    token,
    text: `${err}: ${description}`.slice(0, REFUSED_LENGTH_MAX).replaceAll(/\p{C}/gu, ' '),
  }))
  const request = {
    maxEvents,
    returnImmediately,
    acknowledged: ack.filter((token) => TOKEN.test(token)),
    refused: refused.filter(({ token }) => TOKEN.test(token)),
  }
  const answer = await transmitter.poll(owner, request, wait)
  if (!answer.ok) return refusalResponse(answer.failure)
  const { sets, moreAvailable } = answer.value
  return toResponse(200, moreAvailable ? { sets, moreAvailable } : { sets })
}

/** An answer in JSON. `undefined`: without a body. */
export function toResponse(
  status: number,
  body: object | undefined,
  more: readonly (readonly [string, string])[] = [],
): WireResponse {
  if (body === undefined) return { status, headers: more, body: '' }
  return { status, headers: [['content-type', 'application/json'], ...more], body: JSON.stringify(body) }
}

const STATUS: { readonly [code in Refusal['err']]: number } = {
  'http.unauthenticated': 401,
  'stream.unknown': 404,
  'stream.exists': 409,
  'stream.invalid': 400,
  'stream.disabled': 400,
  'stream.verified_lately': 429,
  'stream.changed_lately': 429,
}

/** The answer to who may not, or not yet. */
export function refusalResponse({ err, description, retrySeconds }: Refusal): WireResponse {
  const more: (readonly [string, string])[] = [['content-language', 'en']]
  if (err === 'http.unauthenticated') more.push(['www-authenticate', 'Bearer realm="warder-signals"'])
  if (retrySeconds !== undefined) more.push(['retry-after', String(retrySeconds)])
  return toResponse(STATUS[err], { err, description }, more)
}

function answered(result: Result<JsonObject | undefined, Refusal>, status: number): WireResponse {
  return result.ok ? toResponse(status, result.value) : refusalResponse(result.failure)
}

type Given<Schema extends z.ZodType> =
  | {
      readonly ok: true
      readonly value: z.infer<Schema>
      readonly body: JsonObject
      /** As it stands now. */
      readonly receiver: Receiver
    }
  | { readonly ok: false; readonly failure: Outcome }

/**
 * The body, which has to be one JSON object of the schema.
 *
 * INVARIANT: a body may take its time, so the receiver proves itself again once it is there.
 */
async function read<Schema extends z.ZodType>(
  { incoming, transmitter, receiver: { keyHash } }: SsfCall,
  schema: Schema,
): Promise<Given<Schema>> {
  const bytes = await readBody(incoming, BODY_BYTES_MAX)
  if (bytes.kind === 'aborted') return { ok: false, failure: 'aborted' }
  if (bytes.kind === 'too_large')
    return refused(413, { code: 'request.too_large', message: 'the body may have 65,536 bytes' })
  const { method = '', url: rawUrl = '', rawHeaders } = incoming
  const body = readJsonBody({ method, rawUrl, rawHeaders, body: bytes.body, peer: '' })
  if (!body.ok) return refused(body.failure.code.startsWith('request.unsupported') ? 415 : 400, body.failure)
  const receiver = await transmitter.find(keyHash)
  if (receiver === undefined) return { ok: false, failure: refusalResponse(UNAUTHENTICATED) }
  const parsed = schema.safeParse(body.value)
  if (parsed.success) return { ok: true, value: parsed.data, body: body.value, receiver }
  return refused(
    400,
    fromSchemaError(parsed.error, body.value, () => []),
  )
}

function refused(
  status: number,
  { code, message }: { readonly code: string; readonly message: string },
): { readonly ok: false; readonly failure: WireResponse } {
  return { ok: false, failure: toResponse(status, { err: code, description: message }) }
}

function requestOf(
  { delivery, events_requested, description }: z.infer<typeof newStreamSchema>,
  body: JsonObject,
): StreamRequest {
  return { delivery, events_requested, description, body }
}

function pathOf({ url = '' }: IncomingMessage): string {
  return url.split('?', 1)[0] ?? ''
}

function queryOf({ url = '' }: IncomingMessage): URLSearchParams {
  const at = url.indexOf('?')
  return new URLSearchParams(at < 0 ? '' : url.slice(at + 1))
}

/** INVARIANT: a query that names two streams names none. */
function queryId(incoming: IncomingMessage): string {
  const [id, ...more] = queryOf(incoming).getAll('stream_id')
  return more.length === 0 ? (id ?? '') : ''
}

function isOwner(receiver: Receiver): receiver is StreamOwner {
  return receiver.stream !== undefined
}

/** The receiver, if `id` is that of its own stream. */
function ownerOf(receiver: Receiver, id: string): StreamOwner | undefined {
  return isOwner(receiver) && receiver.stream.id === id ? receiver : undefined
}
