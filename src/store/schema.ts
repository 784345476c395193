import { sql } from 'drizzle-orm'
import {
  boolean,
  check,
  foreignKey,
  index,
  integer,
  json,
  pgSchema,
  primaryKey,
  text,
  unique,
  uniqueIndex,
  uuid,
} from 'drizzle-orm/pg-core'
import { identifier, instant, version } from './columns.ts'

/** All tables live in a schema of their own, so that a shared database keeps its other tables apart. */
export const warder = pgSchema('warder')

/** One row: the version of the whole state, and the identity of this database (a restored copy keeps it). */
export const state = warder.table(
  'state',
  {
    id: integer('id').primaryKey(),
    database: uuid('database').notNull().defaultRandom(),
    version: version('version').notNull(),
  },
  (table) => [check('state_one_row', sql`${table.id} = 1`)],
)

/** Isolation units. `state_version` is the version of the newest change inside the tenant. */
export const tenants = warder.table(
  'tenants',
  {
    tenant: identifier('tenant').primaryKey(),
    stateVersion: version('state_version').notNull(),
    createdAt: instant('created_at').notNull().defaultNow(),
    /** Days that log rows are kept; null: for ever. */
    retentionDays: integer('retention_days'),
    /** Names of arguments and properties whose values the log masks, beside those that are masked everywhere. */
    maskFields: json('mask_fields'),
    /** What the tenant demands of every call (model/tenant-rules.ts); null: nothing. */
    rules: json('rules'),
  },
  (table) => [
    index('tenants_state_version').on(table.stateVersion),
    check('tenants_retention_days', sql`${table.retentionDays} between 1 and 36500`),
  ],
)

/** Registered gateways. A name is never used again, so that log rows stay unambiguous. */
export const gateways = warder.table(
  'gateways',
  {
    tenant: identifier('tenant')
      .notNull()
      .references(() => tenants.tenant),
    id: uuid('id').notNull().defaultRandom(),
    name: identifier('name').notNull(),
    asserts: json('asserts'),
    userOnly: boolean('user_only').notNull(),
    obligations: json('obligations'),
    /** External URL, certificate source and the like (model/gateway.ts); null: none. */
    settings: json('settings'),
    createdAt: instant('created_at').notNull().defaultNow(),
    revokedAt: instant('revoked_at'),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.id] }),
    unique('gateways_name').on(table.tenant, table.name),
  ],
)

/** Keys of gateways: SHA-256 only. A key names exactly one gateway, hence one index without the tenant. */
export const gatewayKeys = warder.table(
  'gateway_keys',
  {
    tenant: identifier('tenant').notNull(),
    gateway: uuid('gateway').notNull(),
    hash: identifier('hash').notNull(),
    hint: text('hint').notNull(),
    createdAt: instant('created_at').notNull().defaultNow(),
    expiresAt: instant('expires_at'),
    revokedAt: instant('revoked_at'),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.gateway, table.hash] }),
    unique('gateway_keys_hash').on(table.hash),
    foreignKey({ columns: [table.tenant, table.gateway], foreignColumns: [gateways.tenant, gateways.id] }),
  ],
)

/** Token issuers that a tenant trusts. */
export const issuers = warder.table(
  'issuers',
  {
    tenant: identifier('tenant')
      .notNull()
      .references(() => tenants.tenant),
    issuer: identifier('issuer').notNull(),
    record: json('record').notNull(),
    updatedAt: instant('updated_at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.tenant, table.issuer] })],
)

/** Registered entities, every version: valid from `version_from` until before `version_to` (null: now). */
export const entities = warder.table(
  'entities',
  {
    tenant: identifier('tenant')
      .notNull()
      .references(() => tenants.tenant),
    type: identifier('type').notNull(),
    id: identifier('id').notNull(),
    versionFrom: version('version_from').notNull(),
    versionTo: version('version_to'),
    attrs: json('attrs').notNull(),
    tags: json('tags').notNull(),
    parents: json('parents').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.type, table.id, table.versionFrom] }),
    uniqueIndex('entities_current')
      .on(table.tenant, table.type, table.id)
      .where(sql`${table.versionTo} is null`),
    index('entities_version_from').on(table.tenant, table.versionFrom),
    index('entities_version_to').on(table.tenant, table.versionTo).where(sql`${table.versionTo} is not null`),
  ],
)

/** Headers of immutable releases; `release` is the content address. */
export const releases = warder.table(
  'releases',
  {
    tenant: identifier('tenant')
      .notNull()
      .references(() => tenants.tenant),
    release: identifier('release').notNull(),
    vocabulary: text('vocabulary').notNull(),
    validated: boolean('validated').notNull(),
    schemaModel: json('schema_model'),
    schemaText: text('schema_text'),
    sources: json('sources').notNull(),
    policyCount: integer('policy_count').notNull(),
    pushedAt: instant('pushed_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.release] }),
    index('releases_pushed_at').on(table.tenant, table.pushedAt, table.release),
  ],
)

/** One row per policy, so that 10,000 load in batches. `record` is what push worked out. */
export const releasePolicies = warder.table(
  'release_policies',
  {
    tenant: identifier('tenant').notNull(),
    release: identifier('release').notNull(),
    ordinal: integer('ordinal').notNull(),
    record: json('record').notNull(),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.release, table.ordinal] }),
    foreignKey({
      columns: [table.tenant, table.release],
      foreignColumns: [releases.tenant, releases.release],
    }),
  ],
)

