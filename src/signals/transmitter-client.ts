import type { OutboundAnswer, OutboundRequest, SendOutbound } from '#identity/outbound.ts'
import { parseStrictObject } from '#identity/strict-json.ts'
import type { JsonObject } from '#model/value.ts'
import { faultIn } from './fault.ts'
import {
  readConfiguration,
  type StreamConfiguration,
  type StreamStatus,
  statusIn,
} from './stream-configuration.ts'
import {
  type Caller,
  certificateOf,
  type TransmitterAccess,
  type TransmitterTokens,
} from './transmitter-access.ts'
import { discoverTransmitter, type Endpoints, type TransmitterMetadata } from './transmitter-metadata.ts'

/** The part of a stream that its transmitter knows, and how Warder proves itself when it manages it. */
export interface StreamManagement extends TransmitterAccess {
  /** `stream_id` there. */
  readonly streamId: string
  readonly endpoints: Endpoints
  /** Seconds between two requests for a verification event, at least. */
  readonly verificationSecondsMin?: number
  /** Seconds after which the transmitter may end the stream when nobody asks about it. */
  readonly inactivitySeconds?: number
}

/** A stream that Warder manages at its transmitter; the secret is in the clear. */
export interface ManagedStream {
  readonly id: string
  readonly issuer: string
  readonly privateNetwork: boolean
  readonly management: StreamManagement
}

/** What a receiver says of a stream (SSF 1.0 section 8.1.1). */
export interface ReceiverSupplied {
  readonly delivery?: JsonObject
  readonly events_requested?: readonly string[]
  readonly description?: string
}

/** What is known of the status of a stream. */
export interface ToldStatus {
  readonly status: StreamStatus
  /** In the words of the transmitter. */
  readonly reason?: string
}

/** A call to a transmitter failed; the message is for operators. */
export class TransmitterFault extends Error {}

/** The transmitter answered, but not with what it was asked for. */
export class TransmitterRefusal extends TransmitterFault {
  readonly status: number
  constructor(what: string, status: number) {
    super(`the ${what} endpoint answered ${status}`)
    this.status = status
  }
}

/** It was accepted, and is not done yet (status 202). */
export type Accepted = 'accepted'

/**
 * The stream management API of transmitters (SSF 1.0 section 8), as their receiver. Each call rejects when it can't be made, is
 * refused (`TransmitterRefusal`), or is answered with something else (`TransmitterFault`). Messages hold no secret and nothing of what
 * was answered.
 */
export interface TransmitterClient {
  discover(at: { readonly issuer: string; readonly privateNetwork: boolean }): Promise<TransmitterMetadata>
  create(caller: Caller, endpoints: Endpoints, stream: ReceiverSupplied): Promise<StreamConfiguration>
  read(stream: ManagedStream): Promise<StreamConfiguration>
  update(stream: ManagedStream, change: ReceiverSupplied): Promise<StreamConfiguration | Accepted>
  /** One that is not there any more counts as removed. */
  remove(stream: ManagedStream): Promise<void>
  status(stream: ManagedStream): Promise<ToldStatus>
  setStatus(stream: ManagedStream, status: StreamStatus, reason: string): Promise<ToldStatus | Accepted>
  addSubject(stream: ManagedStream, subject: JsonObject): Promise<void>
  removeSubject(stream: ManagedStream, subject: JsonObject): Promise<void>
  /** Asks for a verification event that says `state`. */
  verify(stream: ManagedStream, state: string): Promise<void>
}

const REASON_CHARACTERS_MAX = 300

/** A client of transmitters that sends by `send`. */
export function createTransmitterClient(send: SendOutbound, tokens: TransmitterTokens): TransmitterClient {
  const client = createUnguarded(send, tokens)
  return {
    discover: (at) => guarded(client.discover(at)),
    create: (caller, endpoints, stream) => guarded(client.create(caller, endpoints, stream)),
    read: (stream) => guarded(client.read(stream)),
    update: (stream, change) => guarded(client.update(stream, change)),
    remove: (stream) => guarded(client.remove(stream)),
    status: (stream) => guarded(client.status(stream)),
    setStatus: (stream, status, reason) => guarded(client.setStatus(stream, status, reason)),
    addSubject: (stream, subject) => guarded(client.addSubject(stream, subject)),
    removeSubject: (stream, subject) => guarded(client.removeSubject(stream, subject)),
    verify: (stream, state) => guarded(client.verify(stream, state)),
  }
}

async function guarded<Value>(work: Promise<Value>): Promise<Value> {
  try {
    return await work
  } catch (error) {
    if (error instanceof TransmitterFault) throw error
    throw new TransmitterFault(faultIn(error).told, { cause: error })
  }
}

