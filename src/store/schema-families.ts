import { customType, index } from 'drizzle-orm/pg-core'
import { instant, version } from './columns.ts'
import { warder } from './schema.ts'

const bytes = customType<{ data: Uint8Array }>({ dataType: () => 'bytea' })

/**
 * The newest token of each family that any server has seen, for issuers that rotate: not the token, and no name. Instants in
 * milliseconds by the clocks of the servers, but `changed_at`, by which servers find what is new to them.
 */
export const tokenFamilies = warder.table(
  'token_families',
  {
    /** SHA-256 of tenant, issuer, session, subject and client. */
    family: bytes('family').primaryKey(),
    /** `iat`, in seconds since 1970. */
    issuedAt: version('issued_at').notNull(),
    seenAt: version('seen_at').notNull(),
    expiresAt: version('expires_at').notNull(),
    changedAt: instant('changed_at').notNull(),
  },
  (table) => [
    index('token_families_changed_at').on(table.changedAt),
    index('token_families_expires_at').on(table.expiresAt),
  ],
)
