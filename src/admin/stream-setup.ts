import { randomBytes, randomUUID } from 'node:crypto'
import { failed, type Result, success } from '#lib/result.ts'
import type { TenantId } from '#model/ids.ts'
import { checkStream } from '#signals/check.ts'
import { secondsUntilNext } from '#signals/check-due.ts'
import { faultOf } from '#signals/fault.ts'
import type { StreamRecord } from '#signals/stream.ts'
import type { StreamConfiguration } from '#signals/stream-configuration.ts'
import type { StreamSetup } from '#signals/stream-file.ts'
import { type Caller, isCallable } from '#signals/transmitter-access.ts'
import {
  type ManagedStream,
  type StreamManagement,
  type TransmitterClient,
  TransmitterFault,
} from '#signals/transmitter-client.ts'
import { DELIVERY, type TransmitterMetadata } from '#signals/transmitter-metadata.ts'
import { type AdminFailure, refused, tenantUnknown } from './failure.ts'
import { hashKey } from './keys.ts'
import type { SignalAdminStore } from './signal-ports.ts'

/** What streams are set up and managed with. */
export interface StreamParts {
  readonly store: SignalAdminStore
  readonly client: TransmitterClient
}

/** A stream that was set up at its transmitter. */
export interface SetUpStream {
  readonly tenant: TenantId
  readonly name: string
  readonly stream: string
  /** Its id there. */
  readonly transmitter_stream: string
  readonly delivery: 'push' | 'poll'
  readonly audience: readonly string[]
  readonly events_delivered: readonly string[]
  /** Why the transmitter could not be asked how the stream is; null: it was. */
  readonly check_fault: string | null
}

/** What is known before the transmitter is asked for the stream. */
interface Plan {
  readonly tenant: TenantId
  readonly name: string
  readonly record: StreamRecord
  readonly setup: StreamSetup
  /** Part of the push URL. */
  readonly stream: string
  readonly authorization: string
}

/**
 * Discovers a transmitter, makes a stream there (or takes one over), and registers it here. The transmitter is told where and with
 * what it pushes, then asked for a verification event.
 *
 * INVARIANT: a stream that was made there and could not be registered here is removed there.
 */
export async function setUpStream(
  parts: StreamParts,
  request: Pick<Plan, 'tenant' | 'name' | 'record' | 'setup'>,
): Promise<Result<SetUpStream, AdminFailure>> {
  const { store } = parts
  const { tenant, name, setup } = request
  if ((await store.findManaged(tenant, name)) !== 'unknown') return failed(streamExists(name))
  const authorization = newAuthorization()
  const plan: Plan = { ...request, stream: randomUUID(), authorization }
  try {
    const { record, managed, configuration } = await negotiate(plan, parts.client)
    const refusal = await register(plan, { record, managed }, parts)
    if (refusal !== undefined) return failed(refusal)
    return success({
      tenant,
      name,
      stream: plan.stream,
      transmitter_stream: configuration.stream_id,
      delivery: setup.pushTo === undefined ? 'poll' : 'push',
      audience: record.issuer.audience,
      events_delivered: configuration.events_delivered,
      check_fault: await firstCheck(managed, parts),
    })
  } catch (error) {
    return failed(transmitterFailure(error))
  }
}

/** Why the stream could not be registered here; undefined: it was. */
async function register(
  { tenant, name, setup, stream, authorization }: Plan,
  { record, managed }: Pick<Negotiated, 'record' | 'managed'>,
  { store, client }: StreamParts,
): Promise<AdminFailure | undefined> {
  let isKept = setup.streamId !== undefined
  try {
    const added = await store.addStream(tenant, name, record, hashKey(authorization), stream)
    if (added === 'exists') return streamExists(name)
    if (added === 'tenant_unknown') return tenantUnknown(tenant)
    isKept = true
    return undefined
  } finally {
    if (!isKept) await client.remove(managed)
  }
}

/** What a transmitter sends in `Authorization` when it pushes. */
export function newAuthorization(): string {
  return `Bearer wss_${randomBytes(32).toString('base64url')}`
}

/** The answer when the name is taken. */
export function streamExists(name: string): AdminFailure {
  return refused('stream.exists', `there is already a stream \`${name}\``, 'remove it first')
}

