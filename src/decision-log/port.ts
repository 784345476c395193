import type { Json, JsonObject } from '#model/value.ts'

/** One row of the decision log. Field names are the column names and the JSON names of the CLI. */
export interface LogRow {
  readonly decision_id: string
  readonly tenant: string
  /** RFC 3339, UTC, milliseconds. */
  readonly decided_at: string
  readonly decision: 'allow' | 'deny'
  /** Code of the deciding reason. */
  readonly reason: string
  readonly reasons: readonly JsonObject[]
  readonly obligations: readonly JsonObject[]
  readonly gateway: string
  readonly dialect: string
  readonly request_id: string | null
  readonly traceparent: string | null
  readonly agent: string | null
  readonly user: string | null
  /** AuthZEN subject of an own-vocabulary tenant, `type::id`. */
  readonly subject: string | null
  readonly tool: string | null
  readonly action: string | null
  /** `type::id`. */
  readonly resource: string | null
  readonly policies: readonly string[]
  readonly release: string | null
  readonly state_version: number
  readonly duration_us: number
  /** The request's own facts, masked: with release and state version enough to decide again. */
  readonly facts: JsonObject
  /** Provenance, evaluations, operator detail. */
  readonly trace: JsonObject
  /** Identifies the process that wrote the row; each writer has its own hash chain. */
  readonly writer: string
  /** Position in the writer's chain, from 1 without gaps. */
  readonly sequence: number
  /** SHA-256 (hex) of the previous row's hash and this row's canonical content. */
  readonly previous_hash: string
  readonly hash: string
}

/**
 * Makes rows durable in one round trip, in order; all or nothing. Rejects when the database did not confirm, which leaves
 * open whether they are stored: the same rows then come again, and those whose `writer` and `sequence` are stored already
 * must be skipped without an error.
 */
export type AppendRows = (rows: readonly LogRow[]) => Promise<void>

/** Filter of a log query; newest first. */
export interface LogFilter {
  readonly tenant?: string
  readonly decision?: 'allow' | 'deny'
  readonly reason?: string
  readonly agent?: string
  readonly user?: string
  readonly tool?: string
  /** Inclusive lower and exclusive upper bound of `decided_at`, RFC 3339. */
  readonly since?: string
  readonly until?: string
}

/** Opaque position of the next page. */
export type LogCursor = string & { readonly __cursor: 'log' }

/** One page of rows, newest first; `next` is undefined on the last one. */
export interface LogPage {
  readonly rows: readonly LogRow[]
  readonly next: LogCursor | undefined
}

/** Reads the log. `limit` is 1 to 1,000. */
export interface QueryLog {
  page(filter: LogFilter, limit: number, cursor?: LogCursor): Promise<LogPage>
  find(decisionId: string): Promise<LogRow | undefined>
}

/** Values that a row may hold. */
export type LogValue = Json
