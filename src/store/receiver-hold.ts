import type { Receiver } from '#signals/outgoing.ts'
import type { Sql, Transaction } from './connections.ts'

/** Changes of a stream that may come at once; then one a second. */
const CHANGES_MAX = 10

/** As `hold`, for who has not made too many changes lately. INVARIANT: who has holds no lock. */
export async function holdForChange(
  transaction: Transaction,
  receiver: Pick<Receiver, 'id' | 'keyHash'>,
): Promise<'held' | 'unauthenticated' | number> {
  const [row] = await transaction<{ left: number }[]>`
    select ceil(extract(epoch from changes_until - now()) - ${CHANGES_MAX - 1})::integer as left
    from signal_receivers where receiver = ${receiver.id}::text::uuid
      and changes_until > now() + make_interval(secs => ${CHANGES_MAX - 1})`
  if (row !== undefined) return Math.max(1, row.left)
  return (await hold(transaction, receiver)) ? 'held' : 'unauthenticated'
}

/**
 * Locks the row of the receiver; gives whether its credential is still good.
 *
 * INVARIANT: the credential is looked up by a statement of its own after the lock, so that it sees the revocation that it waited for.
 */
export async function hold(
  transaction: Transaction,
  receiver: Pick<Receiver, 'id' | 'keyHash'>,
): Promise<boolean> {
  await transaction`
    select from signal_receivers where receiver = ${receiver.id}::text::uuid for no key update`
  return (await keyOf(transaction, receiver)).length > 0
}

/** A query that finds the credential while it is good. */
export function keyOf(sql: Sql | Transaction, { id, keyHash }: Pick<Receiver, 'id' | 'keyHash'>) {
  return sql`
    select from signal_receiver_keys
    where hash = ${keyHash} and receiver = ${id}::text::uuid and (ends_at is null or ends_at > clock_timestamp())`
}

/** A change costs a second of the ten that may be spent ahead. */
export function spent(sql: Transaction) {
  return sql`greatest(changes_until, now()) + interval '1 second'`
}
