import type { AdminToken, AdminTokenListing, NewAdminToken, Page } from '#admin/ports.ts'
import type { TenantId } from '#model/ids.ts'
import type { Writer } from './audit.ts'
import type { Sql, Transaction } from './connections.ts'
import { instantText, limitOf } from './rows.ts'

/** Stores a new token, whose name and hash are both new. */
export async function addAdminToken(writer: Writer, token: NewAdminToken): Promise<'added' | 'exists'> {
  const { name, hash, hint, role } = token
  const tenants = token.tenants === null ? null : JSON.stringify(token.tenants)
  const expiresAt = token.expiresAt === null ? null : new Date(token.expiresAt).toISOString()
  return await writer.owner.begin(async (transaction) => {
    const added = await transaction`
      insert into admin_tokens (hash, hint, name, role, tenants, expires_at)
      values (${hash}, ${hint}, ${name}, ${role}, ${tenants}::text::json, ${expiresAt}::text::timestamptz)
      on conflict do nothing`
    if (added.count === 0) return 'exists'
    const after = { name, role, tenants: token.tenants, expires_at: expiresAt, hint }
    await writer.record(transaction, { tenant: only(token.tenants), target: name, before: null, after })
    return 'added'
  })
}

/** The token with this hash, if it is valid now. One lookup by the primary key. */
export async function findAdminToken(sql: Sql, hash: string): Promise<AdminToken | undefined> {
  const [row] = await sql<AdminToken[]>`
    select name, role, tenants from admin_tokens
    where hash = ${hash} and revoked_at is null and (expires_at is null or expires_at > now())`
  return row
}

/** Tokens by name. */
export async function listAdminTokens(
  sql: Sql,
  within: readonly TenantId[] | null,
  page: Page,
): Promise<readonly AdminTokenListing[]> {
  return await sql<AdminTokenListing[]>`
    select name, role, tenants, hint, ${instantText(sql, 'created_at')} as created_at,
      ${instantText(sql, 'expires_at')} as expires_at, ${instantText(sql, 'revoked_at')} as revoked_at
    from admin_tokens where name > ${page.after ?? ''} and ${isWithin(sql, within)}
    order by name limit ${limitOf(page)}`
}

/** Ends a token. */
export async function revokeAdminToken(
  writer: Writer,
  name: string,
  within: readonly TenantId[] | null,
): Promise<'revoked' | 'unknown'> {
  return await writer.owner.begin(async (transaction) => {
    const [revoked] = await transaction<{ tenants: readonly TenantId[] | null }[]>`
      update admin_tokens set revoked_at = now()
      where name = ${name} and revoked_at is null and ${isWithin(transaction, within)} returning tenants`
    if (revoked === undefined) return 'unknown'
    const [before, after] = [{ revoked: false }, { revoked: true }]
    await writer.record(transaction, { tenant: only(revoked.tenants), target: name, before, after })
    return 'revoked'
  })
}

/** INVARIANT: a token for all tenants (null) is within nothing but null. */
function isWithin(sql: Sql | Transaction, within: readonly TenantId[] | null) {
  if (within === null) return sql`true`
  return sql`tenants is not null and not exists (
    select from json_array_elements_text(tenants) as each (tenant)
    where each.tenant not in (select json_array_elements_text(${JSON.stringify(within)}::text::json)))`
}

/** The tenant that an audit row belongs to: that of a token for one tenant. */
function only(tenants: readonly TenantId[] | null): TenantId | null {
  return tenants?.length === 1 ? (tenants[0] ?? null) : null
}
