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

/** A row in its place in the chain, encoded once: what was hashed is what is sent. */
export interface SealedRow extends Pick<LogRow, 'writer' | 'sequence' | 'hash'> {
  /** The whole row as JSON, free of characters that a database can't hold. */
  readonly json: string
}

/**
 * Makes rows durable in one round trip, in order; all or nothing. Rejects when the database did not confirm, which leaves
 * open whether they are stored: the same rows then come again, and those whose `writer` and `sequence` are stored already
 * must be skipped without an error.
 */
export type AppendRows = (rows: readonly SealedRow[]) => Promise<void>

/** Filter of a log query; newest first. */
export interface LogFilter {
  readonly tenant?: string
  readonly decision?: 'allow' | 'deny'
  readonly reason?: string
  readonly agent?: string
  readonly user?: string
  readonly tool?: string
  /** Id of the gateway that asked. */
  readonly gateway?: string
  readonly requestId?: string
  readonly release?: string
  /** Id of a policy that decided or demanded an obligation. */
  readonly policy?: string
  /** Words that stand together, in any case, in parties, tool, resource, reasons or facts; punctuation separates words. */
  readonly text?: string
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

/** Rows of one chain that retention removed: places `first` to `last`, and how they were linked. */
export interface RemovedRun {
  readonly first: number
  readonly last: number
  /** `previous_hash` of the first and `hash` of the last. */
  readonly previousHash: string
  readonly hash: string
}

/** One record of removed rows; the records are a hash chain of their own. */
export interface Removal {
  readonly id: number
  readonly writer: string
  readonly rows: number
  /** JSON text exactly as it was hashed: `[first, last, previous hash, hash]` for each run. */
  readonly runs: string
  readonly previousHash: string
  readonly hash: string
}

/** Reads whole chains for checking them. */
export interface ReadChains {
  /** Every writer that anything is known of, or those with rows of one tenant. */
  writers(tenant?: string): Promise<readonly string[]>
  /** Rows of one chain after a place, in ascending order; of equal places the older row first. */
  rows(writer: string, after: number, limit: number): Promise<readonly LogRow[]>
  /** The newest row that the writer added. */
  head(writer: string): Promise<{ readonly sequence: number; readonly hash: string } | undefined>
  /** How many rows there are to check, roughly. */
  estimate(): Promise<number>
  /** Records in the order of their ids, all or one writer's. */
  removals(writer?: string): AsyncIterable<readonly Removal[]>
}

/** Values that a row may hold. */
export type LogValue = Json
