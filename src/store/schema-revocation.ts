import { sql } from 'drizzle-orm'
import { check, index, text, uuid } from 'drizzle-orm/pg-core'
import { identifier, instant, version } from './columns.ts'
import { tenants, warder } from './schema.ts'

/**
 * What was revoked or stopped, lifted ones too. `tenant` null: for the whole installation. `version_from` and `version_to`
 * are state versions; the row counts from the one until the other or until `expires_at`.
 */
export const revocations = warder.table(
  'revocations',
  {
    revocation: uuid('revocation').primaryKey().defaultRandom(),
    tenant: identifier('tenant').references(() => tenants.tenant),
    kind: identifier('kind').notNull(),
    target: identifier('target').notNull(),
    mode: text('mode').notNull(),
    /** Seconds since 1970: only tokens issued before are stopped; null: all. */
    issuedBefore: version('issued_before'),
    expiresAt: instant('expires_at'),
    reason: text('reason').notNull(),
    source: text('source').notNull(),
    /** `token:NAME`, `cli:USER`, `signal:STREAM` or `breaker`. */
    actor: identifier('actor').notNull(),
    createdAt: instant('created_at').notNull().defaultNow(),
    versionFrom: version('version_from').notNull(),
    liftedAt: instant('lifted_at'),
    liftedBy: identifier('lifted_by'),
    versionTo: version('version_to'),
  },
  (table) => [
    check('revocations_mode', sql`${table.mode} in ('deny', 'kill', 'breaker')`),
    check('revocations_source', sql`${table.source} in ('admin', 'signal', 'breaker')`),
    check('revocations_lifted', sql`(${table.versionTo} is null) = (${table.liftedAt} is null)`),
    index('revocations_version_from').on(table.versionFrom),
    index('revocations_version_to').on(table.versionTo).where(sql`${table.versionTo} is not null`),
    index('revocations_tenant').on(table.tenant, table.versionFrom),
    index('revocations_target').on(table.kind, table.target),
  ],
)
