import type { OpenSealing } from '#admin/sealing.ts'
import { type SignalAdminStore, STANDINGS, type StreamStanding } from '#admin/signal-ports.ts'
import type { TenantId } from '#model/ids.ts'
import type { Questions } from '#signals/check.ts'
import type { CheckQueue } from '#signals/check-due.ts'
import type { SignalEffect } from '#signals/effects.ts'
import type { SignalStream, StreamRecord } from '#signals/stream.ts'
import type { AuditedChange, Writer } from './audit.ts'
import type { Sql, Transaction } from './connections.ts'
import type { Database } from './database.ts'
import { openManagementSecret } from './stream-secrets.ts'

/** Longer than any check takes; a server that died leaves its streams to the others after it. */
const LEASE_SECONDS = 120
/** Open questions of one stream; the oldest make room. */
const QUESTIONS_MAX = 8

/** How a stream `s` is, with its rows `p` of signal_polls and `c` of signal_checks (see `STANDINGS`). */
export function standing(sql: Sql | Transaction) {
  const open = (overdue: boolean) => sql`exists (
    select from signal_verifications v where v.stream = s.stream and (v.due_at <= now()) = ${overdue})`
  return sql`case when s.status = 'disabled' then 'disabled' when s.status <> 'enabled' then 'paused'
    when ${open(true)} then 'unverified' when coalesce(p.fault, c.fault) is not null then 'failing'
    when ${open(false)} then 'waiting' else 'healthy' end`
}

/** How many streams of this installation stand how; every standing is there. */
export async function countStandings({ sql }: Database): Promise<ReadonlyMap<StreamStanding, number>> {
  const rows = await sql<{ standing: StreamStanding; streams: number }[]>`
    select ${standing(sql)} as standing, count(*)::int as streams
    from signal_streams s left join signal_polls p on p.stream = s.stream left join signal_checks c on c.stream = s.stream
    group by 1`
  const found = new Map(rows.map((row) => [row.standing, row.streams]))
  return new Map(STANDINGS.map((each) => [each, found.get(each) ?? 0]))
}

/** A stream that is checked; whoever adds it asks its transmitter first, so servers begin a little later. */
export async function addChecks(transaction: Transaction, stream: string): Promise<void> {
  await transaction`
    insert into signal_checks (stream, next_at)
    values (${stream}::text::uuid, now() + make_interval(secs => ${LEASE_SECONDS}))`
}

/** The managed streams of this database. INVARIANT: a lease is one statement, so no two servers get a stream. */
export function createCheckQueue({ owner }: Database): CheckQueue {
  return {
    lease: async (limit, { eachMax, except }) => {
      const rows = await owner<LeasedCheck[]>`
        update signal_checks c set next_at = now() + make_interval(secs => ${LEASE_SECONDS})
        from signal_streams s where s.stream = c.stream and c.stream in (
          select stream from signal_checks where next_at <= now() and stream in (
            select stream from (
              select d.stream, row_number() over (partition by t.tenant order by d.next_at, d.stream) as place
              from signal_checks d join signal_streams t on t.stream = d.stream
              where d.next_at <= now()
                and t.tenant not in (select json_array_elements_text(${JSON.stringify(except)}::text::json))
            ) ranked where place <= ${eachMax})
          order by next_at limit ${limit} for update skip locked)
        returning s.stream::text as id, s.tenant, s.name, c.failures, s.record,
          exists (select from signal_verifications v where v.stream = s.stream and v.due_at <= now()) as overdue`
      return rows.flatMap(({ record, ...row }) => {
        const managed = managedOf(row.id, record)
        return managed === undefined ? [] : [{ ...row, ...managed }]
      })
    },
    done: async (stream, { fault, seconds }) => {
      await owner`
        update signal_checks set next_at = now() + make_interval(secs => ${seconds}), fault = ${fault ?? null},
          failures = case when ${fault === undefined} then 0 else failures + 1 end,
          checked_at = case when ${fault === undefined} then now() else checked_at end
        where stream = ${stream}::text::uuid`
    },
  }
}

interface LeasedCheck {
  readonly id: string
  readonly tenant: TenantId
  readonly name: string
  readonly failures: number
  readonly overdue: boolean
  readonly record: StreamRecord
}

function managedOf(id: string, { issuer, management }: StreamRecord) {
  if (management === undefined) return undefined
  return { id, issuer: issuer.issuer, privateNetwork: issuer.privateNetwork === true, management }
}

/** What transmitters were asked and what they said. */
export function createQuestions({ owner }: Database): Questions {
  return {
    asked: async (stream, state, seconds) => {
      await owner.begin(async (transaction) => {
        await transaction`
          insert into signal_verifications (stream, state, due_at)
          values (${stream}::text::uuid, ${state}, now() + make_interval(secs => ${seconds}))`
        await transaction`
          delete from signal_verifications where stream = ${stream}::text::uuid and state not in (
            select state from signal_verifications where stream = ${stream}::text::uuid
            order by asked_at desc, state limit ${QUESTIONS_MAX})`
      })
    },
    withdrawn: async (stream, state) => {
      await owner`
        delete from signal_verifications where stream = ${stream}::text::uuid and state = ${state}`
    },
    told: async (stream, { status }) => {
      await owner`
        update signal_streams set status = ${status} where stream = ${stream}::text::uuid and status <> ${status}`
    },
  }
}

/**
 * Whether the verification events among `effects` are what this stream was asked for; then these questions and older ones are
 * answered. One without a state is sent unasked, and the states of a stream that Warder does not manage are not known.
 */
export async function wasAskedFor(
  transaction: Transaction,
  { id, management }: SignalStream,
  effects: readonly SignalEffect[],
): Promise<boolean> {
  if (management === undefined) return true
  for (const effect of effects) {
    if (effect.do !== 'verified' || effect.state === undefined) continue
    const answered = await transaction`
      delete from signal_verifications where stream = ${id}::text::uuid and asked_at <= (
        select asked_at from signal_verifications where stream = ${id}::text::uuid and state = ${effect.state})`
    if (answered.count === 0) return false
  }
  return true
}

/** A stream of a tenant as it is managed, its secret in the clear. */
export async function findManaged(
  { sql }: Database,
  { tenant, name }: { readonly tenant: TenantId; readonly name: string },
  sealing: OpenSealing | undefined,
): ReturnType<SignalAdminStore['findManaged']> {
  const [row] = await sql<{ id: string; record: StreamRecord }[]>`
    select stream::text as id, record from signal_streams where tenant = ${tenant} and name = ${name}`
  if (row === undefined) return 'unknown'
  const managed = managedOf(row.id, row.record)
  if (managed === undefined) return 'unmanaged'
  const { management } = managed
  const secret = sealing === undefined ? undefined : await openManagementSecret(sealing)(tenant, managed)
  return secret === undefined ? 'sealed' : { ...managed, management: { ...management, secret } }
}

/** Records what is about to be changed at a transmitter, or was. */
export async function recordManaged({ owner, record }: Writer, change: AuditedChange): Promise<void> {
  await owner.begin(async (transaction) => await record(transaction, change))
}
