import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'

/** Codes of gRPC that are answered here, with the HTTP status that says the same. */
const STATUS = {
  INVALID_ARGUMENT: { code: 3, http: 400 },
  DEADLINE_EXCEEDED: { code: 4, http: 504 },
  NOT_FOUND: { code: 5, http: 404 },
  RESOURCE_EXHAUSTED: { code: 8, http: 429 },
  UNIMPLEMENTED: { code: 12, http: 404 },
  INTERNAL: { code: 13, http: 500 },
  UNAVAILABLE: { code: 14, http: 503 },
  UNAUTHENTICATED: { code: 16, http: 401 },
} as const

/** A gRPC error. */
export type GrpcStatus = keyof typeof STATUS

/** A message that was read to its end, or why it was not. */
export type MessageOutcome =
  | { readonly kind: 'read'; readonly message: Uint8Array }
  | { readonly kind: 'too_large' }
  | { readonly kind: 'aborted' }
  | { readonly kind: 'broken'; readonly status: GrpcStatus; readonly why: string }

/** Answers one call; whatever comes after the first answer is dropped. */
export interface GrpcReply {
  readonly isDone: () => boolean
  /** One message and success. */
  message(message: Uint8Array): void
  /** One message of several. */
  next(message: Uint8Array): void
  /** Success after what `next` sent. */
  end(): void
  status(status: GrpcStatus, why: string): void
}

const PREFIX_BYTES = 5
const LINGER_MILLISECONDS = 1_000
const TIMEOUT = /^(\d{1,8})([HMSmun])$/
const MILLISECONDS: { readonly [unit: string]: number } = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
}

/**
 * Whether a request is a call of gRPC: method, media type, and `te: trailers`, which no proxy passes on from a client's request.
 * A gateway that asks over plain HTTP with a path that its client chose must not get here, because an answer of gRPC is
 * always HTTP 200.
 *
 * @see https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
export function isGrpcCall(headers: IncomingHttpHeaders): boolean {
  const type = headers['content-type'] ?? ''
  return (
    headers[':method'] === 'POST' &&
    /^application\/grpc(?:\+proto)?(?:;|$)/.test(type) &&
    headers['te'] === 'trailers'
  )
}

/** Until when a caller waits, in milliseconds from now, at most `max`; undefined when it is not well-formed. */
export function timeoutOf(headers: IncomingHttpHeaders, max: number): number | undefined {
  const given = headers['grpc-timeout']
  if (given === undefined) return max
  const [, amount, unit] = TIMEOUT.exec(String(given)) ?? []
  return amount === undefined || unit === undefined
    ? undefined
    : Math.min(max, Math.ceil(Number(amount) * (MILLISECONDS[unit] ?? 0)))
}

/**
 * The one message of a unary call, uncompressed. Stops at `bytesMax`.
 *
 * @throws never
 */
export function readMessage(stream: ServerHttp2Stream, bytesMax: number): Promise<MessageOutcome> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = []
    let length = 0
    let expected: number | undefined
    const finish = (outcome: MessageOutcome): void => {
      stream.removeAllListeners('data')
      stream.resume()
      resolve(outcome)
    }
    stream.on('data', (chunk: Buffer) => {
      chunks.push(chunk)
      length += chunk.length
      if (length < PREFIX_BYTES) return
      const prefix = expected === undefined ? Buffer.concat(chunks) : undefined
      expected ??= PREFIX_BYTES + (prefix?.readUInt32BE(1) ?? 0)
      const objection = objectionTo(prefix, length, expected, bytesMax)
      if (objection !== undefined) finish(objection)
    })
    stream.once('end', () => {
      if (expected === undefined || length < expected)
        finish(broken('INVALID_ARGUMENT', 'the message ends before its length'))
      else finish({ kind: 'read', message: Buffer.concat(chunks, length).subarray(PREFIX_BYTES) })
    })
    stream.once('aborted', () => finish({ kind: 'aborted' }))
    stream.once('close', () => finish({ kind: 'aborted' }))
  })
}

function objectionTo(
  prefix: Buffer | undefined,
  length: number,
  expected: number,
  bytesMax: number,
): MessageOutcome | undefined {
  if (prefix !== undefined && prefix[0] !== 0)
    return broken('UNIMPLEMENTED', 'compressed messages are not read')
  if (expected > PREFIX_BYTES + bytesMax) return { kind: 'too_large' }
  return length > expected ? broken('INVALID_ARGUMENT', 'a call has one message') : undefined
}

/**
 * What a call is answered with.
 *
 * INVARIANT: an answer ends the stream in both directions. A client that never ends its message would keep its place for good.
 */
export function replyOn(stream: ServerHttp2Stream): GrpcReply {
  let isDone = false
  let isOpen = false
  const isGone = (): boolean => isDone || stream.destroyed || stream.closed
  const hangUp = (): void => {
    if (!stream.readableEnded && !stream.destroyed) stream.close(constants.NGHTTP2_NO_ERROR)
  }
  const open = (): void => {
    if (isOpen) return
    isOpen = true
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }))
  }
  const reply: GrpcReply = {
    isDone: () => isDone,
    message(message) {
      reply.next(message)
      reply.end()
    },
    next(message) {
      if (isGone()) return
      open()
      const prefix = Buffer.alloc(PREFIX_BYTES)
      prefix.writeUInt32BE(message.length, 1)
      stream.write(Buffer.concat([prefix, message]))
    },
    end() {
      if (isGone()) return
      isDone = true
      open()
      stream.end()
      // Not at once: a client that is still sending would take the end for a failure, and not read the answer.
      if (!stream.readableEnded) setTimeout(hangUp, LINGER_MILLISECONDS).unref()
    },
    status(status, why) {
      if (isGone()) return
      isDone = true
      if (isOpen) return stream.close(constants.NGHTTP2_INTERNAL_ERROR)
      // INVARIANT: an error is no HTTP 200. gRPC clients read `grpc-status` whatever the status is, and a gateway that asks over
      // plain HTTP takes 200 for an allow.
      const { code, http } = STATUS[status]
      const headers = { ':status': http, 'content-type': 'application/grpc' }
      stream.respond({ ...headers, 'grpc-status': String(code), 'grpc-message': why }, { endStream: true })
      hangUp()
    },
  }
  return reply
}

function broken(status: GrpcStatus, why: string): MessageOutcome {
  return { kind: 'broken', status, why }
}
