import { createServer, type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { Socket } from 'node:net'
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
 */
export function createHttpListener(
  handle: Handle,
  limits: ListenerLimits,
  onClientError: () => void,
  tls?: Tls,
): HttpListener {
  let isDraining = false
  const server = openServer(limits, tls, (incoming, outgoing) => {
    if (isDraining) outgoing.shouldKeepAlive = false
    handle(incoming, outgoing)
  })
  server.maxConnections = limits.connectionsMax
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
    close: (graceMilliseconds) =>
      new Promise((resolve) => {
        isDraining = true
        const cut = setTimeout(() => server.closeAllConnections(), graceMilliseconds)
        // A connection that was answered in between is idle from then on.
        const sweep = setInterval(() => server.closeIdleConnections(), SWEEP_MILLISECONDS)
        server.close(() => {
          clearTimeout(cut)
          clearInterval(sweep)
          resolve()
        })
        server.closeIdleConnections()
      }),
  }
}

function openServer(limits: ListenerLimits, tls: Tls | undefined, handle: Handle): Server | TlsServer {
  const options = {
    maxHeaderSize: limits.headerBytesMax,
    headersTimeout: limits.headersTimeoutMilliseconds,
    requestTimeout: limits.requestTimeoutMilliseconds,
    keepAliveTimeout: limits.keepAliveTimeoutMilliseconds,
    connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMilliseconds),
  }
  if (tls === undefined) return createServer(options, handle)
  const handshakeTimeout = limits.headersTimeoutMilliseconds
  const server = createTlsServer({ ...options, ...tls.options(), handshakeTimeout }, handle)
  tls.onChange((changed) => server.setSecureContext(changed))
  return server
}

function answerClientError(status: number, socket: Socket): void {
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
  )
}
