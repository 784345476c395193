import { randomUUID } from 'node:crypto'
import type { AuditActor } from '#admin/audit.ts'
import type { Page } from '#admin/ports.ts'
import type { OpenSealing } from '#admin/sealing.ts'
import type { SignalAdminStore, StreamListing } from '#admin/signal-ports.ts'
import type { SecurityEvent } from '#identity/set.ts'
import type { TenantId } from '#model/ids.ts'
import type { Dependency } from '#model/revocation.ts'
import type { SignalEffect } from '#signals/effects.ts'
import type { FoundStream, SignalStore } from '#signals/receive.ts'
import type { SignalStream, StreamRecord } from '#signals/stream.ts'
import { createWriter, type Writer } from './audit.ts'
import { changeTenant } from './changes.ts'
import type { Transaction } from './connections.ts'
import type { Database } from './database.ts'
import {
  addChecks,
  createCheckQueue,
  createQuestions,
  findManaged,
  recordManaged,
  standing,
  wasAskedFor,
} from './managed-streams.ts'
import { insertRevocation } from './revocations.ts'
import { instantText, limitOf } from './rows.ts'
import { sealRecord } from './stream-secrets.ts'

/**
 * Streams for administrators; changes are recorded as done by `actor`.
 *
 * @param sealing for streams with a secret; without it they can't be stored
 */
export function createSignalAdminStore(
  db: Database,
  actor: AuditActor,
  sealing?: OpenSealing,
): SignalAdminStore {
  const writer = createWriter(db.owner, actor)
  return {
    addStream: async (tenant, name, given, authorizationHash, stream) => {
      const record = await sealRecord(tenant, given, sealing)
      return await addStream(writer, { tenant, name, record, authorizationHash, stream })
    },
    removeStream: (tenant, name, reason) => removeStream(writer, { tenant, name, reason }),
    findManaged: (tenant, name) => findManaged(db, { tenant, name }, sealing),
    recordManaged: (tenant, name, change) => recordManaged(writer, { tenant, target: name, ...change }),
    questions: createQuestions(db),
    checked: createCheckQueue(db).done,
    listStreams: (tenant, page) => listStreams(db, tenant, page),
  }
}

interface NewStream {
  readonly tenant: TenantId
  readonly name: string
  readonly record: StreamRecord
  readonly authorizationHash: string
  /** Its id; undefined: any. */
  readonly stream?: string | undefined
}

async function addStream(
  { owner, record: recordChange }: Writer,
  { tenant, name, record, authorizationHash, stream = randomUUID() }: NewStream,
): ReturnType<SignalAdminStore['addStream']> {
  return await owner.begin(async (transaction) => {
    const known = await transaction`select from tenants where tenant = ${tenant}`
    if (known.length === 0) return 'tenant_unknown'
    const [added] = await transaction<{ stream: string }[]>`
      insert into signal_streams (stream, tenant, name, record, authorization_hash)
      values (${stream}::text::uuid, ${tenant}, ${name}, ${JSON.stringify(record)}::text::json, ${authorizationHash})
      on conflict (tenant, name) do nothing returning stream::text`
    if (added === undefined) return 'exists'
    const { issuer, wide, source, management } = record
    if (source !== undefined)
      await transaction`insert into signal_polls (stream) values (${added.stream}::text::uuid)`
    if (management !== undefined) await addChecks(transaction, added.stream)
    const poll = source === undefined ? {} : { poll: source.url }
    const managed = management === undefined ? {} : { stream_id: management.streamId }
    const after = { stream: added.stream, issuer: issuer.issuer, wide, ...poll, ...managed }
    await recordChange(transaction, { tenant, target: name, before: null, after })
    return added
  })
}

async function removeStream(
  { owner, record }: Writer,
  { tenant, name, reason }: { tenant: TenantId; name: string; reason: string | undefined },
): Promise<'removed' | 'unknown'> {
  return await owner.begin(async (transaction) => {
    const [removed] = await transaction<{ stream: string }[]>`
      delete from signal_streams where tenant = ${tenant} and name = ${name} returning stream::text`
    if (removed === undefined) return 'unknown'
    const after = reason === undefined ? null : { removed: true, reason }
    await record(transaction, { tenant, target: name, before: { stream: removed.stream }, after })
    return 'removed'
  })
}

