import type { RevocationListing } from '#admin/revocation-ports.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import type { Json, JsonObject } from '#model/value.ts'
import type { DueEvent, Outbox } from '#signals/deliver.ts'
import { caepEvent, type OutgoingEvent, webhookEvent } from '#signals/transmit.ts'
import type { Transaction } from './connections.ts'
import type { Database } from './database.ts'

const LEASE_SECONDS = 30
/** After so many an event is given up; with pauses of up to an hour each, about a day. */
export const ATTEMPTS_MAX = 34

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
  await insert(transaction, tenant, 'webhook', webhookEvent({ kind, id }, version))
  if (caep !== undefined) await insert(transaction, tenant, 'caep', caep)
}

async function insert(
  transaction: Transaction,
  tenant: string | null,
  kind: 'caep' | 'webhook',
  { subject, events }: OutgoingEvent,
): Promise<void> {
  await transaction`
    insert into signal_outbox (receiver, subject, events)
    select receiver, ${JSON.stringify(subject)}::text::json, ${JSON.stringify(events)}::text::json
    from signal_receivers where kind = ${kind} and (${tenant}::text is null or tenant = ${tenant})`
}

interface Leased {
  readonly id: string
  readonly url: string
  readonly audience: string
  readonly private_network: boolean
  readonly token: string
  readonly issued_at: string
  readonly attempts: number
  readonly subject: JsonObject
  readonly events: JsonObject
}

/** The outbox of this database. */
export function createOutbox({ owner }: Database): Outbox {
  return {
    lease: async (limit) => {
      const rows = await owner<Leased[]>`
        update signal_outbox o set attempts = attempts + 1, next_at = now() + make_interval(secs => ${LEASE_SECONDS})
        from signal_receivers r where r.receiver = o.receiver and o.id in (
          select id from signal_outbox where delivered_at is null and next_at <= now() and attempts < ${ATTEMPTS_MAX}
          order by next_at limit ${limit} for update skip locked)
        returning o.id::text, r.url, r.audience, r.private_network, o.token::text, o.attempts, o.subject, o.events,
          floor(extract(epoch from o.created_at))::text as issued_at`
      return rows.map(toDue)
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

function toDue({ id, private_network: privateNetwork, issued_at: issuedAt, ...row }: Leased): DueEvent {
  return { ...row, id: Number(id), privateNetwork, issuedAt: Number(issuedAt) as EpochSeconds }
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
