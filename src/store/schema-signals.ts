import { index, json, primaryKey, text, unique, uuid } from 'drizzle-orm/pg-core'
import { identifier, instant } from './columns.ts'
import { tenants, warder } from './schema.ts'

/** Streams of security events that a tenant receives (`stream` is part of the URL that transmitters push to). */
export const signalStreams = warder.table(
  'signal_streams',
  {
    stream: uuid('stream').primaryKey().defaultRandom(),
    tenant: identifier('tenant')
      .notNull()
      .references(() => tenants.tenant),
    name: identifier('name').notNull(),
    /** Issuer, audience, keys and what it may do (signals/stream.ts). */
    record: json('record').notNull(),
    /** SHA-256 of the `Authorization` header that pushes carry. */
    authorizationHash: text('authorization_hash').notNull(),
    createdAt: instant('created_at').notNull().defaultNow(),
    lastEventAt: instant('last_event_at'),
    /** Last `state` of a verification event, and when it came. */
    verifiedState: text('verified_state'),
    verifiedAt: instant('verified_at'),
    /** `enabled`, or what the transmitter said last. */
    status: text('status').notNull().default('enabled'),
  },
  (table) => [unique('signal_streams_name').on(table.tenant, table.name)],
)

/** Events that were received: each acts once, however often it is sent. */
export const signalEvents = warder.table(
  'signal_events',
  {
    tenant: identifier('tenant').notNull(),
    stream: identifier('stream').notNull(),
    id: identifier('id').notNull(),
    event: identifier('event').notNull(),
    effects: json('effects').notNull(),
    receivedAt: instant('received_at').notNull().defaultNow(),
  },
  (table) => [
    primaryKey({ columns: [table.tenant, table.stream, table.id] }),
    index('signal_events_received_at').on(table.tenant, table.receivedAt),
  ],
)
