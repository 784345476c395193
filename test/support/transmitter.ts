import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'

/** What a receiver sent to a transmitter's poll endpoint. */
export interface PollRequest {
  readonly authorization: string | undefined
  readonly body: {
    readonly maxEvents?: number
    readonly returnImmediately?: boolean
    readonly ack?: readonly string[]
    readonly setErrs?: { readonly [jti: string]: { readonly err: string; readonly description: string } }
  }
}

/** A transmitter that serves its events by RFC 8936 on this machine. */
export interface Transmitter {
  readonly url: string
  readonly tokenUrl: string
  readonly requests: readonly PollRequest[]
  /** Forms that were posted to the token endpoint. */
  readonly forms: readonly URLSearchParams[]
  /** Events that wait, by their `jti`. */
  readonly waiting: Map<string, string>
  /** Answers in place of the rules, until it is unset. */
  answer: ((request: PollRequest, outgoing: ServerResponse) => void) | undefined
  close(): Promise<void>
}

/** Starts one; a request that may wait is held until `add` brings something. */
export async function startTransmitter(
  token = 'poll-token',
): Promise<Transmitter & { add(jti: string, text: string): void }> {
  const requests: PollRequest[] = []
  const forms: URLSearchParams[] = []
  const waiting = new Map<string, string>()
  const held: (() => void)[] = []
  let answer: Transmitter['answer']

  function answerPoll(request: PollRequest, outgoing: ServerResponse): void {
    const { maxEvents = 100, returnImmediately = false, ack = [], setErrs = {} } = request.body
    for (const jti of [...ack, ...Object.keys(setErrs)]) waiting.delete(jti)
    if (!returnImmediately && waiting.size === 0 && maxEvents > 0) {
      held.push(() => answerPoll({ ...request, body: { maxEvents } }, outgoing))
      return
    }
    const some = [...waiting].slice(0, maxEvents)
    const moreAvailable = waiting.size > some.length
    json(outgoing, 200, { sets: Object.fromEntries(some), moreAvailable })
  }

  const server = createServer(async (incoming, outgoing) => {
    const text = await textOf(incoming)
    if (incoming.url === '/token') {
      forms.push(new URLSearchParams(text))
      json(outgoing, 200, { access_token: token, token_type: 'Bearer', expires_in: 300 })
      return
    }
    const request = { authorization: incoming.headers.authorization, body: JSON.parse(text) }
    requests.push(request)
    if (answer !== undefined) answer(request, outgoing)
    else if (request.authorization !== `Bearer ${token}`) json(outgoing, 401, {})
    else answerPoll(request, outgoing)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  return {
    url: `http://127.0.0.1:${port}/poll`,
    tokenUrl: `http://127.0.0.1:${port}/token`,
    requests,
    forms,
    waiting,
    get answer() {
      return answer
    },
    set answer(next) {
      answer = next
    },
    add(jti, set) {
      waiting.set(jti, set)
      for (const release of held.splice(0)) release()
    },
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

/** Ends an answer with JSON. */
export function json(outgoing: ServerResponse, status: number, body: unknown): void {
  outgoing.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

async function textOf(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of incoming) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}
