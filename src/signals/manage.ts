import { isDeepStrictEqual } from 'node:util'
import { failed, type Result, success } from '#lib/result.ts'
import type { TenantId } from '#model/ids.ts'
import type { JsonObject } from '#model/value.ts'
import { DELIVERY_METHODS, type Delivery, parseDelivery, requestedEvents } from './delivery.ts'
import type {
  NewSettings,
  OutgoingStream,
  OutgoingStreams,
  Receiver,
  StreamOwner,
  StreamStatus,
  Unchanged,
} from './outgoing.ts'
import { invalidStream, type Refusal, STREAM_UNKNOWN, UNAUTHENTICATED } from './refusal.ts'
import { EVENT_TYPE } from './transmit.ts'

/** What a receiver says its stream should be (SSF 8.1.1); members that only we supply are compared, where they are there. */
export interface StreamRequest {
  readonly delivery?: Delivery | undefined
  readonly events_requested?: readonly string[] | undefined
  readonly description?: string | undefined
  /** The whole body. */
  readonly body: JsonObject
}

/** What receivers may do with their own stream. */
export interface ManageStreams {
  /** The configuration as it is told; without the `Authorization` header of pushes. */
  describe(owner: StreamOwner): JsonObject
  create(receiver: Receiver, request: StreamRequest): Promise<Result<JsonObject, Refusal>>
  /** `replace`: what is not there is taken away (PUT); else it stays (PATCH). */
  change(owner: StreamOwner, request: StreamRequest, replace: boolean): Promise<Result<JsonObject, Refusal>>
  remove(owner: StreamOwner): Promise<Result<undefined, Refusal>>
  describeStatus(owner: StreamOwner): JsonObject
  setStatus(
    owner: StreamOwner,
    status: StreamStatus,
    reason: string | undefined,
  ): Promise<Result<JsonObject, Refusal>>
  verify(owner: StreamOwner, state: string | undefined): Promise<Result<undefined, Refusal>>
}

/** Least time between two verification events of one stream. */
export const MIN_VERIFICATION_INTERVAL_SECONDS = 60
const TEXT_LENGTH_MAX = 500
const SUPPLIED = [
  'iss',
  'aud',
  'events_supported',
  'events_delivered',
  'min_verification_interval',
] as const satisfies readonly string[]

