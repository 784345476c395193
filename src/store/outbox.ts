import type { RevocationListing } from '#admin/revocation-ports.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { Json, JsonObject } from '#model/value.ts'
import type { DueEvent, Outbox, QueueFigures } from '#signals/deliver.ts'
import { caepEvent, type OutgoingEvent, type ReceiverKind, webhookEvent } from '#signals/transmit.ts'
import type { Sql, Transaction } from './connections.ts'
import type { Database } from './database.ts'

const LEASE_SECONDS = 30
/** After so many an event is given up; with pauses of up to an hour each, about a day. */
export const ATTEMPTS_MAX = 34
/** Events that may wait for one receiver; then the oldest makes room. */
export const QUEUE_MAX = 10_000

/**
 * Puts what receivers are to be told beside the revocation, in its transaction: neither is lost without the other. What came
 * as a signal is not sent on to other systems, or two that tell each other would never end.
 */
export async function enqueue(
  transaction: Transaction,
  {
    tenant,
    kind,
    id,
    source,
    version,
  }: Pick<RevocationListing, 'tenant' | 'kind' | 'id' | 'source' | 'version'>,
): Promise<void> {
  const now = Math.floor(Date.now() / 1000) as EpochSeconds
  const caep = source === 'signal' ? undefined : caepEvent({ kind, id }, now)
  await addToQueue(transaction, webhookEvent({ kind, id }, version), { kind: 'webhook', tenant })
  if (caep !== undefined) await addToQueue(transaction, caep, { kind: 'caep', tenant })
}

/** Who is told: one receiver about its own stream, or all of a kind (`tenant` null: of every tenant) that want to know. */
export type Audience =
  | { readonly receiver: string }
  | { readonly kind: ReceiverKind; readonly tenant: string | null }

/**
 * Queues an event.
 *
 * INVARIANT: the rows of the receivers are locked, so that a stream that is paused, enabled or moved meanwhile finds the event; and
 * no queue grows beyond its bound: what had to make room is counted.
 */
export async function addToQueue(
  transaction: Transaction,
  { subject, events }: OutgoingEvent,
  audience: Audience,
): Promise<void> {
  const told =
    'receiver' in audience
      ? transaction`receiver = ${audience.receiver}::text::uuid`
      : transaction`kind = ${audience.kind} and wanted and (${audience.tenant}::text is null or tenant = ${audience.tenant})`
  const added = await transaction<{ receiver: string }[]>`
    insert into signal_outbox (receiver, subject, events)
    select receiver, ${JSON.stringify(subject)}::text::json, ${JSON.stringify(events)}::text::json
    from signal_receivers where ${told} and stream is not null and status <> 'disabled'
    order by receiver for no key update
    returning receiver::text`
  if (added.length === 0) return
  await transaction`
    with dropped as (
      delete from signal_outbox where id in (
        select o.id
        from json_array_elements_text(${JSON.stringify(added.map(({ receiver }) => receiver))}::text::json) as r(receiver)
        cross join lateral (
          select id from signal_outbox
          where receiver = r.receiver::uuid and delivered_at is null order by id desc offset ${QUEUE_MAX}) o)
      returning receiver)
    update signal_receivers r set dropped = r.dropped + d.count
    from (select receiver, count(*) from dropped group by receiver) d where d.receiver = r.receiver`
}

interface Leased {
  readonly receiver: string
  readonly id: string
  readonly tenant: TenantId
  readonly url: string
  readonly authorization: string | null
  readonly audience: string
  readonly private_network: boolean
  readonly token: string
  readonly issued_at: string
  readonly attempts: number
  readonly subject: JsonObject
  readonly events: JsonObject
}

