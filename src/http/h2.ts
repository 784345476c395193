import {
  constants,
  type IncomingHttpHeaders,
  performServerHandshake,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2'
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import type { ListenerLimits } from './port.ts'

/** One HTTP/2 request; must not throw. */
export type HandleStream = (
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  /** Name, value, name, value, ... as received, duplicates kept. */
  rawHeaders: readonly string[],
  /** The connection itself: a certificate belongs to it. */
  socket: Socket,
) => void

/** The HTTP/2 connections of a listener. */
export interface Http2Side {
  /** Takes a connection whose client speaks HTTP/2. */
  open(socket: Socket): void
  /** Tells clients to go elsewhere; what is under way may end. */
  drain(): void
  /** Cuts what is left. */
  destroy(): void
}

const STREAMS_PER_CONNECTION_MAX = 256
const STREAM_WINDOW_BYTES = 262_144
const CONNECTION_WINDOW_BYTES = 1_048_576
const SESSION_MEGABYTES_MAX = 32
const HEADER_PAIRS_MAX = 256
/** How an HTTP/2 connection begins (RFC 9113 section 3.4); no method of HTTP/1.1 does. */
const PREFACE = 'PRI'

/** Serves HTTP/2 with bounds on everything that a client can make big or slow. */
export function createHttp2Side(
  handle: HandleStream,
  limits: ListenerLimits,
  onClientError: () => void,
): Http2Side {
  const sessions = new Set<ServerHttp2Session>()
  return {
    open(socket) {
      const session = performServerHandshake(socket, {
        settings: {
          maxConcurrentStreams: STREAMS_PER_CONNECTION_MAX,
          initialWindowSize: STREAM_WINDOW_BYTES,
          maxHeaderListSize: limits.headerBytesMax,
          enablePush: false,
        },
        maxSessionMemory: SESSION_MEGABYTES_MAX,
        maxHeaderListPairs: HEADER_PAIRS_MAX,
      })
      let streams = 0
      sessions.add(session)
      session.once('connect', () => session.setLocalWindowSize(CONNECTION_WINDOW_BYTES))
      session.once('close', () => sessions.delete(session))
      session.on('error', onClientError)
      session.setTimeout(limits.keepAliveTimeoutMilliseconds, () => {
        if (streams === 0) session.close()
      })
      session.on('stream', (stream, headers, _flags, rawHeaders) => {
        streams++
        stream.once('close', () => streams--)
        // A stream that the client resets is its own affair; without a listener it would end the process.
        stream.on('error', () => undefined)
        handle(stream, headers, rawHeaders, socket)
      })
    },
    drain() {
      for (const session of sessions) session.close()
    },
    destroy() {
      for (const session of sessions) session.destroy(undefined, constants.NGHTTP2_CANCEL)
    },
  }
}

/**
 * Calls `http2` or `http1` for a new connection: with TLS by what was negotiated, without it by the first three bytes, which
 * both find unread. A connection that does not say in time what it speaks is closed.
 *
 * @param waiting holds the connections that have not said it yet
 */
export function tellProtocol(
  socket: Socket,
  http1: (socket: Socket) => void,
  http2: (socket: Socket) => void,
  waiting: Set<Socket>,
  limits: ListenerLimits,
): void {
  if (socket instanceof TLSSocket) {
    if (socket.alpnProtocol === 'h2') http2(socket)
    else http1(socket)
    return
  }
  const destroy = (): void => void socket.destroy()
  const timer = setTimeout(destroy, limits.headersTimeoutMilliseconds)
  const forget = (): void => {
    clearTimeout(timer)
    waiting.delete(socket)
  }
  waiting.add(socket)
  socket.once('close', forget)
  socket.on('error', destroy)
  let head: Buffer = Buffer.alloc(0)
  const look = (chunk: Buffer): void => {
    head = head.length === 0 ? chunk : Buffer.concat([head, chunk])
    const start = head.subarray(0, PREFACE.length).toString('latin1')
    if (start.length < PREFACE.length && PREFACE.startsWith(start)) return
    socket.pause()
    socket.off('data', look)
    socket.off('close', forget)
    socket.off('error', destroy)
    forget()
    socket.unshift(head)
    // HTTP/2 reads what is there by itself.
    if (start === PREFACE) {
      http2(socket)
      return
    }
    http1(socket)
    socket.resume()
  }
  socket.on('data', look)
}
