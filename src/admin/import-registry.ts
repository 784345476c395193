import { failed, type Result, success } from '#lib/result.ts'
import { parseTenantId } from '#model/ids.ts'
import { parseRegistry } from '#registry/parse-registry.ts'
import type { RegistryProblem } from '#registry/problem.ts'
import { type AdminFailure, invalid, refused, tenantUnknown } from './failure.ts'
import type { AdminStore } from './ports.ts'

/** What an import did. */
export interface ImportedRegistry {
  readonly tenant: string
  readonly entities: number
  /** State version of the tenant that contains the import. */
  readonly version: number
}

/** Why an import was refused; `problems` say where in the file. */
export interface ImportFailure extends AdminFailure {
  readonly problems: readonly RegistryProblem[]
}

/** Stores the entities of a registry file; nothing is stored when any part of it is wrong. */
export async function importRegistry(
  store: AdminStore,
  request: { readonly tenant: string; readonly text: string },
  onProgress?: (done: number, total: number) => void,
): Promise<Result<ImportedRegistry, ImportFailure>> {
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed({ ...tenantUnknown(request.tenant), problems: [] })
  const parsed = parseRegistry(request.text, { tenant })
  if (!parsed.ok) {
    const failure = invalid('registry.invalid', 'the registry file has problems; nothing was imported')
    return failed({ ...failure, problems: parsed.failure })
  }
  const { entities } = parsed.value
  const stored = await store.putEntities(tenant, entities, (done) => onProgress?.(done, entities.length))
  if (stored === 'tenant_unknown') return failed({ ...tenantUnknown(tenant), problems: [] })
  if ('retired' in stored) {
    const message = `the agent \`${stored.retired.slice(0, 200)}\` was retired; its id is not used again`
    return failed({ ...refused('agent.retired', message, 'give the agent another id'), problems: [] })
  }
  return success({ tenant, entities: entities.length, version: stored.version })
}
