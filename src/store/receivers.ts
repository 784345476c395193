import type { Page } from '#admin/ports.ts'
import type { NewReceiver, ReceiverListing, SignalAdminStore } from '#admin/signal-ports.ts'
import type { TenantId } from '#model/ids.ts'
import type { Writer } from './audit.ts'
import type { Database } from './database.ts'
import { instantText, limitOf } from './rows.ts'

/** Registers a receiver of a tenant's revocations. */
export async function addReceiver(
  { owner, record }: Writer,
  tenant: TenantId,
  { name, url, kind, audience, privateNetwork }: NewReceiver,
): ReturnType<SignalAdminStore['addReceiver']> {
  return await owner.begin(async (transaction) => {
    const known = await transaction`select from tenants where tenant = ${tenant}`
    if (known.length === 0) return 'tenant_unknown'
    const added = await transaction`
      insert into signal_receivers (tenant, name, url, kind, audience, private_network)
      values (${tenant}, ${name}, ${url}, ${kind}, ${audience}, ${privateNetwork}) on conflict (tenant, name) do nothing`
    if (added.count === 0) return 'exists'
    const after = { url, kind, audience, private_network: privateNetwork }
    await record(transaction, { tenant, target: name, before: null, after })
    return 'added'
  })
}

/** Ends a receiver, with what waits for it. */
export async function removeReceiver(
  { owner, record }: Writer,
  tenant: TenantId,
  name: string,
): Promise<'removed' | 'unknown'> {
  return await owner.begin(async (transaction) => {
    const [removed] = await transaction<{ url: string }[]>`
      delete from signal_receivers where tenant = ${tenant} and name = ${name} returning url`
    if (removed === undefined) return 'unknown'
    await record(transaction, { tenant, target: name, before: { url: removed.url }, after: null })
    return 'removed'
  })
}

/** Receivers of a tenant by name, with what waits for them. */
export async function listReceivers(
  { sql }: Database,
  tenant: TenantId,
  page: Page,
): Promise<readonly ReceiverListing[]> {
  const rows = await sql<(Omit<ReceiverListing, 'waiting'> & { readonly waiting: string })[]>`
    select tenant, name, kind, url, audience, ${instantText(sql, 'created_at')} as created_at,
      (select count(*)::text from signal_outbox o where o.receiver = r.receiver and delivered_at is null) as waiting
    from signal_receivers r where tenant = ${tenant} and name > ${page.after ?? ''} order by name limit ${limitOf(page)}`
  return rows.map((row) => ({ ...row, waiting: Number(row.waiting) }))
}