/** A call to a transmitter that failed, as an answer. @throws what is no fault of a transmitter */
export function transmitterFailure(error: unknown): AdminFailure {
  if (!(error instanceof TransmitterFault)) throw error
  return refused('stream.transmitter', `at the transmitter: ${error.message}`)
}

interface Negotiated {
  readonly record: StreamRecord
  readonly managed: ManagedStream
  readonly configuration: StreamConfiguration
}

async function negotiate(plan: Plan, client: TransmitterClient): Promise<Negotiated> {
  const { record, setup, stream } = plan
  const privateNetwork = record.issuer.privateNetwork === true
  const at = { issuer: record.issuer.issuer, privateNetwork }
  const metadata = await client.discover(at)
  const supplied = suppliedBy(plan, metadata)
  const access = { secret: setup.secret, client: setup.client }
  const managedAs = (more: Omit<StreamManagement, 'secret' | 'client' | 'endpoints'>): ManagedStream => ({
    ...at,
    id: stream,
    management: { ...access, endpoints: metadata.endpoints, ...more },
  })
  const caller: Caller = { ...at, stream, access }
  const configuration =
    setup.streamId === undefined
      ? await client.create(caller, metadata.endpoints, supplied)
      : await client.update(managedAs({ streamId: setup.streamId }), supplied)
  if (configuration === 'accepted')
    throw new TransmitterFault('the stream is not changed yet; do the same again later')
  const { min_verification_interval: between, inactivity_timeout: timeout } = configuration
  const managed = managedAs({
    streamId: configuration.stream_id,
    ...(between !== undefined && { verificationSecondsMin: between }),
    ...(timeout !== undefined && { inactivitySeconds: timeout }),
  })
  const fault = faultIn(configuration, plan)
  if (fault === undefined) return { record: recordOf(plan, managed, configuration), managed, configuration }
  if (setup.streamId === undefined) await client.remove(managed)
  throw new TransmitterFault(fault)
}

function suppliedBy({ setup, stream, authorization }: Plan, { deliveryMethods }: TransmitterMetadata) {
  const method = setup.pushTo === undefined ? DELIVERY.poll : DELIVERY.push
  if (deliveryMethods?.includes(method) === false)
    throw new TransmitterFault(`the transmitter does not offer delivery by ${method}`)
  const push =
    setup.pushTo === undefined
      ? {}
      : { endpoint_url: pushUrl(setup.pushTo, stream), authorization_header: authorization }
  return {
    delivery: { method, ...push },
    events_requested: setup.events,
    ...(setup.description !== undefined && { description: setup.description }),
  }
}

function pushUrl(pushTo: string, stream: string): string {
  return `${pushTo}/v1/signals/${stream}`
}

/** Why the stream that the transmitter made is not the one that was asked for; undefined: it is. */
function faultIn(
  { aud, delivery }: StreamConfiguration,
  { record, setup, stream }: Plan,
): string | undefined {
  const { audience, privateNetwork } = record.issuer
  // INVARIANT: where the file names an audience, no transmitter talks Warder into another one.
  if (audience.length > 0 && !aud.some((each) => audience.includes(each)))
    return 'the stream is for another `aud` than the file names'
  const url = delivery.endpoint_url
  if (setup.pushTo !== undefined)
    return delivery.method === DELIVERY.push && url === pushUrl(setup.pushTo, stream)
      ? undefined
      : 'the stream is not pushed to where it was asked to'
  return delivery.method === DELIVERY.poll && isCallable(url, privateNetwork === true)
    ? undefined
    : 'the stream can not be fetched from an https URL'
}

function recordOf(
  { record, setup }: Plan,
  { management }: ManagedStream,
  { aud, delivery }: StreamConfiguration,
): StreamRecord {
  const { audience } = record.issuer
  const { secret, client, long } = setup
  return {
    ...record,
    issuer: { ...record.issuer, audience: audience.length > 0 ? audience : aud },
    ...(setup.pushTo === undefined && { source: { url: delivery.endpoint_url, long, secret, client } }),
    management,
  }
}

async function firstCheck(managed: ManagedStream, { store, client }: StreamParts): Promise<string | null> {
  const fault = (await faultOf(checkStream(managed, { client, questions: store.questions })))?.told
  const { management } = managed
  const seconds = secondsUntilNext({ management, failures: 0, overdue: false }, fault)
  await store.checked(managed.id, { fault, seconds })
  return fault ?? null
}
