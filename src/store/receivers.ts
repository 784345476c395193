import type { Page } from '#admin/ports.ts'
import type { NewReceiver, ReceiverListing, ReceiverStore } from '#admin/receiver-ports.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { Writer } from './audit.ts'
import type { Sql, Transaction } from './connections.ts'
import { ATTEMPTS_MAX } from './outbox.ts'
import { instantText, limitOf } from './rows.ts'

/** Registers a receiver of a tenant's revocations. */
export async function addReceiver(
  { owner, record }: Writer,
  tenant: TenantId,
  { name, url, kind, audience, privateNetwork, origin, key }: NewReceiver,
): ReturnType<ReceiverStore['addReceiver']> {
  return await owner.begin(async (transaction) => {
    const known = await transaction`select from tenants where tenant = ${tenant}`
    if (known.length === 0) return 'tenant_unknown'
    const [added] = await transaction<{ receiver: string }[]>`
      insert into signal_receivers (tenant, name, url, kind, audience, private_network, origin, stream)
      values (${tenant}, ${name}, ${url ?? null}, ${kind}, ${audience}, ${privateNetwork}, ${origin ?? null},
        case when ${url !== undefined} then gen_random_uuid() end)
      on conflict (tenant, name) do nothing returning receiver::text`
    if (added === undefined) return 'exists'
    if (key !== undefined) await insertKey(transaction, added.receiver, key)
    const after = {
      url: url ?? null,
      kind,
      audience,
      private_network: privateNetwork,
      begins: key?.hint ?? null,
    }
    await record(transaction, { tenant, target: name, before: null, after })
    return 'added'
  })
}

/** Ends a receiver, with its credentials, its stream and what waits for it. */
export async function removeReceiver(
  { owner, record }: Writer,
  tenant: TenantId,
  name: string,
): Promise<'removed' | 'unknown'> {
  return await owner.begin(async (transaction) => {
    const [removed] = await transaction<{ url: string | null }[]>`
      delete from signal_receivers where tenant = ${tenant} and name = ${name} returning url`
    if (removed === undefined) return 'unknown'
    await record(transaction, { tenant, target: name, before: { url: removed.url }, after: null })
    return 'removed'
  })
}

/**
 * Makes a further credential; those before end at `until`, or when they would have.
 *
 * INVARIANT: who may not open a private network gets no credential of a receiver that events reach there.
 */
export async function rotateReceiver(
  { owner, record }: Writer,
  tenant: TenantId,
  name: string,
  key: { readonly hash: string; readonly hint: string },
  until: EpochMilliseconds,
  mayOpenPrivate: boolean,
): Promise<'rotated' | 'private' | 'unknown'> {
  return await owner.begin(async (transaction) => {
    const receiver = await lock(transaction, tenant, name)
    if (receiver === undefined) return 'unknown'
    const [open] = await transaction`
      select from signal_receivers where receiver = ${receiver}::text::uuid and private_network`
    if (open !== undefined && !mayOpenPrivate) return 'private'
    const ends = new Date(until).toISOString()
    await transaction`
      delete from signal_receiver_keys where receiver = ${receiver}::text::uuid and ends_at <= now()`
    await transaction`
      update signal_receiver_keys set ends_at = least(ends_at, ${ends}::text::timestamptz)
      where receiver = ${receiver}::text::uuid`
    await insertKey(transaction, receiver, key)
    await record(transaction, { tenant, target: name, before: null, after: { begins: key.hint, ends } })
    return 'rotated'
  })
}

/**
 * Ends every credential of a receiver.
 *
 * INVARIANT: its stream is disabled too, because whoever had the credential may have chosen where events are pushed to; and of
 * a stream that somebody had a credential for, nothing is left for the next one to enable.
 */
export async function revokeReceiver(
  { owner, record }: Writer,
  tenant: TenantId,
  name: string,
): Promise<'revoked' | 'unknown'> {
  return await owner.begin(async (transaction) => {
    const receiver = await lock(transaction, tenant, name)
    if (receiver === undefined) return 'unknown'
    const ended = await transaction`
      delete from signal_receiver_keys where receiver = ${receiver}::text::uuid returning hint`
    await transaction`
      update signal_receivers set status = 'disabled', status_reason = 'the credential was revoked'
      where receiver = ${receiver}::text::uuid`
    if (ended.count > 0)
      await transaction`
        update signal_receivers set stream = null, url = null, "authorization" = null, description = null,
          events_requested = null, wanted = true, verification_at = null
        where receiver = ${receiver}::text::uuid`
    await transaction`delete from signal_outbox where receiver = ${receiver}::text::uuid and delivered_at is null`
    const before = { credentials: ended.count }
    await record(transaction, { tenant, target: name, before, after: { credentials: 0, status: 'disabled' } })
    return 'revoked'
  })
}

/** Receivers of a tenant by name, with what waits for them; of one name only that one. */
export async function listReceivers(
  sql: Sql,
  tenant: TenantId,
  page: Page,
  name?: string,
): Promise<readonly ReceiverListing[]> {
  const only = name === undefined ? sql`` : sql`and name = ${name}`
  const rows = await sql<(Omit<ReceiverListing, Counted> & { readonly [count in Counted]: string })[]>`
    select tenant, name, kind, stream::text, audience, status, status_reason, description, events_requested, url,
      case when stream is not null then case when url is null then 'poll' else 'push' end end as delivery,
      ${instantText(sql, 'created_at')} as created_at, ${instantText(sql, 'verification_at')} as verification_at,
      array_to_json(array(
        select hint from signal_receiver_keys k
        where k.receiver = r.receiver and (ends_at is null or ends_at > now()) order by k.created_at)) as key_hints,
      w.waiting::text, ${instantText(sql, 'w.oldest')} as oldest_waiting_at, f.refused::text, f.last_refusal,
      dropped::text
    from signal_receivers r
    cross join lateral (
      select count(*) as waiting, min(created_at) as oldest from signal_outbox o
      where o.receiver = r.receiver and delivered_at is null and attempts < ${ATTEMPTS_MAX}) w
    cross join lateral (
      select count(*) as refused, (array_agg(o.refused order by id desc))[1] as last_refusal from signal_outbox o
      where o.receiver = r.receiver and o.refused is not null) f
    where tenant = ${tenant} and name > ${page.after ?? ''} ${only} order by name limit ${limitOf(page)}`
  return rows.map((row) => ({
    ...row,
    waiting: Number(row.waiting),
    refused: Number(row.refused),
    dropped: Number(row.dropped),
  }))
}

type Counted = 'waiting' | 'refused' | 'dropped'

async function lock(transaction: Transaction, tenant: TenantId, name: string): Promise<string | undefined> {
  const [row] = await transaction<{ receiver: string }[]>`
    select receiver::text from signal_receivers where tenant = ${tenant} and name = ${name} for no key update`
  return row?.receiver
}

async function insertKey(
  transaction: Transaction,
  receiver: string,
  { hash, hint }: { readonly hash: string; readonly hint: string },
): Promise<void> {
  await transaction`
    insert into signal_receiver_keys (hash, receiver, hint) values (${hash}, ${receiver}::text::uuid, ${hint})`
}
