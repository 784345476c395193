import type { ReadChains } from '#decision-log/port.ts'
import type { ReleaseId, TenantId } from '#model/ids.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { PolicyRecord, ReleaseHeader } from '#model/release.ts'
import { createReadChains } from './chains.ts'
import type { Database } from './database.ts'
import { entitiesAt } from './entities.ts'
import { type MaintenanceOptions, type MaintenanceReport, maintainLog } from './log-maintenance.ts'
import { findReleaseHeader, policiesOf } from './releases.ts'

/** What operators do with the log beside reading it. */
export interface LogCare {
  readonly chains: ReadChains
  maintain(options: MaintenanceOptions): Promise<MaintenanceReport>
  /** The registry of a tenant as it was at a state version. */
  entitiesAt(tenant: TenantId, stateVersion: number): AsyncIterable<readonly StoredEntity[]>
  releaseHeader(tenant: TenantId, release: ReleaseId): Promise<ReleaseHeader | undefined>
  releasePolicies(tenant: TenantId, release: ReleaseId): AsyncIterable<readonly PolicyRecord[]>
}

/** Log care on the database: reads as the runtime role, maintains as the owner. */
export function createLogCare(db: Database): LogCare {
  return {
    chains: createReadChains(db),
    maintain: (options) => maintainLog(db, options),
    entitiesAt: (tenant, stateVersion) => entitiesAt(db, tenant, stateVersion),
    releaseHeader: (tenant, release) => findReleaseHeader(db.sql, tenant, release),
    releasePolicies: (tenant, release) => policiesOf(db.sql, tenant, release),
  }
}
