import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createSetSigner, newSetKey } from '#identity/set-signer.ts'

/** One request that a transmitter got. */
export interface TransmitterCall {
  readonly method: string
  readonly path: string
  readonly streamId: string | null
  readonly authorization: string | undefined
  // biome-ignore lint/suspicious/noExplicitAny: tests look into every kind of body
  readonly body: any
}

/** A stream as the transmitter has it. */
export interface TransmitterStream {
  // biome-ignore lint/suspicious/noExplicitAny: what receivers sent
  configuration: any
  status: string
  /** Events that wait to be fetched, by their `jti`. */
  readonly waiting: Map<string, string>
  /** What became of events: acknowledged, pushed with this status, or refused as this. */
  readonly outcomes: string[]
}

/** What a transmitter does differently from now on. */
export interface TransmitterRules {
  /** Members of the metadata. */
  metadata?: object
  /** Members of each stream configuration that it answers with. */
  configuration?: object
  /** Answers in its place; true: it did. */
  answer?: (call: TransmitterCall, outgoing: ServerResponse) => boolean
  /** State of the verification events in place of what was asked for; null: none is sent. */
  state?: string | null
}

/** A Shared Signals transmitter with its management API, on this machine. */
export interface SsfTransmitter {
  readonly issuer: string
  readonly origin: string
  readonly calls: readonly TransmitterCall[]
  readonly streams: ReadonlyMap<string, TransmitterStream>
  readonly rules: TransmitterRules
  /** Sends an event over a stream, in the way that its receiver wanted. */
  emit(streamId: string, type: string, payload: object, subject?: object): Promise<void>
  close(): Promise<void>
}

const AUDIENCE = 'https://warder.example'
const POLL = 'urn:ietf:rfc:8936'
const VERIFICATION = 'https://schemas.openid.net/secevent/ssf/event-type/verification'
const TOKEN = 'management-token'

/** Starts one with the issuer path `path`. */
export async function startSsfTransmitter(path = ''): Promise<SsfTransmitter> {
  const transmitter = new Running(path, await newSetKey())
  await transmitter.listen()
  return transmitter
}

class Running implements SsfTransmitter {
  readonly calls: TransmitterCall[] = []
  readonly streams = new Map<string, TransmitterStream>()
  readonly rules: TransmitterRules = {}
  readonly #path: string
  readonly #key: string
  readonly #server = createServer((incoming, outgoing) => void this.#answer(incoming, outgoing))
  #events = 0
  origin = ''

  constructor(path: string, key: string) {
    this.#path = path
    this.#key = key
  }

  get issuer(): string {
    return `${this.origin}${this.#path}`
  }