async function listStreams(
  { sql }: Database,
  tenant: TenantId,
  page: Page,
): Promise<readonly StreamListing[]> {
  return await sql<StreamListing[]>`
    select s.stream::text, tenant, name, record->'issuer'->>'issuer' as issuer, record->'issuer'->'audience' as audience,
      record->'subjectIssuers' as subject_issuers, (record->>'wide')::boolean as wide, status, verified_state,
      ${instantText(sql, 'created_at')} as created_at, ${instantText(sql, 'last_event_at')} as last_event_at,
      ${instantText(sql, 'verified_at')} as verified_at,
      record->'source'->>'url' as poll, ${instantText(sql, 'polled_at')} as polled_at, p.fault as poll_fault,
      ${standing(sql)} as standing, record->'management'->>'streamId' as transmitter_stream,
      ${instantText(sql, 'checked_at')} as checked_at, c.fault as check_fault,
      (select ${instantText(sql, 'due_at')} from signal_verifications v where v.stream = s.stream order by due_at limit 1)
        as verification_due_at
    from signal_streams s left join signal_polls p on p.stream = s.stream left join signal_checks c on c.stream = s.stream
    where tenant = ${tenant} and name > ${page.after ?? ''} order by name limit ${limitOf(page)}`
}

/** Streams for the receiver: what an event does is stored with it, in one transaction. */
export function createSignalStore(db: Database): SignalStore {
  return {
    findStream: async (id) => {
      const [row] = await db.sql<(NewStream & { readonly id: string })[]>`
        select stream::text as id, tenant, name, record, authorization_hash as "authorizationHash"
        from signal_streams where stream = ${id}::text::uuid`
      if (row === undefined) return undefined
      const { record, ...found } = row
      return { ...found, ...record } satisfies FoundStream
    },
    apply: (stream, event, effects) => apply(db, stream, event, effects),
  }
}

async function apply(
  db: Database,
  stream: SignalStream,
  event: SecurityEvent,
  effects: readonly SignalEffect[],
): ReturnType<SignalStore['apply']> {
  const { tenant, name } = stream
  const writer = createWriter(db.owner, { actor: `signal:${name}`, role: 'signal', route: event.type })
  const outcome = await changeTenant(writer, tenant, async (transaction, version, keep) => {
    const stored = await transaction`
      insert into signal_events (tenant, stream, id, event, effects)
      values (${tenant}, ${stream.id}, ${event.id}, ${event.type}, ${JSON.stringify(effects)}::text::json)
      on conflict do nothing`
    if (stored.count === 0) {
      keep()
      return 'known' as const
    }
    if (!(await wasAskedFor(transaction, stream, effects))) {
      keep()
      return 'state_unknown' as const
    }
    await transaction`update signal_streams set last_event_at = now() where stream = ${stream.id}::text::uuid`
    for (const effect of effects) await applyOne(transaction, writer, { stream, event, effect, version })
    return 'applied' as const
  })
  // The tenant of a stream can't go; if it did, nothing was stored, and the transmitter must hear of that.
  if (outcome === 'tenant_unknown') throw new Error('the tenant of the stream is gone')
  return outcome
}

interface Applied {
  readonly stream: SignalStream
  readonly event: SecurityEvent
  readonly effect: SignalEffect
  readonly version: number
}

async function applyOne(
  transaction: Transaction,
  writer: Writer,
  { stream, event, effect, version }: Applied,
): Promise<void> {
  switch (effect.do) {
    case 'revoke': {
      const { target, issuedBefore } = effect
      const reason = `signal ${event.id}: ${event.type.slice(event.type.lastIndexOf('/') + 1)}`
      const shared = { tenant: stream.tenant, mode: 'deny', source: 'signal', reason } as const
      await insertRevocation(transaction, writer, { ...shared, ...target, issuedBefore }, version)
      return
    }
    case 'enable':
      return await enable(transaction, writer, stream.tenant, effect.target, version)
    case 'verified':
      await transaction`
        update signal_streams set verified_at = now(), verified_state = ${effect.state?.slice(0, 256) ?? null}
        where stream = ${stream.id}::text::uuid`
      return
    case 'status':
      await transaction`
        update signal_streams set status = ${effect.status} where stream = ${stream.id}::text::uuid`
  }
}

/** INVARIANT: only what this very stream has disabled; an administrator's revocation is never lifted by a signal. */
async function enable(
  transaction: Transaction,
  writer: Writer,
  tenant: TenantId,
  { kind, id }: Dependency,
  version: number,
): Promise<void> {
  const lifted = await transaction`
    update revocations set lifted_at = now(), lifted_by = ${writer.actor}, version_to = ${version}
    where tenant = ${tenant} and kind = ${kind} and target = ${id} and version_to is null
      and source = 'signal' and actor = ${writer.actor} and issued_before is null`
  const target = `${kind} ${id}`
  if (lifted.count > 0)
    await writer.record(transaction, { tenant, target, before: { revoked: true }, after: { revoked: false } })
}
