import { failed, type Result, success } from '#lib/result.ts'
import { parseTenantId, type TenantId } from '#model/ids.ts'
import { type AdminFailure, invalid, refused } from './failure.ts'
import type { AdminStore } from './ports.ts'

/** Adds a tenant. Its name is its id and can't be changed later. */
export async function addTenant(
  store: AdminStore,
  name: string,
): Promise<Result<{ readonly tenant: TenantId }, AdminFailure>> {
  const tenant = parseTenantId(name)
  if (tenant === undefined) {
    return failed(
      invalid(
        'tenant.invalid',
        `\`${name.slice(0, 80)}\` can not be the name of a tenant`,
        'use 1 to 63 characters a-z, 0-9, `-`, `_` and `.`, beginning with a letter or digit',
      ),
    )
  }
  return (await store.addTenant(tenant)) === 'exists'
    ? failed(refused('tenant.exists', `there is already a tenant \`${tenant}\``))
    : success({ tenant })
}
