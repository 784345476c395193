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
  WaitingEvent,
} from '#signals/outgoing.ts'
import { type ReceiverKind, verificationEvent } from '#signals/transmit.ts'
import { createWriter, type Writer } from './audit.ts'
import type { Sql, Transaction } from './connections.ts'
import type { Database } from './database.ts'
import { addToQueue } from './outbox.ts'

/** What receivers do is recorded as theirs. */
const ROUTES = {
  create: 'POST /v1/ssf/stream',
  change: 'PATCH /v1/ssf/stream',
  remove: 'DELETE /v1/ssf/stream',
  status: 'POST /v1/ssf/status',
} as const

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
    settle: async ({ id }, { acknowledged, refused }) => {
      const texts = refused.map(({ token, text }) => ({ token, text }))
      const settled = [...acknowledged.map((token) => ({ token, text: null })), ...texts]
      if (settled.length === 0) return
      await db.owner`
        update signal_outbox o set delivered_at = now(), refused = s.text
        from json_to_recordset(${JSON.stringify(settled)}::text::json) as s(token text, text text)
        where o.receiver = ${id}::text::uuid and o.delivered_at is null and o.token::text = s.token`
    },
    waiting: ({ id, stream }, limit) => waiting(db.sql, id, stream.id, limit),
  }
}

interface ReceiverRow {
  readonly id: string
  readonly tenant: TenantId
  readonly name: string
  readonly kind: ReceiverKind
  readonly audience: string
  readonly private_network: boolean
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
  return row === undefined ? undefined : toReceiver(row)
}

async function create(
  { owner, record }: Writer,
  { id, tenant, name }: Receiver,
  { url, requested, wanted, description }: NewSettings,
  authorization: string | null,
): Promise<OutgoingStream | 'exists'> {
  return await owner.begin(async (transaction) => {
    const [row] = await transaction<ReceiverRow[]>`
      update signal_receivers r set stream = gen_random_uuid(), url = ${url ?? null}, "authorization" = ${authorization},
        status = 'enabled', status_reason = null, description = ${description ?? null}, wanted = ${wanted},
        events_requested = ${jsonOf(requested)}::text::json
      where receiver = ${id}::text::uuid and stream is null returning ${columns(transaction)}`
    const created = row && toReceiver(row).stream
    if (created === undefined) return 'exists'
    await record(transaction, { tenant, target: name, before: null, after: audited(created) })
    return created
  })
}

async function change(
  { owner, record }: Writer,
  { id, tenant, name, stream }: StreamOwner,
  { url, requested, wanted, description }: NewSettings,
  authorization: string | null,
): Promise<OutgoingStream | 'unknown'> {
  return await owner.begin(async (transaction) => {
    const [row] = await transaction<ReceiverRow[]>`
      update signal_receivers r set url = ${url ?? null}, description = ${description ?? null}, wanted = ${wanted},
        "authorization" = coalesce(${authorization}::text, case when url = ${url ?? null} then "authorization" end),
        events_requested = ${jsonOf(requested)}::text::json
      where ${ownedBy(transaction, id, stream)} returning ${columns(transaction)}`
    const changed = row && toReceiver(row).stream
    if (changed === undefined) return 'unknown'
    await setDue(transaction, id)
    await record(transaction, { tenant, target: name, before: audited(stream), after: audited(changed) })
    return changed
  })
}

async function remove(
  { owner, record }: Writer,
  { id, tenant, name, stream }: StreamOwner,
): Promise<'removed' | 'unknown'> {
  return await owner.begin(async (transaction) => {
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
  { id, tenant, name, stream }: StreamOwner,
  status: StreamStatus,
  reason: string | undefined,
): Promise<OutgoingStream | 'unknown'> {
  return await owner.begin(async (transaction) => {
    const [row] = await transaction<ReceiverRow[]>`
      update signal_receivers r set status = ${status}, status_reason = ${reason ?? null}
      where ${ownedBy(transaction, id, stream)} returning ${columns(transaction)}`
    const set = row && toReceiver(row).stream
    if (set === undefined) return 'unknown'
    if (status === 'disabled')
      await transaction`delete from signal_outbox where receiver = ${id}::text::uuid and delivered_at is null`
    else await setDue(transaction, id)
    const before = { stream: stream.id, status: stream.status }
    await record(transaction, { tenant, target: name, before, after: { stream: set.id, status } })
    return set
  })
}

/** What waits is due for pushing now, or never, as the stream says. The row of the receiver is locked by then. */
async function setDue(transaction: Transaction, receiver: string): Promise<void> {
  await transaction`
    update signal_outbox o set attempts = 0,
      next_at = case when r.url is not null and r.status = 'enabled' then now() else 'infinity' end
    from signal_receivers r
    where r.receiver = ${receiver}::text::uuid and o.receiver = r.receiver and o.delivered_at is null`
}

async function verify(
  owner: Sql,
  { id, stream }: StreamOwner,
  state: string | undefined,
  seconds: number,
): Promise<'queued' | number> {
  return await owner.begin(async (transaction) => {
    const asked = await transaction`
      update signal_receivers set verification_at = now()
      where ${ownedBy(transaction, id, stream)}
        and (verification_at is null or verification_at <= now() - make_interval(secs => ${seconds}))`
    if (asked.count > 0) {
      await addToQueue(transaction, verificationEvent(stream.id, state), { receiver: id })
      return 'queued'
    }
    const [row] = await transaction<{ left: number }[]>`
      select ceil(extract(epoch from verification_at - now()) + ${seconds})::integer as left
      from signal_receivers where receiver = ${id}::text::uuid`
    return Math.max(1, row?.left ?? seconds)
  })
}

async function waiting(
  sql: Sql,
  receiver: string,
  stream: string,
  limit: number,
): Promise<readonly WaitingEvent[]> {
  const rows = await sql<(Omit<WaitingEvent, 'issuedAt'> & { readonly issued_at: string })[]>`
    select o.token::text, o.subject, o.events, floor(extract(epoch from o.created_at))::text as issued_at
    from signal_outbox o join signal_receivers r using (receiver)
    where o.receiver = ${receiver}::text::uuid and r.stream = ${stream}::text::uuid and r.url is null
      and r.status = 'enabled' and o.delivered_at is null
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
  return sql`r.receiver::text as id, r.tenant, r.name, r.kind, r.audience, r.private_network, r.stream::text, r.url,
    r.status, r.status_reason, r.description, r.events_requested, r.wanted`
}

function toReceiver({
  private_network: privateNetwork,
  stream,
  url,
  status,
  status_reason: reason,
  description,
  events_requested: requested,
  wanted,
  ...row
}: ReceiverRow): Receiver {
  if (stream === null) return { ...row, privateNetwork, stream: undefined }
  const settings = {
    url: url ?? undefined,
    requested: requested ?? undefined,
    wanted,
    description: description ?? undefined,
  }
  return { ...row, privateNetwork, stream: { id: stream, status, reason: reason ?? undefined, ...settings } }
}

function jsonOf(requested: readonly string[] | undefined): string | null {
  return requested === undefined ? null : JSON.stringify(requested)
}

function audited({ id, url, wanted, status }: OutgoingStream) {
  return { stream: id, url: url ?? null, wanted, status }
}
