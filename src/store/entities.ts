import type { Page } from '#admin/ports.ts'
import type { TenantId } from '#model/ids.ts'
import type { StoredEntity } from '#model/registry.ts'
import { type EntityUid, type JsonObject, uidKey } from '#model/value.ts'
import type { Writer } from './audit.ts'
import { changeTenant } from './changes.ts'
import type { Sql, Transaction } from './connections.ts'
import type { Database } from './database.ts'
import { endTokensOfStopped } from './exchanged-tokens.ts'
import { batchesOf, limitOf, WRITE_BATCH } from './rows.ts'

/** Columns of an entity row. */
export interface EntityRow {
  readonly type: string
  readonly id: string
  readonly attrs: StoredEntity['attrs']
  readonly tags: StoredEntity['tags']
  readonly parents: readonly EntityUid[]
}

const READ_BATCH = 500
/** Entities that one audit row names. */
const AUDIT_NAMES_MAX = 100

/**
 * Inserts or replaces entities in one transaction; of two with the same uid the last counts. Replaced versions stay.
 * @param onProgress called after each batch with the number written so far.
 */
export async function putEntities(
  writer: Writer,
  tenant: TenantId,
  given: readonly StoredEntity[],
  onProgress: (done: number) => void = () => undefined,
): Promise<{ readonly version: number } | { readonly retired: string } | 'tenant_unknown'> {
  const entities = [...new Map(given.map((entity) => [uidKey(entity.uid), entity])).values()]
  return await changeTenant(writer, tenant, async (transaction, version, keep) => {
    // INVARIANT: who was retired does not come back, whatever a file says.
    const revived = entities.filter(({ attrs }) => attrs['status'] !== 'retired').map(({ uid }) => uid)
    const retired = await retiredAmong(transaction, tenant, revived)
    if (retired !== undefined) {
      keep()
      return { retired }
    }
    let done = 0
    for (const batch of batchesOf(entities, WRITE_BATCH)) {
      const uids = batch.map(({ uid }) => uid)
      await closeVersions(transaction, tenant, version, uids)
      const rows = batch.map(({ uid, attrs, tags, parents }) => ({ ...uid, attrs, tags, parents }))
      await transaction`
        insert into entities (tenant, type, id, version_from, attrs, tags, parents)
        select ${tenant}::text, type, id, ${version}::bigint, attrs, tags, parents
        from json_to_recordset(${JSON.stringify(rows)}::text::json)
          as given (type text, id text, attrs json, tags json, parents json)`
      done += batch.length
      onProgress(done)
    }
    await endTokensOfStopped(transaction, tenant, entities)
    const after = { ...namesOf(entities.map(({ uid }) => uid)), version }
    await writer.record(transaction, { tenant, target: 'registry', before: null, after })
    return { version }
  })
}

/** Inserts or replaces one entity within a change; its record in the audit is the caller's. */
export async function writeEntity(
  transaction: Transaction,
  tenant: TenantId,
  version: number,
  { uid, attrs, tags, parents }: StoredEntity,
): Promise<void> {
  await closeVersions(transaction, tenant, version, [uid])
  await transaction`
    insert into entities (tenant, type, id, version_from, attrs, tags, parents)
    values (${tenant}, ${uid.type}, ${uid.id}, ${version}, ${JSON.stringify(attrs)}::text::json,
      ${JSON.stringify(tags)}::text::json, ${JSON.stringify(parents)}::text::json)`
}

/** The first of `uids` that was an agent and was retired, at any time. */
export async function retiredAmong(
  transaction: Transaction,
  tenant: TenantId,
  uids: readonly EntityUid[],
): Promise<string | undefined> {
  const ids = uids.filter(({ type }) => type === 'Warder::Agent').map(({ id }) => id)
  if (ids.length === 0) return undefined
  const [row] = await transaction<{ id: string }[]>`
    select e.id from entities e
    where e.tenant = ${tenant} and e.type = 'Warder::Agent' and e.attrs ->> 'status' = 'retired'
      and e.id in (select json_array_elements_text(${JSON.stringify(ids)}::text::json)) order by e.id limit 1`
  return row?.id
}

/** Ends the current versions of these entities; gives how many there were. */
async function closeVersions(
  transaction: Transaction,
  tenant: TenantId,
  version: number,
  uids: readonly EntityUid[],
): Promise<number> {
  const closed = await transaction`
    update entities e set version_to = ${version}
    from json_to_recordset(${JSON.stringify(uids)}::text::json) as given (type text, id text)
    where e.tenant = ${tenant} and e.type = given.type and e.id = given.id and e.version_to is null`
  return closed.count
}

/** Removes entities from the current state; gives how many were there. Their versions stay readable. */
export async function removeEntities(
  writer: Writer,
  tenant: TenantId,
  uids: readonly EntityUid[],
): Promise<number> {
  const outcome = await changeTenant(writer, tenant, async (transaction, version, keep) => {
    let removed = 0
    for (const batch of batchesOf(uids, WRITE_BATCH)) {
      removed += await closeVersions(transaction, tenant, version, batch)
    }
    if (removed === 0) keep()
    else {
      const before = { ...namesOf(uids), removed, version }
      await writer.record(transaction, { tenant, target: 'registry', before, after: null })
    }
    return removed
  })
  return outcome === 'tenant_unknown' ? 0 : outcome
}

/** How many and which, for the audit; the versions before and after stay readable in the table itself. */
function namesOf(uids: readonly EntityUid[]): JsonObject {
  const first = uids.slice(0, AUDIT_NAMES_MAX).map(({ type, id }) => `${type}::${id}`)
  return { entities: uids.length, first }
}

/** Current entities by type and id; the page key is the id within one type, and `uidKey` over all types. */
export async function listEntities(
  sql: Sql,
  tenant: TenantId,
  type: string | undefined,
  page: Page,
): Promise<readonly StoredEntity[]> {
  const [first = '', second] = (page.after ?? '').split('\u0000')
  const after = second === undefined ? { type: type ?? first, id: first } : { type: first, id: second }
  const rows = await sql<EntityRow[]>`
    select type, id, attrs, tags, parents from entities
    where tenant = ${tenant} and version_to is null and (type, id) > (${after.type}, ${after.id})
      ${type === undefined ? sql`` : sql`and type = ${type}`}
    order by type, id limit ${limitOf(page)}`
  return rows.map(toEntity)
}

/** The registry of `tenant` as it was at a state version, in batches by type and id. */
export async function* entitiesAt(
  db: Database,
  tenant: TenantId,
  stateVersion: number,
): AsyncIterable<StoredEntity[]> {
  const cursor = db.sql<EntityRow[]>`
    select type, id, attrs, tags, parents from entities
    where tenant = ${tenant} and version_from <= ${stateVersion}
      and (version_to is null or version_to > ${stateVersion})
    order by type, id`.cursor(READ_BATCH)
  for await (const rows of cursor) yield rows.map(toEntity)
}

/** An entity from its row. */
export function toEntity(row: EntityRow): StoredEntity {
  return {
    uid: { type: row.type, id: row.id },
    attrs: row.attrs,
    tags: row.tags,
    parents: row.parents,
  }
}
