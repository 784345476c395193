import { createServer as createHttpServer } from 'node:http'
import { createServer as createHttp2Server, type ServerHttp2Stream } from 'node:http2'
import { createServer, type Socket } from 'node:net'
import { freePorts } from './ports.ts'

/** A way in which a decision point can be broken. */
export type Fault = 'down' | 'silent' | 'reset' | 'garbage' | 'cut off' | '500' | '503' | '302' | 'no message'

/** Something on Warder's port that answers everything in one broken way. */
export interface FaultyPdp {
  readonly port: number
  behave(fault: Fault): Promise<void>
  close(): Promise<void>
}

/** Listens on one port for HTTP/1.1 and HTTP/2 without TLS. At first it is `500`. */
export async function startFaultyPdp(): Promise<FaultyPdp> {
  const [port = 0] = await freePorts(1)
  const sockets = new Set<Socket>()
  let fault: Fault = '500'
  const http1 = createHttpServer((_incoming, outgoing) => {
    if (fault === 'cut off') {
      outgoing.writeHead(500, { 'content-length': '100' }).write('abc')
      outgoing.destroy()
    } else outgoing.writeHead(fault === '302' ? 302 : Number(fault) || 500, { location: '/x' }).end()
  })
  const http2 = createHttp2Server()
  http2.on('stream', (stream) => answerStream(stream, fault))
  http2.on('sessionError', () => undefined)
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.once('close', () => sockets.delete(socket))
    if (fault === 'silent') return void socket.resume()
    if (fault === 'reset') return void socket.resetAndDestroy()
    if (fault === 'garbage') return void socket.end('this is neither\r\n\r\n')
    socket.once('data', (chunk) => {
      socket.pause()
      socket.unshift(chunk)
      const isHttp2 = chunk.subarray(0, 3).toString() === 'PRI'
      ;(isHttp2 ? http2 : http1).emit('connection', socket)
      socket.resume()
    })
  })
  const listen = () => new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  const stop = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve())
      for (const socket of sockets) socket.destroy()
    })
  await listen()
  return {
    port,
    async behave(next) {
      fault = next
      // Connections that are kept behave as the fault before.
      if (server.listening) await stop()
      if (next !== 'down') await listen()
    },
    close: async () => {
      if (server.listening) await stop()
    },
  }
}

/** What a gRPC client gets: an HTTP error, a stream that breaks, or a success without a message. */
function answerStream(stream: ServerHttp2Stream, fault: Fault): void {
  stream.on('error', () => undefined)
  if (fault === 'cut off') {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' })
    stream.write(Buffer.from([0, 0, 0]))
    stream.close(2)
  } else if (fault === 'no message')
    stream.respond(
      { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': '0' },
      { endStream: true },
    )
  else stream.respond({ ':status': Number(fault) || 500 }, { endStream: true })
}