/** Stream management (SSF 8.1), for receivers that proved themselves. */
export function createManageStreams({
  store,
  issuerOf,
  pollUrl,
}: {
  readonly store: OutgoingStreams
  readonly issuerOf: (tenant: TenantId) => string
  /** Where a stream is fetched. */
  readonly pollUrl: (stream: string) => string
}): ManageStreams {
  const describe = (receiver: Receiver, stream: OutgoingStream): JsonObject => {
    const supported = [EVENT_TYPE[receiver.kind]]
    const { url, requested, description, wanted } = stream
    return {
      stream_id: stream.id,
      iss: issuerOf(receiver.tenant),
      aud: receiver.audience,
      delivery:
        url === undefined
          ? { method: DELIVERY_METHODS.poll, endpoint_url: pollUrl(stream.id) }
          : { method: DELIVERY_METHODS.push, endpoint_url: url },
      events_supported: supported,
      ...(requested !== undefined && { events_requested: requested }),
      events_delivered: wanted ? supported : [],
      min_verification_interval: MIN_VERIFICATION_INTERVAL_SECONDS,
      ...(description !== undefined && { description }),
    }
  }
  const changed = (receiver: Receiver, stored: OutgoingStream | Unchanged): Result<JsonObject, Refusal> =>
    typeof stored === 'object' ? success(describe(receiver, stored)) : failed(refusalOf(stored))
  return {
    describe: (owner) => describe(owner, owner.stream),
    async create(receiver, request) {
      const settings = settingsOf(receiver, request, undefined)
      if (!settings.ok) return settings
      const created = await store.create(receiver, settings.value)
      return created === 'exists' ? failed(STREAM_EXISTS) : changed(receiver, created)
    },
    async change(owner, request, replace) {
      const present = describe(owner, owner.stream)
      const wrong = SUPPLIED.find(
        (name) => request.body[name] !== undefined && !isDeepStrictEqual(request.body[name], present[name]),
      )
      if (wrong !== undefined)
        return failed(invalidStream(`\`${wrong}\` is not the receiver's to change; leave it out`))
      const { delivery } = request
      const given = pollUrl(owner.stream.id)
      if (delivery?.method === DELIVERY_METHODS.poll && (delivery.endpoint_url ?? given) !== given)
        return failed(invalidStream('`delivery.endpoint_url` of a poll is given, not chosen; leave it out'))
      const settings = settingsOf(owner, request, replace ? undefined : owner.stream)
      return settings.ok ? changed(owner, await store.change(owner, settings.value)) : settings
    },
    async remove(owner) {
      const removed = await store.remove(owner)
      return removed === 'removed' ? success(undefined) : failed(refusalOf(removed))
    },
    describeStatus: ({ stream }) => statusOf(stream),
    async setStatus(owner, status, reason) {
      const why = reason === undefined ? undefined : plain(reason)
      // INVARIANT: what says nothing new writes and locks nothing, however often it is said.
      if (status === owner.stream.status && why === owner.stream.reason)
        return success(statusOf(owner.stream))
      const set = await store.setStatus(owner, status, why)
      return typeof set === 'object' ? success(statusOf(set)) : failed(refusalOf(set))
    },
    async verify(owner, state) {
      if (owner.stream.status === 'disabled') return failed(STREAM_DISABLED)
      const asked = await store.verify(owner, state, MIN_VERIFICATION_INTERVAL_SECONDS)
      if (asked === 'queued') return success(undefined)
      if (typeof asked === 'string') return failed(refusalOf(asked))
      const description = `a verification event may be asked for every ${MIN_VERIFICATION_INTERVAL_SECONDS} seconds`
      return failed({ err: 'stream.verified_lately', description, retrySeconds: asked })
    },
  }
}

const STREAM_EXISTS: Refusal = {
  err: 'stream.exists',
  description: 'this receiver has its stream; read it with GET and change it with PATCH or PUT',
}

const STREAM_DISABLED: Refusal = {
  err: 'stream.disabled',
  description: 'a disabled stream holds no events; enable it first',
}

function refusalOf(unchanged: Unchanged): Refusal {
  if (unchanged === 'unauthenticated') return UNAUTHENTICATED
  if (unchanged === 'unknown') return STREAM_UNKNOWN
  const description = 'a stream changes ten times, then once a second'
  return { err: 'stream.changed_lately', description, retrySeconds: unchanged }
}

function statusOf({ id, status, reason }: OutgoingStream): JsonObject {
  return { stream_id: id, status, ...(reason !== undefined && { reason }) }
}

/** What is to be stored: of `before`, when it is given, what the request does not mention. */
function settingsOf(
  receiver: Receiver,
  request: StreamRequest,
  before: OutgoingStream | undefined,
): Result<NewSettings, Refusal> {
  const delivery = parseDelivery(request.delivery, receiver)
  if (!delivery.ok) return delivery
  const requested =
    request.events_requested === undefined ? before?.requested : requestedEvents(request.events_requested)
  const description = request.description === undefined ? before?.description : plain(request.description)
  return success({
    ...(delivery.value ?? { url: before?.url, authorization: undefined }),
    requested,
    wanted: requested?.includes(EVENT_TYPE[receiver.kind]) ?? true,
    description,
  })
}

/** Text of others that goes to terminals and into the database. */
function plain(text: string): string {
  return text.slice(0, TEXT_LENGTH_MAX).replaceAll(/\p{C}/gu, ' ')
}
