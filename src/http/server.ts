import { createServer, type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { Listener, ListenerLimits } from './port.ts'

const CLIENT_ERROR_STATUS: { readonly [code: string]: number } = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
}

const SWEEP_MILLISECONDS = 50

/** A listener that says when it began to stop. */
export interface HttpListener extends Listener {
  readonly isDraining: () => boolean
}

/** One request; must not throw. */
export type Handle = (incoming: IncomingMessage, outgoing: ServerResponse) => void

/**
 * An HTTP/1.1 server with bounds on everything that a client can make big or slow, and an orderly end.
 *
 * @param onClientError called for each connection that spoke broken HTTP or was too slow
 */
export function createHttpListener(
  handle: Handle,
  limits: ListenerLimits,
  onClientError: () => void,
): HttpListener {
  const server = createServer(
    {
      maxHeaderSize: limits.headerBytesMax,
      headersTimeout: limits.headersTimeoutMilliseconds,
      requestTimeout: limits.requestTimeoutMilliseconds,
      keepAliveTimeout: limits.keepAliveTimeoutMilliseconds,
      connectionsCheckingInterval: Math.min(1_000, limits.headersTimeoutMilliseconds),
    },
    (incoming, outgoing) => {
      if (isDraining) outgoing.shouldKeepAlive = false
      handle(incoming, outgoing)
    },
  )
  let isDraining = false
  server.maxConnections = limits.connectionsMax
  // The default of 2,000 would cut the list silently, and with it perhaps a second Authorization header.
  server.maxHeadersCount = 0
  server.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
    // A connection that was answered already may report what came after; it counts once.
    if (!socket.writable) {
      socket.destroy()
      return
    }
    onClientError()
    answerClientError(CLIENT_ERROR_STATUS[error.code ?? ''] ?? 400, socket)
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

function answerClientError(status: number, socket: Socket): void {
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`,
  )
}
