import { createServer, type IncomingMessage, type Server } from 'node:http'
import { createLocalJWKSet, jwtVerify } from 'jose'
import { addReceiver } from '#admin/receivers.ts'
import { createSealing } from '#admin/sealing.ts'
import { createDecisionListener } from '#http/decision-listener.ts'
import { DEFAULT_LIMITS, type Listener } from '#http/port.ts'
import { sendOutbound } from '#identity/outbound.ts'
import { createSetSigner, newSetKey, type SetSigner } from '#identity/set-signer.ts'
import type { TenantId } from '#model/ids.ts'
import { deliverDue } from '#signals/deliver.ts'
import { tenantIssuer } from '#signals/transmit.ts'
import { createTransmitter } from '#signals/transmitter.ts'
import { createAdminStore } from '#store/admin-store.ts'
import type { Database } from '#store/database.ts'
import { createOutbox } from '#store/outbox.ts'
import { createOutgoingStreams, openPushAuthorization } from '#store/outgoing.ts'
import { countingMetrics, fakeDecider, findGateway, frozenClock } from '../support/fake-decider.ts'
import { newTenant } from '../support/store-samples.ts'

/** URL of the transmitter under test. */
export const PUBLIC_URL = 'https://warder.example'
/** Delivery methods. */
export const POLL = 'urn:ietf:rfc:8936'
export const PUSH = 'urn:ietf:rfc:8935'
/** Where receivers manage their stream. */
export const STREAM = '/v1/ssf/stream'
/** Where they read and change its status. */
export const STATUS = '/v1/ssf/status'
/** Where they ask for a verification event. */
export const VERIFY = '/v1/ssf/verify'
/** Who administers in tests. */
export const ACTOR = { actor: 'cli:test', role: 'owner', route: 'test' }
/** Keys that secrets of tests are sealed with. */
export const sealing = createSealing([new Uint8Array(32).fill(7)])

/** An answer with its parsed body. */
export interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // biome-ignore lint/suspicious/noExplicitAny: tests look into every kind of answer
  readonly json: any
}

/** How many events the answer to a poll holds. */
export const countOf = ({ json }: Answer): number => Object.keys(json.sets).length

/** A decision listener that serves receivers from a database. */
export interface Served {
  readonly port: number
  readonly signer: SetSigner
  call(method: string, path: string, key?: string, body?: unknown, headers?: object): Promise<Answer>
  close(): Promise<void>
}

/** Starts a server on `db`; several on one database are several servers of one installation. */
export async function serve(db: Database, signer?: SetSigner): Promise<Served> {
  const made = signer ?? (await createSetSigner(PUBLIC_URL, await newSetKey()))
  const store = createOutgoingStreams(db, () => Promise.resolve(sealing))
  const listener: Listener = createDecisionListener({
    decider: fakeDecider(),
    findGateway,
    clock: frozenClock,
    metrics: countingMetrics(),
    limits: { ...DEFAULT_LIMITS, requestTimeoutMilliseconds: 120_000 },
    onUnauthenticated: () => undefined,
    transmitter: createTransmitter({ publicUrl: PUBLIC_URL, store, sign: made.sign }),
  })
  const { port } = await listener.listen('127.0.0.1', 0)
  return {
    port,
    signer: made,
    async call(method, path, key, body, headers = {}) {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
        method,
        headers: {
          ...(key !== undefined && { authorization: `Bearer ${key}` }),
          ...(body !== undefined && { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      })
      const text = await answer.text()
      return {
        status: answer.status,
        headers: answer.headers,
        text,
        json: text === '' ? null : JSON.parse(text),
      }
    },
    close: () => listener.close(0),
  }
}

/** A tenant with a receiver that has a credential and no stream yet. */
export async function withReceiver(
  db: Database,
  more: { readonly tenant?: TenantId; readonly name?: string; readonly kind?: 'caep' | 'webhook' } = {},
) {
  const { tenant = newTenant(), name = 'siem', kind = 'webhook' } = more
  const store = createAdminStore(db, ACTOR)
  await store.addTenant(tenant)
  const request = { tenant, name, kind, url: undefined, audience: undefined, privateNetwork: true }
  const added = await addReceiver(store, request)
  if (!added.ok || added.value.key === null) throw new Error('not added')
  const revoke = (id: string, kindOf: 'agent' | 'subject' | 'tool' = 'agent') =>
    store.revoke({ tenant, kind: kindOf, id, mode: 'deny', source: 'admin', reason: 'secret reason' })
  return { tenant, name, store, key: added.value.key, revoke }
}

/** The receiver with a stream that it fetches; `poll` asks for what is there. */
export async function withStream(
  db: Database,
  served: Served,
  more: Parameters<typeof withReceiver>[1] = {},
) {
  const receiver = await withReceiver(db, more)
  const { json } = await served.call('POST', '/v1/ssf/stream', receiver.key, {})
  const stream: string = json.stream_id
  const path = `/v1/ssf/poll/${stream}`
  const poll = (body: object = {}, by: Served = served, key = receiver.key) =>
    by.call('POST', path, key, { returnImmediately: true, ...body })
  return { ...receiver, stream, path, poll }
}

/** The claims of each token of a poll, verified with the keys that are published. */
export async function claimsOf({ json }: Answer, { signer }: Served) {
  const keys = createLocalJWKSet({ keys: [signer.publicKey] })
  return await Promise.all(
    Object.values<string>(json.sets).map(async (set) => (await jwtVerify(set, keys)).payload),
  )
}

/** A server that takes pushes and answers 202. */
export async function startReceiver(): Promise<{
  readonly url: string
  readonly got: { readonly headers: IncomingMessage['headers']; readonly body: string }[]
  readonly server: Server
}> {
  const got: { headers: IncomingMessage['headers']; body: string }[] = []
  const server = createServer((incoming, outgoing) => {
    let body = ''
    incoming.setEncoding('utf8').on('data', (part: string) => {
      body += part
    })
    incoming.on('end', () => {
      got.push({ headers: incoming.headers, body })
      outgoing.writeHead(202).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return { url: `http://127.0.0.1:${port}/events`, got, server }
}

/** Pushes what is due, as a server does every second; gives what went wrong. */
export async function deliver(db: Database, { signer }: Served): Promise<readonly string[]> {
  const faults: string[] = []
  await deliverDue({
    outbox: createOutbox(db),
    sign: signer.sign,
    issuerOf: (tenant) => tenantIssuer(PUBLIC_URL, tenant),
    openAuthorization: openPushAuthorization(() => Promise.resolve(sealing)),
    send: sendOutbound,
    onFault: (about, cause) => faults.push(`${about}: ${cause}`),
  })
  return faults
}
