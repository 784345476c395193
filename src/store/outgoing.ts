import type { OpenSealing } from '#admin/sealing.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { OpenAuthorization } from '#signals/deliver.ts'
import type {
  NewSettings,
  OutgoingStream,
  OutgoingStreams,
  Receiver,
  StreamOwner,
  StreamStatus,
  Unchanged,
  WaitingEvent,
} from '#signals/outgoing.ts'
import { type ReceiverKind, verificationEvent } from '#signals/transmit.ts'
import { createWriter, type Writer } from './audit.ts'
import type { Sql, Transaction } from './connections.ts'
import type { Database } from './database.ts'
import { addToQueue } from './outbox.ts'
import { hold, holdForChange, keyOf, spent } from './receiver-hold.ts'

/** What receivers do is recorded as theirs. */
const ROUTES = {
  create: 'POST /v1/ssf/stream',
  change: 'PATCH /v1/ssf/stream',
  remove: 'DELETE /v1/ssf/stream',
  status: 'POST /v1/ssf/status',
} as const

/** Events that are tried anew when their receiver moves. */
const RETRIED_MAX = 1_000

/** What the header of pushes is sealed for. INVARIANT: the URL is part of it, so that it is shown to no other one. */
const pushSealedFor = (url: string): string => `signal push ${JSON.stringify([url])}`

/** Opens what `createOutgoingStreams` has sealed. */
export function openPushAuthorization(sealing: OpenSealing): OpenAuthorization {
  return async (tenant, url, sealed) => (await sealing()).openToken(tenant, pushSealedFor(url), sealed)
}

/** Streams of receivers in this database. */
export function createOutgoingStreams(db: Database, sealing: OpenSealing): OutgoingStreams {
  const writerOf = ({ name }: Receiver, step: keyof typeof ROUTES): Writer =>
    createWriter(db.owner, { actor: `receiver:${name}`, role: 'receiver', route: ROUTES[step] })
  const sealed = async (tenant: TenantId, { url, authorization }: NewSettings) =>
    url === undefined || authorization === undefined
      ? null
      : (await sealing()).sealToken(tenant, pushSealedFor(url), authorization)
  return {
    find: (keyHash) => find(db.sql, keyHash),
    create: async (receiver, settings) =>
      await create(writerOf(receiver, 'create'), receiver, settings, await sealed(receiver.tenant, settings)),
    change: async (owner, settings) =>
      await change(writerOf(owner, 'change'), owner, settings, await sealed(owner.tenant, settings)),
    remove: (owner) => remove(writerOf(owner, 'remove'), owner),
    setStatus: (owner, status, reason) => setStatus(writerOf(owner, 'status'), owner, status, reason),
    verify: (owner, state, seconds) => verify(db.owner, owner, state, seconds),
    settle: async ({ id, keyHash }, { acknowledged, refused }) => {
      const texts = refused.map(({ token, text }) => ({ token, text }))
      const settled = [...acknowledged.map((token) => ({ token, text: null })), ...texts]
      if (settled.length === 0) return
      await db.owner`
        update signal_outbox o set delivered_at = now(), refused = s.text
        from json_to_recordset(${JSON.stringify(settled)}::text::json) as s(token text, text text)
        where o.receiver = ${id}::text::uuid and o.delivered_at is null and o.token::text = s.token
          and exists (${keyOf(db.owner, { id, keyHash })})`
    },
    waiting: (owner, limit) => waiting(db.sql, owner, limit),
  }
}

interface ReceiverRow {
  readonly id: string
  readonly tenant: TenantId
  readonly name: string
  readonly kind: ReceiverKind
  readonly audience: string
  readonly private_network: boolean
  readonly origin: string | null
  readonly stream: string | null
  readonly url: string | null
  readonly status: StreamStatus
  readonly status_reason: string | null
  readonly description: string | null
  readonly events_requested: readonly string[] | null
  readonly wanted: boolean
}

async function find(sql: Sql, keyHash: string): Promise<Receiver | undefined> {
  const [row] = await sql<ReceiverRow[]>`
    select ${columns(sql)} from signal_receiver_keys k join signal_receivers r using (receiver)
    where k.hash = ${keyHash} and (k.ends_at is null or k.ends_at > now())`
  return row === undefined ? undefined : { ...toReceiver(row), keyHash }
}

