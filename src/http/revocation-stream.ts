import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Gateway } from '#model/gateway.ts'
import type { GatewayId } from '#model/ids.ts'
import type { RevocationEvents, StreamEvent } from '#revocation/events.ts'
import { httpError } from './check.ts'
import { clientCertificate } from './client-certificate.ts'
import { authenticateGateway, type FindGateway, type KeyedTarget } from './gateway-key.ts'
import { send } from './send.ts'

/** Where gateways follow what is revoked. */
export const REVOCATION_STREAM = '/v1/revocations/stream'

/** Open streams of one listener. */
export interface RevocationStreams {
  /** Answers one request for the stream. */
  open(incoming: IncomingMessage, outgoing: ServerResponse, target: KeyedTarget): void
  /** Ends every stream, so that its reader goes to another server. */
  close(): void
}

const HEARTBEAT_MILLISECONDS = 10_000
const STREAMS_MAX = 1_000
const STREAMS_OF_GATEWAY_MAX = 16
/** What may wait for a reader who does not read; beyond it he is cut off and starts anew. */
const BUFFER_BYTES_MAX = 262_144
const RETRY_MILLISECONDS = 1_000

/**
 * Server-sent events for gateways that keep answers or connections: what was revoked in their tenant, and up to which state
 * version everything is told (docs/revocation.md). Resumed by `Last-Event-ID`.
 *
 * INVARIANT: the key is looked up again for each message; a gateway that was revoked hears nothing more.
 */
export function createRevocationStreams(
  events: RevocationEvents,
  findGateway: FindGateway,
  onUnauthenticated: () => void,
): RevocationStreams {
  const streams = new Set<Stream>()
  const timer = setInterval(() => {
    for (const stream of streams) stream.write(': \n\n')
  }, HEARTBEAT_MILLISECONDS)
  timer.unref()
  return {
    open(incoming, outgoing, target) {
      const authenticate = (): Gateway | undefined =>
        authenticateGateway(
          target.key,
          incoming.rawHeaders,
          'bearer',
          findGateway,
          clientCertificate(incoming),
        )
      const gateway = authenticate()
      if (gateway === undefined) {
        onUnauthenticated()
        return send(incoming, outgoing, httpError('http.unauthenticated', 'native'))
      }
      if (incoming.method !== 'GET') {
        const { status, body } = httpError('http.method_not_allowed', 'native')
        const headers = [
          ['content-type', 'application/json'],
          ['allow', 'GET'],
        ] as const
        return send(incoming, outgoing, { status, body, headers })
      }
      const own = [...streams].filter((each) => each.gateway === gateway.id).length
      if (streams.size >= STREAMS_MAX || own >= STREAMS_OF_GATEWAY_MAX)
        return send(incoming, outgoing, httpError('http.overloaded', 'native'))
      const stream = new Stream(gateway.id, outgoing, () => authenticate()?.id === gateway.id)
      streams.add(stream)
      const leave = events.follow(gateway.tenant, lastEventId(incoming), (event) =>
        stream.write(textOf(event)),
      )
      outgoing.on('close', () => {
        streams.delete(stream)
        leave()
      })
    },
    close() {
      clearInterval(timer)
      for (const stream of streams) stream.end()
    },
  }
}

class Stream {
  readonly gateway: GatewayId
  readonly #outgoing: ServerResponse
  readonly #isAllowed: () => boolean

  constructor(gateway: GatewayId, outgoing: ServerResponse, isAllowed: () => boolean) {
    this.gateway = gateway
    this.#outgoing = outgoing
    this.#isAllowed = isAllowed
    outgoing.shouldKeepAlive = false
    outgoing.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-accel-buffering': 'no',
    })
    outgoing.write(`retry: ${RETRY_MILLISECONDS}\n\n`)
  }

  write(text: string): void {
    if (!this.#isAllowed()) this.end()
    else if (this.#outgoing.writableLength > BUFFER_BYTES_MAX) this.#outgoing.destroy()
    else this.#outgoing.write(text)
  }

  end(): void {
    this.#outgoing.end()
  }
}

function textOf({ event, id, data }: StreamEvent): string {
  const point = id === undefined ? '' : `id: ${id}\n`
  return `event: ${event}\n${point}data: ${JSON.stringify(data)}\n\n`
}

/** Anything that is no state version is as if there were none. */
function lastEventId({ headers }: IncomingMessage): number | undefined {
  const given = headers['last-event-id']
  return typeof given === 'string' && /^\d{1,15}$/.test(given) ? Number(given) : undefined
}