function createUnguarded(send: SendOutbound, tokens: TransmitterTokens): TransmitterClient {
  const call = createCall(send, tokens)

  async function changeSubject(
    stream: ManagedStream,
    endpoint: 'addSubject' | 'removeSubject',
    subject: JsonObject,
  ) {
    const url = endpointOf(stream, endpoint)
    const body = { stream_id: stream.management.streamId, subject }
    await call(callerOf(stream), { what: 'subject', url, method: 'POST', body, expected: [200, 204] })
  }

  return {
    discover: (at) => discoverTransmitter(at, send),
    async create(caller, { configuration: url }, { delivery = {}, events_requested = [], description }) {
      const body = { delivery, events_requested, ...(description !== undefined && { description }) }
      const answer = await call(caller, { ...CONFIGURATION, url, method: 'POST', body, expected: [200, 201] })
      const made = jsonOf(answer)
      try {
        return readConfiguration(made, { issuer: caller.issuer })
      } catch (error) {
        // What can't be used must not stay where nobody knows of it.
        const query = made?.['stream_id']
        if (typeof query === 'string' && query !== '')
          await call(caller, { ...CONFIGURATION, url, method: 'DELETE', query, expected: REMOVED })
        throw error
      }
    },
    async read(stream) {
      const at = { ...configurationOf(stream), query: stream.management.streamId }
      const answer = await call(callerOf(stream), { ...at, method: 'GET', expected: [200] })
      return readConfiguration(jsonOf(answer), knownOf(stream))
    },
    async update(stream, change) {
      const at = { ...configurationOf(stream), body: { stream_id: stream.management.streamId, ...change } }
      const answer = await call(callerOf(stream), { ...at, method: 'PATCH', expected: [200, 202] })
      return answer.status === 202 ? 'accepted' : readConfiguration(jsonOf(answer), knownOf(stream))
    },
    async remove(stream) {
      const at = { ...configurationOf(stream), query: stream.management.streamId }
      await call(callerOf(stream), { ...at, method: 'DELETE', expected: REMOVED })
    },
    async status(stream) {
      const at = { what: 'status', url: endpointOf(stream, 'status') } as const
      const query = stream.management.streamId
      return readStatus(
        await call(callerOf(stream), { ...at, method: 'GET', query, expected: [200] }),
        stream,
      )
    },
    async setStatus(stream, status, reason) {
      const at = { what: 'status', url: endpointOf(stream, 'status') } as const
      const body = { stream_id: stream.management.streamId, status, reason }
      const answer = await call(callerOf(stream), { ...at, method: 'POST', body, expected: [200, 202] })
      return answer.status === 202 ? 'accepted' : readStatus(answer, stream)
    },
    addSubject: (stream, subject) => changeSubject(stream, 'addSubject', subject),
    removeSubject: (stream, subject) => changeSubject(stream, 'removeSubject', subject),
    async verify(stream, state) {
      const at = { what: 'verification', url: endpointOf(stream, 'verification') } as const
      const body = { stream_id: stream.management.streamId, state }
      await call(callerOf(stream), { ...at, method: 'POST', body, expected: [204, 200, 202] })
    },
  }
}

interface Call {
  readonly what: 'configuration' | 'status' | 'subject' | 'verification'
  readonly url: string
  readonly method: 'GET' | 'POST' | 'PATCH' | 'DELETE'
  readonly body?: object
  /** The stream that the URL names, where no body does. */
  readonly query?: string
  readonly expected: readonly number[]
}

/** INVARIANT: a redirect is an answer that nobody asked for; the token goes nowhere else. */
function createCall(send: SendOutbound, tokens: TransmitterTokens) {
  async function sendWith(caller: Caller, request: OutboundRequest): Promise<OutboundAnswer> {
    const authorization = `Bearer ${await tokens.tokenFor(caller)}`
    const { privateNetwork, access } = caller
    const hasBody = request.body !== undefined
    const headers = { authorization, ...(hasBody && { 'content-type': 'application/json' }) }
    return await send({ ...request, headers, privateNetwork, ...certificateOf(access) })
  }

  /** A token that was kept may have been ended: the call is made again with a new one, once. */
  async function attempt(caller: Caller, request: OutboundRequest): Promise<OutboundAnswer> {
    const answer = await sendWith(caller, request)
    if (answer.status !== 401) return answer
    tokens.forget(caller.stream)
    return caller.access.client === undefined ? answer : await sendWith(caller, request)
  }

  return async (caller: Caller, { what, url, method, body, query, expected }: Call) => {
    const at = new URL(url)
    if (query !== undefined) at.searchParams.set('stream_id', query)
    const text = body === undefined ? {} : { body: JSON.stringify(body) }
    const answer = await attempt(caller, { url: at.href, method, ...text })
    if (!expected.includes(answer.status)) throw new TransmitterRefusal(what, answer.status)
    return answer
  }
}

/** One that was not there is not there any more either. */
const REMOVED = [204, 200, 404]

const CONFIGURATION = { what: 'configuration' } as const

function configurationOf({ management }: ManagedStream): Pick<Call, 'what' | 'url'> {
  return { ...CONFIGURATION, url: management.endpoints.configuration }
}

function knownOf({ issuer, management: { streamId } }: ManagedStream) {
  return { issuer, streamId }
}

/** The endpoint, if the transmitter has one. @throws otherwise */
function endpointOf({ management }: ManagedStream, name: keyof Endpoints): string {
  const url = management.endpoints[name]
  if (url === undefined) throw new Error(`the transmitter has no ${WORDS[name]} endpoint`)
  return url
}

const WORDS: { readonly [name in keyof Endpoints]-?: string } = {
  configuration: 'configuration',
  status: 'status',
  verification: 'verification',
  addSubject: 'add-subject',
  removeSubject: 'remove-subject',
}

function callerOf({ id, issuer, privateNetwork, management }: ManagedStream): Caller {
  return { stream: id, issuer, privateNetwork, access: management }
}

function jsonOf({ contentType, body }: OutboundAnswer): JsonObject | undefined {
  if (contentType !== 'application/json') throw new Error('the transmitter did not answer with JSON')
  return parseStrictObject(body)
}

function readStatus(answer: OutboundAnswer, { management }: ManagedStream): ToldStatus {
  const { stream_id: id, status: said, reason } = jsonOf(answer) ?? {}
  if (id !== undefined && id !== management.streamId) throw new Error('the answer is about another stream')
  const status = statusIn(said)
  if (status === undefined) throw new Error('the answer names no `status` that there is')
  return { status, ...(typeof reason === 'string' && { reason: reason.slice(0, REASON_CHARACTERS_MAX) }) }
}
