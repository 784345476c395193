import type { IncomingMessage, ServerResponse } from 'node:http'
import type { WireResponse } from '#gateways/wire.ts'
import type { ReceiveSet } from '#signals/receive.ts'
import { readBody } from './read-body.ts'
import { send } from './send.ts'

/** Where transmitters push security events to; the id of the stream follows. */
export const SIGNALS_PREFIX = '/v1/signals/'

/** Where receivers of our own events find the keys that they are signed with. */
export const SIGNAL_KEYS = '/.well-known/jwks.json'

/** Answers one push. */
export type AnswerPush = (incoming: IncomingMessage, outgoing: ServerResponse, path: string) => Promise<void>

const BODY_BYTES_MAX = 32_768
const IN_FLIGHT_MAX = 32
const utf8 = new TextDecoder('utf-8', { fatal: true })

/**
 * The push endpoint of RFC 8935: 202 without a body once the event is durable, 400 with `err` and `description` when it is not
 * taken for good, 503 when it should be sent again.
 */
export function createAnswerPush(receive: ReceiveSet): AnswerPush {
  let inFlight = 0
  return async (incoming, outgoing, path) => {
    const answer = (response: WireResponse): void => send(incoming, outgoing, response)
    if (incoming.method !== 'POST') return answer({ status: 405, headers: [['allow', 'POST']], body: '' })
    if (inFlight >= IN_FLIGHT_MAX) return answer(LATER)
    inFlight++
    try {
      const body = await readBody(incoming, BODY_BYTES_MAX)
      if (body.kind === 'aborted') return
      const type = (incoming.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase()
      if (body.kind === 'too_large' || type !== 'application/secevent+jwt')
        return answer(
          failure('invalid_request', 'a push is one `application/secevent+jwt` of at most 32 KiB'),
        )
      const text = utf8.decode(body.body).trim()
      const stream = path.slice(SIGNALS_PREFIX.length)
      const received = await receive(stream, incoming.headers.authorization, text)
      answer(received.ok ? ACCEPTED : failure(received.failure.err, received.failure.description))
    } catch {
      answer(LATER)
    } finally {
      inFlight--
    }
  }
}

const ACCEPTED: WireResponse = { status: 202, headers: [], body: '' }
const LATER: WireResponse = { status: 503, headers: [['retry-after', '1']], body: '' }

function failure(err: string, description: string): WireResponse {
  const headers = [
    ['content-type', 'application/json'],
    ['content-language', 'en'],
  ] as const
  return { status: 400, headers, body: JSON.stringify({ err, description }) }
}
