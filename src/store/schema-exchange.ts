import { sql } from 'drizzle-orm'
import { index, integer, text, uuid } from 'drizzle-orm/pg-core'
import { identifier, instant, version } from './columns.ts'
import { tenants, warder } from './schema.ts'

/**
 * Tokens that were exchanged for those of agents and that their server can end (RFC 7009), from when they were issued until
 * they are ended or over. `due_at`: when they are to be ended; null: not yet.
 */
export const exchangedTokens = warder.table(
  'exchanged_tokens',
  {
    id: uuid('id').primaryKey().defaultRandom(),
    tenant: identifier('tenant')
      .notNull()
      .references(() => tenants.tenant),
    issuer: identifier('issuer').notNull(),
    /** The token, sealed (admin/sealing.ts). */
    sealed: text('sealed').notNull(),
    /** What it ends with, each as `KIND ID`: session, task, agent, grant and all else that the call hung on. */
    dependencies: text('dependencies').array().notNull(),
    /** Other tenants that sent an agent of the call; what they revoke ends it too. */
    crossings: text('crossings').array().notNull().default([]),
    /** When the token was issued that it was exchanged for, in seconds since 1970; null: unknown. */
    subjectIssuedAt: version('subject_issued_at'),
    createdAt: instant('created_at').notNull().defaultNow(),
    expiresAt: instant('expires_at').notNull(),
    dueAt: instant('due_at'),
    attempts: integer('attempts').notNull().default(0),
  },
  (table) => [
    index('exchanged_tokens_dependencies').using('gin', table.dependencies),
    index('exchanged_tokens_due_at').on(table.dueAt).where(sql`${table.dueAt} is not null`),
    index('exchanged_tokens_expires_at').on(table.expiresAt),
  ],
)