async function create(
  { owner, record }: Writer,
  receiver: Receiver,
  { url, requested, wanted, description }: NewSettings,
  authorization: string | null,
): Promise<OutgoingStream | 'exists' | Unchanged> {
  const { id, tenant, name } = receiver
  return await owner.begin(async (transaction) => {
    const held = await holdForChange(transaction, receiver)
    if (held !== 'held') return held
    const [row] = await transaction<ReceiverRow[]>`
      update signal_receivers r set stream = gen_random_uuid(), url = ${url ?? null}, "authorization" = ${authorization},
        status = 'enabled', status_reason = null, description = ${description ?? null}, wanted = ${wanted},
        events_requested = ${jsonOf(requested)}::text::json, changes_until = ${spent(transaction)}
      where receiver = ${id}::text::uuid and stream is null returning ${columns(transaction)}`
    const created = row && toReceiver(row).stream
    if (created === undefined) return 'exists'
    await record(transaction, { tenant, target: name, before: null, after: audited(created) })
    return created
  })
}

async function change(
  { owner, record }: Writer,
  streamOwner: StreamOwner,
  { url, requested, wanted, description }: NewSettings,
  authorization: string | null,
): Promise<OutgoingStream | Unchanged> {
  const { id, tenant, name, stream } = streamOwner
  return await owner.begin(async (transaction) => {
    const held = await holdForChange(transaction, streamOwner)
    if (held !== 'held') return held
    const [row] = await transaction<ReceiverRow[]>`
      update signal_receivers r set url = ${url ?? null}, description = ${description ?? null}, wanted = ${wanted},
        "authorization" = coalesce(${authorization}::text, case when url = ${url ?? null} then "authorization" end),
        events_requested = ${jsonOf(requested)}::text::json, changes_until = ${spent(transaction)}
      where ${ownedBy(transaction, id, stream)} returning ${columns(transaction)}`
    const changed = row && toReceiver(row).stream
    if (changed === undefined) return 'unknown'
    if (changed.url !== stream.url) await retrySoon(transaction, id)
    await record(transaction, { tenant, target: name, before: audited(stream), after: audited(changed) })
    return changed
  })
}

async function remove({ owner, record }: Writer, streamOwner: StreamOwner): Promise<'removed' | Unchanged> {
  const { id, tenant, name, stream } = streamOwner
  return await owner.begin(async (transaction) => {
    if (!(await hold(transaction, streamOwner))) return 'unauthenticated'
    const removed = await transaction`
      update signal_receivers set stream = null, url = null, "authorization" = null, description = null,
        events_requested = null, wanted = true, verification_at = null
      where ${ownedBy(transaction, id, stream)}`
    if (removed.count === 0) return 'unknown'
    await transaction`delete from signal_outbox where receiver = ${id}::text::uuid and delivered_at is null`
    await record(transaction, { tenant, target: name, before: audited(stream), after: null })
    return 'removed'
  })
}

async function setStatus(
  { owner, record }: Writer,
  streamOwner: StreamOwner,
  status: StreamStatus,
  reason: string | undefined,
): Promise<OutgoingStream | Unchanged> {
  const { id, tenant, name, stream } = streamOwner
  return await owner.begin(async (transaction) => {
    const held = await holdForChange(transaction, streamOwner)
    if (held !== 'held') return held
    const [row] = await transaction<ReceiverRow[]>`
      update signal_receivers r set status = ${status}, status_reason = ${reason ?? null},
        changes_until = ${spent(transaction)}
      where ${ownedBy(transaction, id, stream)} returning ${columns(transaction)}`
    const set = row && toReceiver(row).stream
    if (set === undefined) return 'unknown'
    if (status === 'disabled')
      await transaction`delete from signal_outbox where receiver = ${id}::text::uuid and delivered_at is null`
    const before = { stream: stream.id, status: stream.status }
    await record(transaction, { tenant, target: name, before, after: { stream: set.id, status } })
    return set
  })
}

