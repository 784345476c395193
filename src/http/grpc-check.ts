import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import type { Socket } from 'node:net'
import type { GrpcDialect } from '#gateways/grpc.ts'
import type { Gateway } from '#model/gateway.ts'
import type { GatewayId } from '#model/ids.ts'
import type { Dialect, Malformed } from '#model/request.ts'
import { type Admission, createAdmission } from './admission.ts'
import { answerBatch } from './answer-batch.ts'
import type { CheckParts } from './check.ts'
import { clientCertificate } from './client-certificate.ts'
import { authenticateGateway } from './gateway-key.ts'
import { type GrpcReply, readMessage, replyOn, timeoutOf } from './grpc.ts'
import { HTTP_ERRORS } from './http-error.ts'

/** A gRPC dialect with its name. */
export interface NamedGrpcDialect {
  readonly name: Dialect
  readonly dialect: GrpcDialect
}

/** One call of a method that asks for decisions. */
export interface GrpcCall {
  readonly stream: ServerHttp2Stream
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
  readonly socket: Socket
}

/** Answers one call. Never rejects. */
export type GrpcCheck = (call: GrpcCall, route: NamedGrpcDialect) => Promise<void>

type GrpcCheckParts = CheckParts & { readonly admission: Admission }

const UNPROVEN = '' as GatewayId
/** Share of the room for calls whose key is in their message: it is not known who sends them until they are read. */
const UNPROVEN_SHARE = 4

/**
 * The road of every check through gRPC: gateway key, room, message, dialect, decision, answer.
 *
 * INVARIANT: whatever goes wrong for a gateway that proved itself ends in a deny of the dialect; everything before in a gRPC
 * error. Neither is an empty message.
 */
export function createGrpcCheck(parts: GrpcCheckParts): GrpcCheck {
  const unprovenMax = Math.max(2, Math.floor(parts.limits.requestsInFlightMax / UNPROVEN_SHARE))
  const unproven = createAdmission(unprovenMax)
  return async (call, route) => {
    const reply = replyOn(call.stream)
    const timeout = timeoutOf(call.headers, parts.limits.requestTimeoutMilliseconds)
    if (timeout === undefined) return reply.status('INVALID_ARGUMENT', 'grpc-timeout is not well-formed')
    const timer = setTimeout(() => reply.status('DEADLINE_EXCEEDED', 'no answer in time'), timeout)
    try {
      await road(parts, unproven, call, route, reply)
    } catch {
      parts.metrics.fault(route.name)
      answerFault(route, reply)
    } finally {
      clearTimeout(timer)
    }
  }
}

async function road(
  parts: GrpcCheckParts,
  unproven: Admission,
  call: GrpcCall,
  route: NamedGrpcDialect,
  reply: GrpcReply,
): Promise<void> {
  const { limits, metrics } = parts
  const authenticate = (messageKey: string | undefined): Gateway | undefined =>
    authenticateGateway(messageKey, call.rawHeaders, 'header', parts.findGateway, clientCertificate(call))
  const refuseUnproven = (): void => {
    metrics.unauthenticated()
    parts.onUnauthenticated()
    reply.status('UNAUTHENTICATED', HTTP_ERRORS['http.unauthenticated'].message)
  }
  const asking = authenticate(undefined)
  if (asking === undefined && call.headers['x-warder-gateway-key'] !== undefined) return refuseUnproven()
  const leave = asking === undefined ? unproven.enter(UNPROVEN) : parts.admission.enter(asking.id)
  if (leave === undefined) {
    metrics.overloaded(route.name)
    // INVARIANT: a client must not be able to bring about an error that its gateway may be set to ignore.
    const refusal = { code: 'http.overloaded', message: HTTP_ERRORS['http.overloaded'].message } as const
    return reply.message(route.dialect.refuse(refusal, undefined))
  }
  try {
    const read = await readMessage(call.stream, limits.bodyBytesMax)
    if (read.kind === 'aborted' || reply.isDone()) return
    if (read.kind === 'broken') return reply.status(read.status, read.why)
    const message = read.kind === 'read' ? read.message : undefined
    // INVARIANT: the gateway as it is now; a message can take seconds, and a key may have been revoked meanwhile.
    const gateway = authenticate(message && route.dialect.keyOf(message))
    if (gateway === undefined) return refuseUnproven()
    await answer(parts, gateway, route, message, reply)
  } finally {
    leave()
  }
}

async function answer(
  { decider, clock, metrics, limits }: GrpcCheckParts,
  gateway: Gateway,
  { name, dialect }: NamedGrpcDialect,
  message: Uint8Array | undefined,
  reply: GrpcReply,
): Promise<void> {
  const started = performance.now()
  const refuse = async (malformed: Malformed) => {
    metrics.malformed(name, malformed.code)
    return await decider.refuse(malformed, gateway, name, undefined)
  }
  const read = message === undefined ? tooLarge(limits.bodyBytesMax) : dialect.read(message, gateway, clock())
  if (!read.ok) {
    const { id } = await refuse(read.failure)
    return reply.message(dialect.refuse(read.failure, id))
  }
  const { answers, decisions } = await answerBatch(read.value, {
    decide: (request) => decider.decide(request, gateway),
    refuse,
  })
  reply.message(dialect.write(answers, decisions, message ?? new Uint8Array()))
  const seconds = (performance.now() - started) / 1000
  for (const decision of decisions) metrics.decided(name, decision, seconds)
}

function answerFault({ dialect }: NamedGrpcDialect, reply: GrpcReply): void {
  try {
    reply.message(
      dialect.refuse({ code: 'internal.fault', message: 'the request could not be answered' }, undefined),
    )
  } catch {
    reply.status('INTERNAL', 'the request could not be answered')
  }
}

function tooLarge(bodyBytesMax: number): { readonly ok: false; readonly failure: Malformed } {
  const message = `the message may have ${bodyBytesMax} bytes`
  return { ok: false, failure: { code: 'request.too_large', message } }
}
