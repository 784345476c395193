import type { EpochMilliseconds } from '#lib/clock.ts'
import type { Result } from '#lib/result.ts'
import type { Decision } from '#model/decision.ts'
import type { Gateway } from '#model/gateway.ts'
import type { AuthorizationRequest, Malformed } from '#model/request.ts'

/**
 * A request exactly as it came in. A Fetch `Request` would lose the raw path (`/../`), bodies of GET requests and
 * duplicate headers; gateways rely on all three.
 */
export interface WireRequest {
  readonly method: string
  /** Request target as sent, path and query, not normalised. For a path key (`/g/KEY/...`) without that prefix. */
  readonly rawUrl: string
  /** Name, value, name, value, ... as received, order and duplicates kept. */
  readonly rawHeaders: readonly string[]
  readonly body: Uint8Array
  /** Address of the connected peer, for counting only. */
  readonly peer: string
}

/** An answer before it is written. */
export interface WireResponse {
  readonly status: number
  readonly headers: readonly (readonly [string, string])[]
  readonly body: string
}

/** What a dialect's reader finds: one or more questions, answered together. */
export interface ReadRequest {
  readonly requests: readonly AuthorizationRequest[]
  /**
   * How a batch ends: every item, or at the first deny or permit (AuthZEN `evaluations_semantic`).
   * Items that could not be read carry their own error and count as deny.
   */
  readonly semantic: 'single' | 'execute_all' | 'deny_on_first_deny' | 'permit_on_first_permit'
  /** Errors of single batch items by their position; `requests` holds the readable items in order. */
  readonly itemErrors: ReadonlyMap<number, Malformed>
}

/** Answer to one item of a batch. */
export type ItemAnswer = { readonly decision: Decision } | { readonly malformed: Malformed }

/** A wire dialect: two pure functions. Adding a gateway is adding one of these. */
export interface GatewayDialect {
  read(wire: WireRequest, gateway: Gateway, now: EpochMilliseconds): Result<ReadRequest, Malformed>
  /** Answers in the order of the items; a batch that stopped early has fewer. */
  write(answers: readonly ItemAnswer[], asked: ReadRequest, wire: WireRequest): WireResponse
  /** The answer to a request that could not be read at all, or to a fault. Never a 2xx. */
  refuse(
    malformed:
      | Malformed
      | { readonly code: 'internal.fault' | 'log.unavailable' | 'log.overflow'; readonly message: string },
    wire: WireRequest,
  ): WireResponse
}
