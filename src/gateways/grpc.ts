import type { EpochMilliseconds } from '#lib/clock.ts'
import type { Result } from '#lib/result.ts'
import type { Decision } from '#model/decision.ts'
import type { Gateway } from '#model/gateway.ts'
import type { Malformed } from '#model/request.ts'
import type { ItemAnswer, ReadRequest } from './wire.ts'

/** Why nothing was decided, as far as the answer says it. */
export interface GrpcRefusal {
  readonly code: Malformed['code'] | 'internal.fault' | 'http.overloaded'
  readonly message: string
}

/**
 * A gRPC method that asks for decisions: pure functions over the bytes of one message each.
 *
 * INVARIANT: no answer is empty. To Envoy the empty message is an allow.
 */
export interface GrpcDialect {
  /** A gateway key inside the message, at a place that no client can write to; undefined without one. */
  keyOf(message: Uint8Array): string | undefined
  read(message: Uint8Array, gateway: Gateway, now: EpochMilliseconds): Result<ReadRequest, Malformed>
  /** @param decisions of the items, in their order: for the ids */
  write(answers: readonly ItemAnswer[], decisions: readonly Decision[], message: Uint8Array): Uint8Array
  /** The answer to a message that could not be read, to a fault and to overload: a deny. */
  refuse(refusal: GrpcRefusal, decisionId: string | undefined): Uint8Array
}
