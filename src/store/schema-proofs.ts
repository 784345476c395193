import { sql } from 'drizzle-orm'
import { check, customType, index, integer, text } from 'drizzle-orm/pg-core'
import { version } from './columns.ts'
import { warder } from './schema.ts'

const bytes = customType<{ data: Uint8Array }>({ dataType: () => 'bytea' })

/**
 * Proofs that were used, for as long as they could be used again. Unlogged: after a crash the table is empty, and `proof_epoch`
 * with it. Instants in milliseconds, by the clocks of the servers.
 */
export const proofs = warder.table(
  'proofs',
  {
    key: bytes('key').primaryKey(),
    question: text('question'),
    reservedAt: version('reserved_at').notNull(),
    expiresAt: version('expires_at').notNull(),
  },
  (table) => [index('proofs_expires_at').on(table.expiresAt)],
)

/** One row: since when `proofs` remembers everything, and the secret of the nonces in proofs. Unlogged, like `proofs`. */
export const proofEpoch = warder.table(
  'proof_epoch',
  {
    id: integer('id').primaryKey(),
    openedAt: version('opened_at').notNull(),
    secret: bytes('secret').notNull(),
  },
  (table) => [check('proof_epoch_one_row', sql`${table.id} = 1`)],
)
