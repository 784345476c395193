import { bigint, customType, timestamp } from 'drizzle-orm/pg-core'

/** An id. It compares and sorts byte by byte, whatever locale an outside database was created with. */
export const identifier = customType<{ data: string }>({ dataType: () => 'text COLLATE "C"' })

/** A version or sequence; never beyond 2^53. */
export const version = (name: string) => bigint(name, { mode: 'number' })

/** An instant with its zone, as text. */
export const instant = (name: string) => timestamp(name, { withTimezone: true, mode: 'string' })
