import type { ServerHttp2Stream } from 'node:http2'
import { decodeMessage, textField } from '#gateways/protobuf/read.ts'
import { integer } from '#gateways/protobuf/write.ts'
import { type GrpcReply, readMessage, replyOn } from './grpc.ts'

const SERVING = 1
const NOT_SERVING = 2
const SERVICE_UNKNOWN = 3
const REQUEST_BYTES_MAX = 1_024
const WATCHERS_MAX = 64
const LOOK_MILLISECONDS = 1_000

/** The health service of gRPC. */
export interface GrpcHealth {
  check(stream: ServerHttp2Stream): Promise<void>
  watch(stream: ServerHttp2Stream): Promise<void>
  /** Tells everybody who watches that it is over. */
  close(): void
}

/**
 * Whether this server can decide, to everybody who asks: health has no secrets.
 *
 * @param isServing looked at once a second at most
 * @param services names that are known beside the empty one, which stands for the whole server
 * @see https://github.com/grpc/grpc/blob/master/doc/health-checking.md
 */
export function createGrpcHealth(isServing: () => boolean, services: ReadonlySet<string>): GrpcHealth {
  const watchers = new Map<GrpcReply, number>()
  let isClosed = false
  let known: { readonly at: number; readonly status: number } | undefined
  let timer: NodeJS.Timeout | undefined
  const status = (): number => {
    const at = performance.now()
    if (isClosed) return NOT_SERVING
    if (known === undefined || at - known.at >= LOOK_MILLISECONDS)
      known = { at, status: isServing() ? SERVING : NOT_SERVING }
    return known.status
  }
  const tell = (): void => {
    for (const [reply, told] of watchers) {
      const now = status()
      if (now === told) continue
      reply.next(integer(1, now))
      watchers.set(reply, now)
    }
  }
  const forget = (reply: GrpcReply): void => {
    watchers.delete(reply)
    if (watchers.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
  return {
    async check(stream) {
      const reply = replyOn(stream)
      const service = await serviceOf(stream, reply)
      if (service === undefined) return
      if (service === '' || services.has(service)) reply.message(integer(1, status()))
      else reply.status('NOT_FOUND', 'there is no such service')
    },
    async watch(stream) {
      const reply = replyOn(stream)
      const service = await serviceOf(stream, reply)
      if (service === undefined) return
      if (isClosed || watchers.size >= WATCHERS_MAX)
        return reply.status('UNAVAILABLE', 'too many watch already')
      stream.once('close', () => forget(reply))
      if (service !== '' && !services.has(service)) return reply.next(integer(1, SERVICE_UNKNOWN))
      const now = status()
      reply.next(integer(1, now))
      watchers.set(reply, now)
      timer ??= setInterval(tell, LOOK_MILLISECONDS)
      timer.unref()
    },
    close() {
      isClosed = true
      tell()
      for (const reply of watchers.keys()) reply.end()
      watchers.clear()
      clearInterval(timer)
    },
  }
}

async function serviceOf(stream: ServerHttp2Stream, reply: GrpcReply): Promise<string | undefined> {
  const read = await readMessage(stream, REQUEST_BYTES_MAX)
  const service =
    read.kind === 'read' ? decodeMessage(read.message, (message) => textField(message, 1) ?? '') : undefined
  if (service?.ok === true) return service.value
  reply.status('INVALID_ARGUMENT', 'the request is not a HealthCheckRequest')
  return undefined
}