/** The outbox of this database. What is fetched, and what a paused stream holds, is never leased. */
export function createOutbox({ owner }: Database): Outbox {
  return {
    lease: async (limit, { receivers, tenants }) => {
      const rows = await owner<Leased[]>`
        with heads as materialized (
          select d.receiver from (
            select r.receiver, h.next_at, row_number() over (partition by r.tenant order by h.next_at) as turn
            from signal_receivers r cross join lateral (${due(owner, 'r')}) h
            where r.url is not null and r.status = 'enabled'
              and r.receiver::text not in (${listed(owner, receivers)}) and r.tenant not in (${listed(owner, tenants)})) d
          order by d.turn, d.next_at limit ${limit}),
        leased as materialized (
          select o.id from heads cross join lateral (${due(owner, 'heads')} for update skip locked) o)
        ${take(owner)}`
      return rows.map(toDue)
    },
    next: async (receiver) => {
      const rows = await owner<Leased[]>`
        with heads as (
          select receiver from signal_receivers
          where receiver = ${receiver}::text::uuid and url is not null and status = 'enabled'),
        leased as materialized (
          select o.id from heads cross join lateral (${due(owner, 'heads')} for update skip locked) o)
        ${take(owner)}`
      return rows.map(toDue).at(0)
    },
    delivered: async (id) => {
      await owner`update signal_outbox set delivered_at = now() where id = ${id}`
    },
    retry: async (id, seconds) => {
      await owner`
        update signal_outbox set next_at = now() + make_interval(secs => ${seconds}) where id = ${id}`
    },
  }
}

/** The event of a receiver that has been due for longest. */
function due(sql: Sql, receivers: 'r' | 'heads') {
  return sql`
    select id, next_at from signal_outbox
    where receiver = ${sql(receivers)}.receiver and delivered_at is null and next_at <= now() and attempts < ${ATTEMPTS_MAX}
    order by next_at, id limit 1`
}

function listed(sql: Sql, texts: readonly string[]) {
  return sql`select json_array_elements_text(${JSON.stringify(texts)}::text::json)`
}

/** Of what `leased` names. */
function take(sql: Sql) {
  return sql`
    update signal_outbox o set attempts = attempts + 1, next_at = now() + make_interval(secs => ${LEASE_SECONDS})
    from signal_receivers r where r.receiver = o.receiver and o.id in (select id from leased)
    returning o.id::text, r.receiver::text, r.tenant, r.url, r.authorization, r.audience, r.private_network, o.token::text,
      o.attempts, o.subject, o.events, floor(extract(epoch from o.created_at))::text as issued_at`
}

function toDue({
  id,
  private_network: privateNetwork,
  issued_at: issuedAt,
  authorization,
  ...row
}: Leased): DueEvent {
  return {
    ...row,
    id: Number(id),
    authorization: authorization ?? undefined,
    privateNetwork,
    issuedAt: Number(issuedAt) as EpochSeconds,
  }
}

/** How many events wait for all receivers together, and how many ever found no room. */
export async function queueFigures({ sql }: Database): Promise<QueueFigures> {
  const [row] = await sql<{ waiting: string; dropped: string }[]>`
    select (select count(*) from signal_outbox where delivered_at is null and attempts < ${ATTEMPTS_MAX})::text as waiting,
      (select coalesce(sum(dropped), 0) from signal_receivers)::text as dropped`
  return { waiting: Number(row?.waiting ?? 0), dropped: Number(row?.dropped ?? 0) }
}

/** Publishes the public half of a key that a server signs with. */
export async function publishKey({ owner }: Database, kid: string, jwk: JsonObject): Promise<void> {
  await owner`
    insert into signal_keys (kid, jwk) values (${kid}, ${JSON.stringify(jwk)}::text::json) on conflict do nothing`
}

/** The key set of this installation. */
export async function publishedKeys({ sql }: Database): Promise<{ readonly keys: readonly Json[] }> {
  const rows = await sql<{ jwk: Json }[]>`select jwk from signal_keys order by created_at desc limit 100`
  return { keys: rows.map(({ jwk }) => jwk) }
}
