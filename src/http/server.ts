import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Http2Side, tellProtocol } from './h2.ts'
import type { Listener, ListenerLimits } from './port.ts'
import type { Tls } from './tls.ts'

const CLIENT_ERROR_STATUS: { readonly [code: string]: number } = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
}

const SWEEP_MILLISECONDS = 50
/** Errors that came after the handshake, so that an answer can be read. */
const HTTP_ERROR = /^(?:HPE|ERR_HTTP)_/

/** A listener that says when it began to stop. */
export interface HttpListener extends Listener {
  readonly isDraining: () => boolean
}

/** One request; must not throw. */
export type Handle = (incoming: IncomingMessage, outgoing: ServerResponse) => void

/**
 * An HTTP/1.1 server with bounds on everything that a client can make big or slow, and an orderly end.
 *
 * @param onClientError called for each connection that spoke broken HTTP or TLS, or was too slow
 * @param tls with it the listener speaks TLS 1.2 or newer and nothing else
 * @param http2 with it the same port takes HTTP/2 too
 */
export function createHttpListener(
  handle: Handle,
  limits: ListenerLimits,
  onClientError: () => void,
  tls?: Tls,
  http2?: Http2Side,
): HttpListener {
  let isDraining = false
  const undecided = new Set<Socket>()
  const server = openServer(limits, tls, http2 !== undefined, (incoming, outgoing) => {
    if (isDraining) outgoing.shouldKeepAlive = false
    handle(incoming, outgoing)
  })
  server.maxConnections = limits.connectionsMax
  if (http2 !== undefined) takeHttp2(server, tls !== undefined, http2, undecided, limits)
  // The default of 2,000 would cut the list silently, and with it perhaps a second Authorization header.
  server.maxHeadersCount = 0
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    const isHandshake = tls !== undefined && !HTTP_ERROR.test(error.code ?? '')
    // A connection that was answered already may report what came after; it counts once. A handshake that failed has nobody
    // to answer to.
    if (isHandshake || socket.writable) onClientError()
    if (isHandshake || !socket.writable) socket.destroy()
    else answerClientError(CLIENT_ERROR_STATUS[error.code ?? ''] ?? 400, socket)
  })
  return {
    isDraining: () => isDraining,
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        server.once('error', reject)
        server.listen(port, host, () => {
          server.off('error', reject)
          // A failed accept (no more file descriptors) must not end the process.
          server.on('error', onClientError)
          const address = server.address()
          resolve({ host, port: typeof address === 'object' && address !== null ? address.port : port })
        })
      }),
    async close(graceMilliseconds) {
      isDraining = true
      const { lameDuckMilliseconds = 0 } = limits
      if (lameDuckMilliseconds > 0) await sleep(lameDuckMilliseconds)
      await new Promise<void>((resolve) => {
        const cut = setTimeout(() => {
          server.closeAllConnections()
          http2?.destroy()
        }, graceMilliseconds)
        http2?.drain()
        for (const socket of undecided) socket.destroy()
        // A connection that was answered in between is idle from then on.
        const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MILLISECONDS)
        server.close(() => {
          clearTimeout(cut)
          clearInterval(sweep)
          resolve()
        })
        server.closeIdleConnections()
      })
    },
  }
}

/** Puts the choice of the protocol before the server's own handling of connections. */
function takeHttp2(
  server: Server | TlsServer,
  isTls: boolean,
  http2: Http2Side,
  undecided: Set<Socket>,
  limits: ListenerLimits,
): void {
  const event = isTls ? 'secureConnection' : 'connection'
  const handlers = server.listeners(event)
  server.removeAllListeners(event)
  const http1 = (socket: Socket): void => {
    for (const handler of handlers) Reflect.apply(handler, server, [socket])
  }
  server.on(event, (socket: Socket) => tellProtocol(socket, http1, http2.open, undecided, limits))
}

function openServer(
  limits: ListenerLimits,
  tls: Tls | undefined,
  withHttp2: boolean,
  handle: Handle,
): Server | TlsServer {
  const options = {
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: limits.headersTimeoutMilliseconds,
    requestTimeout: limits.requestTimeoutMilliseconds,
    keepAliveTimeout: limits.keepAliveTimeoutMilliseconds,
    connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMilliseconds),
  }
  if (tls === undefined) return createServer(options, handle)
  const handshakeTimeout = limits.headersTimeoutMilliseconds
  const protocols = withHttp2 ? { ALPNProtocols: ['h2', 'http/1.1'] } : {}
  const server = createTlsServer({ ...options, ...protocols, ...tls.options(), handshakeTimeout }, handle)
  tls.onChange((changed) => server.setSecureContext(changed))
  return server
}

/** Never without a body: one gateway takes an empty one for an allow, whatever the status says. */
function answerClientError(status: number, socket: Socket): void {
  const body = '{"decision":"deny"}'
  const head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nConnection: close\r\nContent-Type: application/json`
  socket.end(`${head}\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
}
