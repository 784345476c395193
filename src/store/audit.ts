import type { AuditActor, AuditAttempt, AuditFilter, AuditListing } from '#admin/audit.ts'
import type { Page } from '#admin/ports.ts'
import { isSensitiveName, withoutSecrets } from '#decision-log/secrets.ts'
import type { Json } from '#model/value.ts'
import type { Sql, Transaction } from './connections.ts'
import { instantText, limitOf } from './rows.ts'

/** What one change did, for the audit. */
export interface AuditedChange {
  readonly tenant: string | null
  readonly target: string
  readonly before: Json
  readonly after: Json
}

/** The owner's connections and who uses them. */
export interface Writer {
  readonly owner: Sql
  /** Who writes, as the audit names it. */
  readonly actor: string
  /** INVARIANT: called in the transaction of the change, so that neither exists without the other. */
  record(transaction: Transaction, change: AuditedChange): Promise<void>
}

/** Changes on `owner` that are recorded as done by `actor`. */
export function createWriter(owner: Sql, actor: AuditActor): Writer {
  return {
    owner,
    actor: actor.actor,
    record: async (transaction, change) => {
      await insert(transaction, actor, { ...change, outcome: 'changed' })
      actor.onChange?.()
    },
  }
}

/** Records a call of `actor` that changed nothing. */
export async function recordAttempt(owner: Sql, actor: AuditActor, attempt: AuditAttempt): Promise<void> {
  const { tenant = null, target = null, outcome } = attempt
  await insert(owner, actor, { tenant, target, outcome, before: null, after: null })
}

/** Rows of the audit, newest first. */
export async function listAudit(
  sql: Sql,
  { tenants }: AuditFilter,
  page: Page,
): Promise<readonly AuditListing[]> {
  const older = page.after === undefined ? sql`` : sql`and sequence < ${page.after}::text::bigint`
  const visible =
    tenants === undefined
      ? sql`true`
      : sql`tenant in (select json_array_elements_text(${JSON.stringify(tenants)}::text::json))`
  const rows = await sql<(Omit<AuditListing, 'sequence'> & { readonly sequence: string })[]>`
    select sequence::text, ${instantText(sql, 'admin_audit.at')} as at, actor, role, route, tenant, target, before,
      after, outcome, request_id
    from admin_audit where ${visible} ${older} order by admin_audit.sequence desc limit ${limitOf(page)}`
  return rows.map((row) => ({ ...row, sequence: Number(row.sequence) }))
}

interface Entry {
  readonly tenant: string | null
  readonly target: string | null
  readonly before: Json
  readonly after: Json
  readonly outcome: string
}

async function insert(sql: Sql | Transaction, actor: AuditActor, entry: Entry): Promise<void> {
  await sql`
    insert into admin_audit (actor, role, route, tenant, target, before, after, outcome, request_id)
    values (${actor.actor}, ${actor.role}, ${actor.route}, ${storable(entry.tenant)}, ${storable(entry.target)},
      ${jsonText(entry.before)}::text::json, ${jsonText(entry.after)}::text::json, ${entry.outcome},
      ${storable(actor.requestId ?? null)})`
}

/** Text that Postgres can store, without credentials; callers choose targets and ids. */
function storable(text: string | null): string | null {
  return text === null ? null : withoutSecrets(text.replaceAll('\0', '\ufffd').toWellFormed())
}

function jsonText(value: Json): string | null {
  return value === null ? null : JSON.stringify(masked(value))
}

/** INVARIANT: no secret reaches the audit, whatever a change consists of. */
function masked(value: Json): Json {
  if (typeof value === 'string') return storable(value)
  if (typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item: Json) => masked(item))
  const members = Object.entries(value).map(([name, member]: [string, Json]) => [
    name,
    isSensitiveName(name, member) ? '[masked]' : masked(member),
  ])
  return Object.fromEntries(members)
}