/** Which release was made active when; the newest `sequence` (a state version) of a tenant counts. */
export const activations = warder.table(
  'activations',
  {
    tenant: identifier('tenant').notNull(),
    sequence: version('sequence').notNull(),
    release: identifier('release').notNull(),
    at: instant('at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.sequence] }),
    foreignKey({
      columns: [table.tenant, table.release],
      foreignColumns: [releases.tenant, releases.release],
    }),
  ],
)

/** Processes that write the decision log; a chain that vanished as a whole is still named here. Insert only. */
export const writers = warder.table('writers', {
  writer: identifier('writer').primaryKey(),
  application: text('application').notNull(),
  startedAt: instant('started_at').notNull().defaultNow(),
})

/** The newest row of each writer's chain; a trigger of `decisions` keeps it, so rows cut off at the end are missed. */
export const chainHeads = warder.table('chain_heads', {
  writer: identifier('writer').primaryKey(),
  sequence: version('sequence').notNull(),
  hash: text('hash').notNull(),
})

/**
 * What retention took out of the log, so that a check of the chains can tell it from tampering. Insert only, and a hash
 * chain of its own. `runs`: `[first sequence, last sequence, previous hash of the first, hash of the last]` each.
 */
export const removals = warder.table('removals', {
  id: version('id').primaryKey(),
  writer: identifier('writer').notNull(),
  rows: version('rows').notNull(),
  runs: json('runs').notNull(),
  removedAt: instant('removed_at').notNull().defaultNow(),
  previousHash: text('previous_hash').notNull(),
  hash: text('hash').notNull(),
})

/**
 * The decision log, insert only (by grants and by triggers), partitioned by `decided_at` into weeks (made by
 * `make_log_partition`). `json` rather than `jsonb`: the text is kept as written, which hash chain and replay rely on.
 * The tenant is what was asked for, so it references nothing. Unique keys of a partitioned table hold its partition key;
 * that a place in a chain is taken only once is up to the trigger that keeps `chain_heads`.
 */
export const decisions = warder.table(
  'decisions',
  {
    tenant: identifier('tenant').notNull(),
    decidedAt: instant('decided_at').notNull(),
    decisionId: uuid('decision_id').notNull(),
    decision: text('decision').notNull(),
    reason: identifier('reason').notNull(),
    reasons: json('reasons').notNull(),
    obligations: json('obligations').notNull(),
    gateway: text('gateway').notNull(),
    dialect: text('dialect').notNull(),
    requestId: text('request_id'),
    traceparent: text('traceparent'),
    agent: identifier('agent'),
    user: identifier('user'),
    subject: identifier('subject'),
    tool: identifier('tool'),
    action: identifier('action'),
    resource: identifier('resource'),
    policies: json('policies').notNull(),
    release: text('release'),
    stateVersion: version('state_version').notNull(),
    durationUs: integer('duration_us').notNull(),
    facts: json('facts').notNull(),
    trace: json('trace').notNull(),
    writer: identifier('writer').notNull(),
    sequence: version('sequence').notNull(),
    previousHash: text('previous_hash').notNull(),
    hash: text('hash').notNull(),
  },
  (table) => [
    check('decisions_decision', sql`${table.decision} in ('allow', 'deny')`),
    unique('decisions_decision_id').on(table.decisionId, table.decidedAt),
    unique('decisions_writer_sequence').on(table.writer, table.sequence, table.decidedAt),
    index('decisions_request_id')
      .on(table.requestId, table.decidedAt)
      .where(sql`${table.requestId} is not null`),
    index('decisions_tenant_time').on(table.tenant, table.decidedAt, table.decisionId),
    // For operators who look across all tenants; the only index here that does not begin with the tenant.
    index('decisions_time').on(table.decidedAt, table.decisionId),
    index('decisions_tenant_deny')
      .on(table.tenant, table.decidedAt, table.decisionId)
      .where(sql`${table.decision} = 'deny'`),
    index('decisions_tenant_reason').on(table.tenant, table.reason, table.decidedAt, table.decisionId),
    index('decisions_tenant_agent').on(table.tenant, table.agent, table.decidedAt, table.decisionId),
    index('decisions_tenant_user').on(table.tenant, table.user, table.decidedAt, table.decisionId),
    index('decisions_tenant_tool').on(table.tenant, table.tool, table.decidedAt, table.decisionId),
  ],
)
