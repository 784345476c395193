import { sql } from 'drizzle-orm'
import { boolean, check, index, integer, json, primaryKey, text, unique, uuid } from 'drizzle-orm/pg-core'
import { identifier, instant, version } from './columns.ts'
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

/** Streams whose events are fetched: when next, by whichever server comes first, and how it went last. */
export const signalPolls = warder.table(
  'signal_polls',
  {
    stream: uuid('stream')
      .primaryKey()
      .references(() => signalStreams.stream, { onDelete: 'cascade' }),
    nextAt: instant('next_at').notNull().defaultNow(),
    failures: integer('failures').notNull().default(0),
    /** Last time that the transmitter answered as it should. */
    polledAt: instant('polled_at'),
    /** Why the last poll failed; null: it did not. */
    fault: text('fault'),
  },
  (table) => [index('signal_polls_due').on(table.nextAt)],
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

/** Who is told of a tenant's revocations, other systems (`caep`) and gateways (`webhook`), and by which stream. */
export const signalReceivers = warder.table(
  'signal_receivers',
  {
    receiver: uuid('receiver').primaryKey().defaultRandom(),
    tenant: identifier('tenant')
      .notNull()
      .references(() => tenants.tenant),
    name: identifier('name').notNull(),
    kind: text('kind').notNull(),
    /** Where its events are pushed to; null: it fetches them. */
    url: text('url'),
    audience: text('audience').notNull(),
    privateNetwork: boolean('private_network').notNull(),
    /** The only origin that pushes into a private network may go to; null: it was added without a URL, and goes anywhere. */
    origin: text('origin'),
    createdAt: instant('created_at').notNull().defaultNow(),
    /** Its stream; null: it has none, because it has not made one or has deleted it. */
    stream: uuid('stream').unique('signal_receivers_stream').defaultRandom(),
    /** Sealed `Authorization` header of pushes. */
    authorization: text('authorization'),
    status: text('status').notNull().default('enabled'),
    statusReason: text('status_reason'),
    description: text('description'),
    /** What it asked for, null: everything; and whether the event of its kind is among it. */
    eventsRequested: json('events_requested'),
    wanted: boolean('wanted').notNull().default(true),
    /** When it last asked for a verification event. */
    verificationAt: instant('verification_at'),
    /** Up to when the changes that it has made of its stream are spent, one a second. */
    changesUntil: instant('changes_until'),
    /** Events that its queue had no room for, ever. */
    dropped: version('dropped').notNull().default(0),
  },
  (table) => [
    unique('signal_receivers_name').on(table.tenant, table.name),
    check('signal_receivers_kind', sql`${table.kind} in ('caep', 'webhook')`),
    check('signal_receivers_status', sql`${table.status} in ('enabled', 'paused', 'disabled')`),
  ],
)

/** What receivers prove themselves with when they manage or fetch their stream. */
export const signalReceiverKeys = warder.table(
  'signal_receiver_keys',
  {
    /** SHA-256 of the credential. */
    hash: identifier('hash').primaryKey(),
    receiver: uuid('receiver')
      .notNull()
      .references(() => signalReceivers.receiver, { onDelete: 'cascade' }),
    hint: text('hint').notNull(),
    createdAt: instant('created_at').notNull().defaultNow(),
    /** Null: it has no end. */
    endsAt: instant('ends_at'),
  },
  (table) => [index('signal_receiver_keys_receiver').on(table.receiver)],
)

/** What receivers are still to be told; written with the revocation, taken by whichever server comes first. */
export const signalOutbox = warder.table(
  'signal_outbox',
  {
    id: version('id').primaryKey().generatedAlwaysAsIdentity(),
    receiver: uuid('receiver')
      .notNull()
      .references(() => signalReceivers.receiver, { onDelete: 'cascade' }),
    /** `jti` of the token, the same for each attempt. */
    token: uuid('token').notNull().defaultRandom(),
    subject: json('subject').notNull(),
    events: json('events').notNull(),
    createdAt: instant('created_at').notNull().defaultNow(),
    attempts: integer('attempts').notNull().default(0),
    nextAt: instant('next_at').notNull().defaultNow(),
    /** When the receiver had it, or refused it for good. */
    deliveredAt: instant('delivered_at'),
    /** What the receiver said was wrong with it. */
    refused: text('refused'),
  },
  (table) => [
    index('signal_outbox_due').on(table.receiver, table.nextAt).where(sql`${table.deliveredAt} is null`),
    index('signal_outbox_waiting').on(table.receiver, table.id).where(sql`${table.deliveredAt} is null`),
  ],
)

/** Public halves of the keys that servers sign with; each server keeps its private half in its data folder. */
export const signalKeys = warder.table('signal_keys', {
  kid: identifier('kid').primaryKey(),
  jwk: json('jwk').notNull(),
  createdAt: instant('created_at').notNull().defaultNow(),
})
