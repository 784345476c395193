import type { AdminStore, Page, ReadPolicies, ReleaseListing } from '#admin/ports.ts'
import type { ReleaseId, TenantId } from '#model/ids.ts'
import type { PolicyRecord, ReleaseContent, ReleaseHeader, SchemaModel, SourceFile } from '#model/release.ts'
import type { Writer } from './audit.ts'
import { changeTenant } from './changes.ts'
import type { Sql, Transaction } from './connections.ts'
import type { Database } from './database.ts'
import { batchesOf, instantText, limitOf, WRITE_BATCH } from './rows.ts'

interface HeaderRow {
  readonly release: ReleaseId
  readonly vocabulary: ReleaseHeader['vocabulary']
  readonly validated: boolean
  readonly schema_model: SchemaModel | null
  readonly policy_count: number
}

/** Policies per batch: parsing more at once would hold up decisions. */
const READ_BATCH = 50

/** Stores a release in one transaction, without activating it. Readers see all of it or nothing. */
export async function pushRelease(
  writer: Writer,
  tenant: TenantId,
  release: ReleaseContent,
  onProgress: (done: number) => void = () => undefined,
): Promise<'stored' | 'exists' | 'tenant_unknown'> {
  return await writer.owner.begin(async (transaction) => {
    const known = await transaction`select from tenants where tenant = ${tenant}`
    if (known.length === 0) return 'tenant_unknown'
    const schema = release.schema === undefined ? null : JSON.stringify(release.schema)
    // Two pushes of the same content: the second waits here for the first to commit.
    const stored = await transaction`
      insert into releases
        (tenant, release, vocabulary, validated, schema_model, schema_text, sources, policy_count)
      values (${tenant}, ${release.id}, ${release.vocabulary}, ${release.validated}, ${schema}::text::json,
        ${release.schemaText ?? null}, ${JSON.stringify(release.sources)}::text::json, ${release.policyCount})
      on conflict (tenant, release) do nothing`
    if (stored.count === 0) return 'exists'
    await insertPolicies(transaction, tenant, release, onProgress)
    const { vocabulary, validated, policyCount: policies } = release
    const after = { vocabulary, validated, policies }
    await writer.record(transaction, { tenant, target: release.id, before: null, after })
    return 'stored'
  })
}

async function insertPolicies(
  transaction: Transaction,
  tenant: TenantId,
  release: ReleaseContent,
  onProgress: (done: number) => void,
): Promise<void> {
  let done = 0
  for (const batch of batchesOf(release.policies, WRITE_BATCH)) {
    const first = done
    const rows = batch.map((record, position) => ({ ordinal: first + position, record }))
    await transaction`
      insert into release_policies (tenant, release, ordinal, record)
      select ${tenant}::text, ${release.id}::text, ordinal, record
      from json_to_recordset(${JSON.stringify(rows)}::text::json) as given (ordinal integer, record json)`
    done += batch.length
    onProgress(done)
  }
}

/** Makes a stored release the active one; nothing happens when it is already. */
export async function activateRelease(
  writer: Writer,
  tenant: TenantId,
  release: ReleaseId,
): Promise<'activated' | 'unknown'> {
  const outcome = await changeTenant(writer, tenant, async (transaction, version, keep) => {
    const stored = await transaction`
      select from releases where tenant = ${tenant} and release = ${release}`
    const isUnknown = stored.length === 0
    const before = await activeRelease(transaction, tenant)
    if (isUnknown || before === release) {
      keep()
      return isUnknown ? ('unknown' as const) : ('activated' as const)
    }
    await activate(writer, transaction, { tenant, version, before, release })
    return 'activated' as const
  })
  return outcome === 'tenant_unknown' ? 'unknown' : outcome
}

/** Makes the release active that was so before the present one. */
export async function rollbackRelease(
  writer: Writer,
  tenant: TenantId,
): Promise<{ readonly release: ReleaseId } | 'no_previous'> {
  const outcome = await changeTenant(writer, tenant, async (transaction, version, keep) => {
    const before = await activeRelease(transaction, tenant)
    const [previous] = await transaction<{ release: ReleaseId }[]>`
      select release from activations where tenant = ${tenant} and release <> ${before ?? ''}
      order by sequence desc limit 1`
    if (previous === undefined) {
      keep()
      return 'no_previous' as const
    }
    await activate(writer, transaction, { tenant, version, before, release: previous.release })
    return { release: previous.release }
  })
  return outcome === 'tenant_unknown' ? 'no_previous' : outcome
}

