import type { DueToken, DueTokens } from '#identity/end-tokens.ts'
import type { KeptToken } from '#identity/token-exchange.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { Dependency } from '#model/revocation.ts'
import type { Transaction } from './connections.ts'
import type { Database } from './database.ts'

/** A token to be stored; its text is sealed. */
export interface SealedToken extends Omit<KeptToken, 'token'> {
  readonly sealed: string
}

/** Who revokes and who stores a token wait for each other, so that each of them sees what the other one did. */
const EXCHANGE_LOCK = 7_238_006
const LEASE_SECONDS = 30
/** Longer than an exchange takes that began before the withdrawal. */
const WITHDRAWN_SECONDS = 60
/** What a token hangs on once an entity of the type is suspended or retired, without the id. */
const KEYS: { readonly [type: string]: string } = {
  'Warder::Agent': 'agent ',
  'Warder::User': 'subject |',
  'Warder::Blueprint': 'blueprint ',
}

/**
 * Stores a token. One that hangs on something revoked or suspended, or on a federation just withdrawn, is due at once.
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
  const entities = JSON.stringify(dependencies.flatMap(entitiesOf))
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
        or exists (
          select from entities e
          where e.version_to is null and e.attrs ->> 'status' <> 'active' and (e.type, e.id) in (
              select each ->> 0, each ->> 1 from json_array_elements(${entities}::text::json) each)
            and (e.tenant = ${tenant} or e.type = 'Warder::Agent'
              and e.tenant in (select json_array_elements_text(${homes}::text::json))))
        or exists (
          select from federations f
          where f.home = ${tenant} and f.foreign_tenant in (select json_array_elements_text(${homes}::text::json))
            and f.withdrawn_at > now() - make_interval(secs => ${WITHDRAWN_SECONDS}))
        then now() else ${due}::text::timestamptz end`
  })
}

/** Makes every token due that hangs on an entity that is not active; part of the transaction that writes them. */
export async function endTokensOfStopped(
  transaction: Transaction,
  tenant: TenantId,
  entities: readonly Pick<StoredEntity, 'uid' | 'attrs'>[],
): Promise<void> {
  const keys = entities.flatMap(({ uid, attrs }) => {
    const key = KEYS[uid.type]
    return key === undefined || (attrs['status'] ?? 'active') === 'active' ? [] : [key + uid.id]
  })
  if (keys.length === 0) return
  await transaction`select pg_advisory_xact_lock(${EXCHANGE_LOCK}::bigint)`
  await transaction`
    update exchanged_tokens t set due_at = now()
    from json_array_elements_text(${JSON.stringify(keys)}::text::json) key
    where t.dependencies @> array[key] and (t.tenant = ${tenant} or key like 'agent %' and ${tenant} = any(t.crossings))
      and (t.due_at is null or t.due_at > now()) and t.attempts = 0 and t.expires_at > now()`
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

/** The entities that a dependency may name, each as its type and id. */
export function entitiesOf({ kind, id }: Dependency): [string, string][] {
  const key = `${kind} ${id}`
  return Object.entries(KEYS).flatMap(([type, prefix]) =>
    key.startsWith(prefix) ? [[type, key.slice(prefix.length)] as [string, string]] : [],
  )
}

function instantOf(seconds: EpochSeconds): string {
  return new Date(seconds * 1000).toISOString()
}
