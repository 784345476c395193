import { sql } from 'drizzle-orm'
import { check, index, integer, json, primaryKey, text, uuid } from 'drizzle-orm/pg-core'
import { identifier, instant, version } from './columns.ts'
import { tenants, warder } from './schema.ts'

/** Who may act for whom, ended grants too: a step that had one is governed by grants from then on. */
export const delegationGrants = warder.table(
  'delegation_grants',
  {
    tenant: identifier('tenant')
      .notNull()
      .references(() => tenants.tenant),
    id: uuid('id').notNull().defaultRandom(),
    fromKind: text('from_kind').notNull(),
    /** User or agent; `*`: every user. */
    fromId: identifier('from_id').notNull(),
    toAgent: identifier('to_agent').notNull(),
    /** Ceilings; null: none. */
    scopes: json('scopes'),
    tools: json('tools'),
    authorizationDetails: json('authorization_details'),
    expiresAt: instant('expires_at'),
    createdAt: instant('created_at').notNull().defaultNow(),
    createdBy: identifier('created_by').notNull(),
    reason: text('reason').notNull(),
    revokedAt: instant('revoked_at'),
    revokedReason: text('revoked_reason'),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.id] }),
    index('delegation_grants_to').on(table.tenant, table.toAgent),
    check('delegation_grants_from_kind', sql`${table.fromKind} in ('user', 'agent')`),
  ],
)

/** Public keys with which tenants sign; the private half is derived from the secret of the installation and kept nowhere. */
export const tenantKeys = warder.table('tenant_keys', {
  tenant: identifier('tenant')
    .primaryKey()
    .references(() => tenants.tenant),
  /** Ed25519, base64url. */
  publicKey: text('public_key').notNull(),
  createdAt: instant('created_at').notNull().defaultNow(),
})

/** What two tenants agree on, as the canonical text that both sign. Counts from the second signature until one withdraws. */
export const federations = warder.table(
  'federations',
  {
    id: uuid('id').primaryKey(),
    /** Where the agents may act, and where they belong. */
    // No references: whether the other tenant exists is not for the one that proposes to find out.
    home: identifier('home').notNull(),
    foreignTenant: identifier('foreign_tenant').notNull(),
    record: text('record').notNull(),
    homeSignature: text('home_signature'),
    foreignSignature: text('foreign_signature'),
    proposedAt: instant('proposed_at').notNull().defaultNow(),
    withdrawnAt: instant('withdrawn_at'),
    withdrawnBy: identifier('withdrawn_by'),
  },
  (table) => [
    index('federations_home').on(table.home, table.id),
    index('federations_foreign').on(table.foreignTenant, table.id),
    check('federations_two_tenants', sql`${table.home} <> ${table.foreignTenant}`),
  ],
)

/** Agents that were registered just in time. A row stays when its agent ends, so that the id is not used again. */
export const ephemeralAgents = warder.table(
  'ephemeral_agents',
  {
    tenant: identifier('tenant')
      .notNull()
      .references(() => tenants.tenant),
    agent: identifier('agent').notNull(),
    blueprint: identifier('blueprint').notNull(),
    /** Agent that spawned it; empty for one that a pattern admitted. */
    parent: identifier('parent').notNull(),
    versionFrom: version('version_from').notNull(),
    lifetimeSeconds: integer('lifetime_seconds').notNull(),
    expiresAt: instant('expires_at').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.agent] }),
    index('ephemeral_agents_alive').on(table.tenant, table.blueprint, table.parent, table.expiresAt),
  ],
)
