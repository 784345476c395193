import { sql } from 'drizzle-orm'
import { check, index, json, text, unique } from 'drizzle-orm/pg-core'
import { identifier, instant, version } from './columns.ts'
import { warder } from './schema.ts'

/**
 * SHA-256 of admin tokens. The defaults of `name` and `role` serve servers that know of neither: until then every token
 * could do everything. `tenants` null: all.
 */
export const adminTokens = warder.table(
  'admin_tokens',
  {
    hash: identifier('hash').primaryKey(),
    hint: text('hint').notNull(),
    createdAt: instant('created_at').notNull().defaultNow(),
    revokedAt: instant('revoked_at'),
    name: identifier('name').notNull().default(sql`'token-' || left(gen_random_uuid()::text, 8)`),
    role: text('role').notNull().default('admin'),
    tenants: json('tenants'),
    expiresAt: instant('expires_at'),
  },
  (table) => [
    unique('admin_tokens_name').on(table.name),
    check('admin_tokens_role', sql`${table.role} in ('viewer', 'author', 'approver', 'operator', 'admin')`),
  ],
)

/** What administrators did, refused attempts included. Insert only; `tenant` null: what concerns no tenant. */
export const adminAudit = warder.table(
  'admin_audit',
  {
    sequence: version('sequence').primaryKey().generatedAlwaysAsIdentity(),
    at: instant('at').notNull().defaultNow(),
    actor: identifier('actor').notNull(),
    role: text('role').notNull(),
    route: text('route').notNull(),
    tenant: identifier('tenant'),
    target: text('target'),
    before: json('before'),
    after: json('after'),
    outcome: identifier('outcome').notNull(),
    requestId: text('request_id'),
  },
  (table) => [index('admin_audit_tenant').on(table.tenant, table.sequence)],
)
