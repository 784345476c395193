import type { AdminStore, Page, TenantSettings } from '#admin/ports.ts'
import type { TenantId } from '#model/ids.ts'
import type { TenantRules } from '#model/tenant-rules.ts'
import type { Json } from '#model/value.ts'
import type { Writer } from './audit.ts'
import { changeTenant, notifyChange } from './changes.ts'
import type { Sql, Transaction } from './connections.ts'
import { instantText, limitOf } from './rows.ts'

/** Adds a tenant; its first state version is that of its creation. */
export async function addTenant(writer: Writer, tenant: TenantId): Promise<'added' | 'exists'> {
  return await writer.owner.begin(async (transaction) => {
    const known = await transaction`select from tenants where tenant = ${tenant}`
    if (known.length > 0) return 'exists'
    const [row] = await transaction<
      { version: string }[]
    >`update state set version = version + 1 where id = 1 returning version::text`
    const version = Number(row?.version)
    const added = await transaction`
      insert into tenants (tenant, state_version) values (${tenant}, ${version}) on conflict do nothing`
    if (added.count === 0) return 'exists'
    await writer.record(transaction, { tenant, target: tenant, before: null, after: { tenant } })
    await notifyChange(transaction, tenant, version)
    return 'added'
  })
}

/** Changes settings of a tenant; running servers mask by the new ones within a second. */
export async function setTenant(
  writer: Writer,
  tenant: TenantId,
  changes: Partial<TenantSettings>,
): Promise<TenantSettings | 'tenant_unknown'> {
  return await changeTenant(writer, tenant, async (transaction, _version, keep) => {
    const before = await settingsOf(transaction, tenant)
    const after = { ...before, ...changes }
    if (JSON.stringify(before) === JSON.stringify(after)) {
      keep()
      return after
    }
    await transaction`
      update tenants set retention_days = ${after.retention_days},
        mask_fields = ${JSON.stringify(after.mask_fields)}::text::json,
        rules = ${JSON.stringify(after.rules)}::text::json where tenant = ${tenant}`
    await writer.record(transaction, {
      tenant,
      target: tenant,
      before: { ...before, rules: toJson(before.rules) },
      after: { ...after, rules: toJson(after.rules) },
    })
    return after
  })
}

async function settingsOf(sql: Sql | Transaction, tenant: TenantId): Promise<TenantSettings> {
  const [row] = await sql<
    { retention_days: number | null; mask_fields: readonly string[] | null; rules: TenantRules | null }[]
  >`
    select retention_days, mask_fields, rules from tenants where tenant = ${tenant}`
  return {
    retention_days: row?.retention_days ?? null,
    mask_fields: row?.mask_fields ?? [],
    rules: row?.rules ?? {},
  }
}

function toJson(rules: TenantRules): Json {
  return JSON.parse(JSON.stringify(rules))
}

/** Tenants by name. */
export async function listTenants(
  sql: Sql,
  page: Page,
  within?: readonly TenantId[],
): ReturnType<AdminStore['listTenants']> {
  const visible =
    within === undefined
      ? sql``
      : sql`and tenant in (select json_array_elements_text(${JSON.stringify(within)}::text::json))`
  const rows = await sql<{ tenant: TenantId; created_at: string; state_version: string }[]>`
    select tenant, ${instantText(sql, 'created_at')} as created_at, state_version::text from tenants
    where tenant > ${page.after ?? ''} ${visible} order by tenant limit ${limitOf(page)}`
  return rows.map((row) => ({ ...row, state_version: Number(row.state_version) }))
}

/** Whether `tenant` is registered. */
export async function hasTenant(sql: Sql, tenant: TenantId): Promise<boolean> {
  const found = await sql`select from tenants where tenant = ${tenant}`
  return found.length > 0
}
