import type { Decision } from '#model/decision.ts'
import type { Dialect } from '#model/request.ts'

/** Bounds of a listener. */
export interface ListenerLimits {
  /** 1 MiB by default. */
  readonly bodyBytesMax: number
  /** All headers of one request together. 32 KiB by default. */
  readonly headerBytesMax: number
  /** Connections at once; more are closed at once. 10,000 by default. */
  readonly connectionsMax: number
  /** Requests between their first byte of body and their answer; more are refused. 1,000 by default. */
  readonly requestsInFlightMax: number
  /** Until all headers are there. 5,000 by default. */
  readonly headersTimeoutMilliseconds: number
  /** Until the whole request is there. 10,000 by default. */
  readonly requestTimeoutMilliseconds: number
  /** How long an idle connection stays open. 65,000 by default: longer than the usual gateway keeps it. */
  readonly keepAliveTimeoutMilliseconds: number
  /**
   * How long a listener that is to stop still takes requests, each the last on its connection: a kept connection that is cut
   * while a client writes on it loses that request. 0 by default.
   */
  readonly lameDuckMilliseconds?: number
}

/** Default bounds. */
export const DEFAULT_LIMITS: ListenerLimits = {
  bodyBytesMax: 1_048_576,
  headerBytesMax: 32_768,
  connectionsMax: 10_000,
  requestsInFlightMax: 1_000,
  headersTimeoutMilliseconds: 5_000,
  requestTimeoutMilliseconds: 10_000,
  keepAliveTimeoutMilliseconds: 65_000,
}

/** What listeners count. No method may throw or keep anything that identifies a caller. */
export interface ListenerMetrics {
  decided(dialect: Dialect, decision: Decision, seconds: number): void
  unauthenticated(): void
  malformed(dialect: Dialect, code: string): void
  overloaded(dialect: Dialect): void
  fault(dialect: Dialect): void
  /** Broken HTTP, or a client that was too slow. */
  clientError(): void
  inFlight(change: 1 | -1): void
}

/** Something that listens. */
export interface Listener {
  /** Starts to listen; gives the port (useful when `port` was 0). Rejects when the address is taken. */
  listen(host: string, port: number): Promise<{ readonly host: string; readonly port: number }>
  /** Stops accepting, lets answers in flight finish, cuts what is left after `graceMilliseconds`. */
  close(graceMilliseconds: number): Promise<void>
}