/**
 * What failed at another URL is tried again at once, so much of it.
 *
 * INVARIANT: beside that nothing that a receiver changes touches its queue, which may be long, because revocations wait for the
 * lock that is held here.
 */
async function retrySoon(transaction: Transaction, receiver: string): Promise<void> {
  await transaction`
    update signal_outbox set attempts = 0, next_at = now() where id in (
      select id from signal_outbox
      where receiver = ${receiver}::text::uuid and delivered_at is null and attempts > 0 and next_at > now()
      order by next_at limit ${RETRIED_MAX} for update skip locked)`
}

async function verify(
  owner: Sql,
  streamOwner: StreamOwner,
  state: string | undefined,
  seconds: number,
): Promise<'queued' | Unchanged> {
  const { id, stream } = streamOwner
  return await owner.begin(async (transaction) => {
    const left = await untilVerification(transaction, id, seconds)
    if (left !== undefined) return left
    if (!(await hold(transaction, streamOwner))) return 'unauthenticated'
    const asked = await transaction`
      update signal_receivers set verification_at = now()
      where ${ownedBy(transaction, id, stream)}
        and (verification_at is null or verification_at <= now() - make_interval(secs => ${seconds}))`
    if (asked.count === 0) return (await untilVerification(transaction, id, seconds)) ?? 'unknown'
    await addToQueue(transaction, verificationEvent(stream.id, state), { receiver: id })
    return 'queued'
  })
}

/** Undefined: it may be asked for now. */
async function untilVerification(
  sql: Transaction,
  receiver: string,
  seconds: number,
): Promise<number | undefined> {
  const [row] = await sql<{ left: number }[]>`
    select greatest(1, ceil(extract(epoch from verification_at - now()) + ${seconds}))::integer as left
    from signal_receivers
    where receiver = ${receiver}::text::uuid and verification_at > now() - make_interval(secs => ${seconds})`
  return row?.left
}

async function waiting(
  sql: Sql,
  { id, keyHash, stream }: StreamOwner,
  limit: number,
): Promise<readonly WaitingEvent[]> {
  const rows = await sql<(Omit<WaitingEvent, 'issuedAt'> & { readonly issued_at: string })[]>`
    select o.token::text, o.subject, o.events, floor(extract(epoch from o.created_at))::text as issued_at
    from signal_outbox o join signal_receivers r using (receiver)
    where o.receiver = ${id}::text::uuid and r.stream = ${stream.id}::text::uuid and r.url is null
      and r.status = 'enabled' and o.delivered_at is null and exists (${keyOf(sql, { id, keyHash })})
    order by o.id limit ${limit}`
  return rows.map(({ issued_at: issuedAt, ...row }) => ({
    ...row,
    issuedAt: Number(issuedAt) as EpochSeconds,
  }))
}

function ownedBy(sql: Transaction, receiver: string, { id }: Pick<OutgoingStream, 'id'>) {
  return sql`receiver = ${receiver}::text::uuid and stream = ${id}::text::uuid`
}

function columns(sql: Sql | Transaction) {
  return sql`r.receiver::text as id, r.tenant, r.name, r.kind, r.audience, r.private_network, r.origin, r.stream::text, r.url,
    r.status, r.status_reason, r.description, r.events_requested, r.wanted`
}

function toReceiver({
  private_network: privateNetwork,
  origin,
  stream,
  url,
  status,
  status_reason: reason,
  description,
  events_requested: requested,
  wanted,
  ...row
}: ReceiverRow): Omit<Receiver, 'keyHash'> {
  const about = { ...row, privateNetwork, origin: origin ?? undefined }
  if (stream === null) return { ...about, stream: undefined }
  const settings = {
    url: url ?? undefined,
    requested: requested ?? undefined,
    wanted,
    description: description ?? undefined,
  }
  return { ...about, stream: { id: stream, status, reason: reason ?? undefined, ...settings } }
}

function jsonOf(requested: readonly string[] | undefined): string | null {
  return requested === undefined ? null : JSON.stringify(requested)
}

function audited({ id, url, wanted, status }: OutgoingStream) {
  return { stream: id, url: url ?? null, wanted, status }
}