interface Activation {
  readonly tenant: TenantId
  readonly version: number
  readonly before: ReleaseId | undefined
  readonly release: ReleaseId
}

async function activate(
  writer: Writer,
  transaction: Transaction,
  { tenant, version, before, release }: Activation,
): Promise<void> {
  await transaction`
    insert into activations (tenant, sequence, release) values (${tenant}, ${version}, ${release})`
  await writer.record(transaction, {
    tenant,
    target: release,
    before: { active: before ?? null },
    after: { active: release },
  })
}

/** Id of the active release of `tenant`. */
export async function activeRelease(
  sql: Sql | Transaction,
  tenant: TenantId,
): Promise<ReleaseId | undefined> {
  const [row] = await sql<{ release: ReleaseId }[]>`
    select release from activations where tenant = ${tenant} order by sequence desc limit 1`
  return row?.release
}

/** Releases of `tenant`, newest push first; the page key is the release id. */
export async function listReleases(
  sql: Sql,
  tenant: TenantId,
  page: Page,
): Promise<readonly ReleaseListing[]> {
  const active = await activeRelease(sql, tenant)
  const rows = await sql<Omit<ReleaseListing, 'active'>[]>`
    select release, tenant, vocabulary, validated, policy_count as policies,
      ${instantText(sql, 'releases.pushed_at')} as pushed_at
    from releases where tenant = ${tenant} ${
      page.after === undefined
        ? sql``
        : sql`and (pushed_at, release) <
            (select r.pushed_at, r.release from releases r where r.tenant = ${tenant} and r.release = ${page.after})`
    }
    order by releases.pushed_at desc, release desc limit ${limitOf(page)}`
  return rows.map((row) => ({ ...row, active: row.release === active }))
}

/** A release with its sources; the policies come from `readPolicies`. */
export async function findRelease(
  sql: Sql,
  tenant: TenantId,
  release: ReleaseId | 'active',
): ReturnType<AdminStore['findRelease']> {
  const id = release === 'active' ? await activeRelease(sql, tenant) : release
  if (id === undefined) return undefined
  const [row] = await sql<
    (HeaderRow & { readonly sources: readonly SourceFile[]; readonly schema_text: string | null })[]
  >`
    select release, vocabulary, validated, schema_model, policy_count, sources, schema_text
    from releases where tenant = ${tenant} and release = ${id}`
  if (row === undefined) return undefined
  return { header: toHeader(row), sources: row.sources, schemaText: row.schema_text ?? undefined }
}

/** The header alone: what the hot path and replay need beside the policies. */
export async function findReleaseHeader(
  sql: Sql | Transaction,
  tenant: TenantId,
  release: ReleaseId,
): Promise<ReleaseHeader | undefined> {
  const [row] = await sql<HeaderRow[]>`
    select release, vocabulary, validated, schema_model, policy_count
    from releases where tenant = ${tenant} and release = ${release}`
  return row === undefined ? undefined : toHeader(row)
}

function toHeader(row: HeaderRow): ReleaseHeader {
  return {
    id: row.release,
    vocabulary: row.vocabulary,
    validated: row.validated,
    schema: row.schema_model ?? undefined,
    policyCount: row.policy_count,
  }
}

/** Reads the policies of stored releases with a cursor. */
export function createReadPolicies(db: Database): ReadPolicies {
  return (tenant, release) => policiesOf(db.sql, tenant, release)
}

/** Policies of one release in ordinal order, in batches; the event loop runs between them. */
export async function* policiesOf(
  sql: Sql | Transaction,
  tenant: TenantId,
  release: ReleaseId,
): AsyncIterable<readonly PolicyRecord[]> {
  const cursor = sql<{ record: PolicyRecord }[]>`
    select record from release_policies where tenant = ${tenant} and release = ${release} order by ordinal`
  for await (const rows of cursor.cursor(READ_BATCH)) {
    yield rows.map((row) => row.record)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
