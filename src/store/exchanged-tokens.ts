import type { DueToken, DueTokens } from '#identity/end-tokens.ts'
import type { KeptToken } from '#identity/token-exchange.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { Transaction } from './connections.ts'
import type { Database } from './database.ts'

/** A token to be stored; its text is sealed. */
export interface SealedToken extends Omit<KeptToken, 'token'> {
  readonly sealed: string
}

/** Who revokes and who stores a token wait for each other, so that each of them sees what the other one did. */
const EXCHANGE_LOCK = 7_238_006
const LEASE_SECONDS = 30

/**
 * Stores a token. One that hangs on something revoked is due at once.
 *
 * INVARIANT: no token slips between its storing and a revocation that happens at the same time.
 */
export async function keepExchangedToken(
  { owner }: Pick<Database, 'owner'>,
  kept: SealedToken,
): Promise<void> {
  const { tenant, issuer, sealed, dependencies, crossings, subjectIssuedAt = null, expiresAt, endsAt } = kept
  const due = endsAt === undefined ? null : instantOf(endsAt)
  const pairs = JSON.stringify(dependencies.map(({ kind, id }) => [kind, id]))
  const homes = JSON.stringify(crossings)
  await owner.begin(async (transaction) => {
    await transaction`select pg_advisory_xact_lock_shared(${EXCHANGE_LOCK}::bigint)`
    await transaction`
      insert into exchanged_tokens (
        tenant, issuer, sealed, dependencies, crossings, subject_issued_at, expires_at, due_at)
      select ${tenant}, ${issuer}, ${sealed}, 
        array(select (pair ->> 0) || ' ' || (pair ->> 1) from json_array_elements(${pairs}::text::json) pair),
        array(select json_array_elements_text(${homes}::text::json)),
        ${subjectIssuedAt}::bigint,
        ${instantOf(expiresAt)}::text::timestamptz,
        case when exists (
          select from revocations r
          where r.version_to is null and (r.tenant is null or r.tenant = ${tenant}
              or r.tenant in (select json_array_elements_text(${homes}::text::json)))
            and (r.expires_at is null or r.expires_at > now())
            and (r.issued_before is null or ${subjectIssuedAt}::bigint is null or ${subjectIssuedAt}::bigint < r.issued_before)
            and (r.kind, r.target) in (
              select pair ->> 0, pair ->> 1 from json_array_elements(${pairs}::text::json) pair))
        then now() else ${due}::text::timestamptz end`
  })
}

/** Makes every token due that hangs on what is revoked; part of the transaction that revokes. `tenant` null: in all tenants. */
export async function endExchangedTokens(
  transaction: Transaction,
  tenant: TenantId | null,
  {
    kind,
    id,
    issuedBefore = null,
  }: { readonly kind: string; readonly id: string; readonly issuedBefore?: EpochSeconds | null | undefined },
): Promise<void> {
  await transaction`select pg_advisory_xact_lock(${EXCHANGE_LOCK}::bigint)`
  await transaction`
    update exchanged_tokens set due_at = now()
    where dependencies @> array[${`${kind} ${id}`}::text] 
      and (${tenant}::text is null or tenant = ${tenant} or ${tenant} = any(crossings))
      and (${issuedBefore}::bigint is null or subject_issued_at is null or subject_issued_at < ${issuedBefore}::bigint)
      and (due_at is null or due_at > now()) and attempts = 0 and expires_at > now()`
}

/** The tokens that are due, of this database. */
export function createDueTokens({ owner }: Pick<Database, 'owner'>): DueTokens {
  return {
    lease: async (limit) =>
      await owner<DueToken[]>`
        update exchanged_tokens
        set attempts = attempts + 1, due_at = now() + make_interval(secs => ${LEASE_SECONDS})
        where id in (
          select id from exchanged_tokens where due_at <= now() and expires_at > now()
          order by due_at limit ${limit} for update skip locked)
        returning id::text, tenant, issuer, sealed, attempts`,
    ended: async (id) => {
      await owner`delete from exchanged_tokens where id = ${id}::text::uuid`
    },
    retry: async (id, seconds) => {
      await owner`
        update exchanged_tokens set due_at = now() + make_interval(secs => ${seconds}) where id = ${id}::text::uuid`
    },
  }
}

/** Removes up to `limit` tokens that are over; gives how many they were. */
export async function removeOverTokens({ owner }: Pick<Database, 'owner'>, limit: number): Promise<number> {
  const removed = await owner`
    delete from exchanged_tokens where id in (
      select id from exchanged_tokens where expires_at < now() limit ${limit})`
  return removed.count
}

function instantOf(seconds: EpochSeconds): string {
  return new Date(seconds * 1000).toISOString()
}
