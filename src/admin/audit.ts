import type { TenantId } from '#model/ids.ts'
import type { Json } from '#model/value.ts'

/** Who changes something, and by which way. */
export interface AuditActor {
  /** `token:NAME`, `cli:USER` or `system`. */
  readonly actor: string
  /** Role of the token; `owner` for whoever has the database anyway. */
  readonly role: string
  /** Route of the API (`POST /v1/...`) or the command (`warder ...`). */
  readonly route: string
  readonly requestId?: string | undefined
  /** Told about each change that was recorded; its transaction may still fail. */
  readonly onChange?: () => void
}

/** A call that changed nothing: a read, a refusal, a failure, or a change that had been made before. */
export interface AuditAttempt {
  readonly tenant: string | undefined
  readonly target: string | undefined
  /** `read`, `unchanged`, or the code of the error. */
  readonly outcome: string
}

/** One row of the audit as administrators see it. */
export interface AuditListing {
  /** Grows with time; also the page key. */
  readonly sequence: number
  readonly at: string
  readonly actor: string
  readonly role: string
  readonly route: string
  readonly tenant: string | null
  readonly target: string | null
  /** What was there before and after; secrets are masked. Null where nothing was. */
  readonly before: Json
  readonly after: Json
  /** `changed`, `read`, `unchanged`, or the code of the error. */
  readonly outcome: string
  readonly request_id: string | null
}

/** Which part of the audit; undefined: everything. */
export interface AuditFilter {
  readonly tenants: readonly TenantId[] | undefined
}
