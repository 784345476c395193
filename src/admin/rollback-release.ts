import { failed, type Result, success } from '#lib/result.ts'
import { parseTenantId, type ReleaseId, type TenantId } from '#model/ids.ts'
import { type AdminFailure, refused, tenantUnknown } from './failure.ts'
import type { AdminStore } from './ports.ts'

/** Makes the release active that was so before the present one. */
export async function rollbackRelease(
  store: AdminStore,
  request: { readonly tenant: string },
): Promise<Result<{ readonly release: ReleaseId; readonly tenant: TenantId }, AdminFailure>> {
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  const outcome = await store.rollbackRelease(tenant)
  if (outcome !== 'no_previous') return success({ release: outcome.release, tenant })
  const message = `no other release of the tenant \`${tenant}\` has been active before`
  return failed(refused('release.no_previous', message, 'activate one by its id'))
}