  async listen(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve))
    this.origin = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async emit(streamId: string, type: string, payload: object, subject?: object): Promise<void> {
    const stream = this.streams.get(streamId)
    if (stream === undefined) throw new Error('no such stream')
    const jti = `set-${++this.#events}`
    const { sign } = await createSetSigner(this.issuer, this.#key)
    const claims = {
      jti,
      aud: AUDIENCE,
      iat: Math.floor(Date.now() / 1000),
      sub_id: subject ?? { format: 'opaque', id: streamId },
      events: { [type]: payload },
    }
    const text = await sign(claims as Parameters<typeof sign>[0])
    if (stream.configuration.delivery.method === POLL) stream.waiting.set(jti, text)
    else await push(stream, text)
  }

  async #answer(incoming: IncomingMessage, outgoing: ServerResponse): Promise<void> {
    const url = new URL(incoming.url ?? '', this.origin)
    const isForm = url.pathname === '/token'
    const text = await textOf(incoming)
    const read = () => (isForm ? Object.fromEntries(new URLSearchParams(text)) : JSON.parse(text))
    const call: TransmitterCall = {
      method: incoming.method ?? '',
      path: url.pathname,
      streamId: url.searchParams.get('stream_id'),
      authorization: incoming.headers.authorization,
      body: text === '' ? undefined : read(),
    }
    this.calls.push(call)
    if (this.rules.answer?.(call, outgoing) === true) return
    if (call.path === `/.well-known/ssf-configuration${this.#path}`)
      return json(outgoing, 200, this.#metadata())
    if (call.path === '/jwks') {
      const { publicKey } = await createSetSigner(this.issuer, this.#key)
      return json(outgoing, 200, { keys: [publicKey] })
    }
    if (isForm) return json(outgoing, 200, { access_token: TOKEN, token_type: 'Bearer', expires_in: 300 })
    if (call.authorization !== `Bearer ${TOKEN}`) return json(outgoing, 401, {})
    if (`${call.method} ${call.path}` === 'POST /streams') return this.#create(call.body, outgoing)
    await this.#manage(call, outgoing)
  }

  #metadata(): object {
    const at = (name: string) => `${this.origin}/${name}`
    return {
      spec_version: '1_0',
      issuer: this.issuer,
      jwks_uri: at('jwks'),
      delivery_methods_supported: ['urn:ietf:rfc:8935', POLL],
      configuration_endpoint: at('streams'),
      status_endpoint: at('status'),
      verification_endpoint: at('verify'),
      add_subject_endpoint: at('subjects/add'),
      remove_subject_endpoint: at('subjects/remove'),
      ...this.rules.metadata,
    }
  }

  #create(body: TransmitterCall['body'], outgoing: ServerResponse): void {
    const id = `st-${this.streams.size + 1}`
    const { delivery, events_requested: events } = body
    const fetched = { ...delivery, endpoint_url: `${this.origin}/poll/${id}` }
    const configuration = {
      stream_id: id,
      iss: this.issuer,
      aud: [AUDIENCE],
      ...body,
      delivery: delivery.method === POLL ? fetched : delivery,
      events_delivered: events,
    }
    this.streams.set(id, { configuration, status: 'enabled', waiting: new Map(), outcomes: [] })
    json(outgoing, 201, { ...configuration, ...this.rules.configuration })
  }

  async #manage(call: TransmitterCall, outgoing: ServerResponse): Promise<void> {
    const { method, path, body } = call
    const isPoll = path.startsWith('/poll/')
    const id: string = isPoll ? path.slice(6) : (call.streamId ?? body?.stream_id)
    const stream = this.streams.get(id)
    if (stream === undefined) return json(outgoing, 404, {})
    if (isPoll) return poll(stream, body, outgoing)
    if (path === '/streams') return this.#configure(call, stream, outgoing)
    if (path === '/status') {
      if (method === 'POST') stream.status = body.status
      return json(outgoing, 200, { stream_id: id, status: stream.status, reason: body?.reason })
    }
    const state = this.rules.state === undefined ? body.state : this.rules.state
    const isSent = path === '/verify' && state !== null
    const isFetched = stream.configuration.delivery.method === POLL
    if (isSent && isFetched) await this.emit(id, VERIFICATION, { state })
    outgoing.writeHead(path === '/subjects/add' ? 200 : 204).end()
    if (isSent && !isFetched) await this.emit(id, VERIFICATION, { state })
  }

  #configure({ method, body }: TransmitterCall, stream: TransmitterStream, outgoing: ServerResponse): void {
    if (method === 'DELETE') {
      this.streams.delete(stream.configuration.stream_id)
      outgoing.writeHead(204).end()
      return
    }
    if (method === 'PATCH') {
      const { delivery = {}, ...changes } = body
      const delivered = changes.events_requested ?? stream.configuration.events_delivered
      const merged = { ...stream.configuration.delivery, ...delivery }
      stream.configuration = {
        ...stream.configuration,
        ...changes,
        delivery: merged,
        events_delivered: delivered,
      }
    }
    json(outgoing, 200, { ...stream.configuration, ...this.rules.configuration })
  }
}

function poll(
  stream: TransmitterStream,
  { ack = [], setErrs = {}, maxEvents = 100 },
  outgoing: ServerResponse,
): void {
  for (const jti of ack) if (stream.waiting.delete(jti)) stream.outcomes.push('acknowledged')
  for (const [jti, { err }] of Object.entries<{ err: string }>(setErrs))
    if (stream.waiting.delete(jti)) stream.outcomes.push(err)
  const sets = Object.fromEntries([...stream.waiting].slice(0, maxEvents))
  json(outgoing, 200, { sets, moreAvailable: false })
}

async function push(stream: TransmitterStream, text: string): Promise<void> {
  const { endpoint_url: url, authorization_header: authorization } = stream.configuration.delivery
  const headers = { 'content-type': 'application/secevent+jwt', authorization }
  try {
    const pushed = await fetch(url, { method: 'POST', headers, body: text })
    const body = await pushed.text()
    stream.outcomes.push(body === '' ? String(pushed.status) : JSON.parse(body).err)
  } catch {
    // Whoever ends a test ends its receiver too.
    stream.outcomes.push('unreachable')
  }
}

function json(outgoing: ServerResponse, status: number, body: unknown): void {
  outgoing.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

async function textOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}
