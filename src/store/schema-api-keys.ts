import { index, json, primaryKey, text, unique, uuid } from 'drizzle-orm/pg-core'
import { identifier, instant } from './columns.ts'
import { tenants, warder } from './schema.ts'

/** API keys of agents: SHA-256 only. A rotated key has a row for each secret; a name is never used for another agent. */
export const apiKeys = warder.table(
  'api_keys',
  {
    tenant: identifier('tenant')
      .notNull()
      .references(() => tenants.tenant),
    id: uuid('id').notNull().defaultRandom(),
    name: identifier('name').notNull(),
    agent: identifier('agent').notNull(),
    hash: identifier('hash').notNull(),
    hint: text('hint').notNull(),
    /** Thumbprints of what has to be proven beside it; null: nothing. */
    boundTo: json('bound_to'),
    scopes: json('scopes').notNull().default([]),
    /** Names of the gateways that it may come through; null: any that accept API keys. */
    gateways: json('gateways'),
    createdAt: instant('created_at').notNull().defaultNow(),
    createdBy: identifier('created_by').notNull(),
    expiresAt: instant('expires_at').notNull(),
    /** It is on the deny list as well. */
    revokedAt: instant('revoked_at'),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.id] }),
    unique('api_keys_hash').on(table.hash),
    index('api_keys_name').on(table.tenant, table.name),
  ],
)
