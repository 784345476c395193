import { index, integer, primaryKey, text, uuid } from 'drizzle-orm/pg-core'
import { instant } from './columns.ts'
import { warder } from './schema.ts'
import { signalStreams } from './schema-signals.ts'

const stream = () =>
  uuid('stream')
    .notNull()
    .references(() => signalStreams.stream, { onDelete: 'cascade' })

/** Streams that were set up at their transmitter: when it is asked next how they are, by whichever server comes first. */
export const signalChecks = warder.table(
  'signal_checks',
  {
    stream: stream().primaryKey(),
    nextAt: instant('next_at').notNull().defaultNow(),
    failures: integer('failures').notNull().default(0),
    /** Last time that the transmitter answered as it should. */
    checkedAt: instant('checked_at'),
    /** Why the last check failed; null: it did not. */
    fault: text('fault'),
  },
  (table) => [index('signal_checks_due').on(table.nextAt)],
)

/** Verification events that were asked for and did not come yet; an answer removes its question and all older ones. */
export const signalVerifications = warder.table(
  'signal_verifications',
  {
    stream: stream(),
    /** What the event must say. */
    state: text('state').notNull(),
    askedAt: instant('asked_at').notNull().defaultNow(),
    /** From then on the stream counts as unverified. */
    dueAt: instant('due_at').notNull(),
  },
  (table) => [primaryKey({ columns: [table.stream, table.state] })],
)
