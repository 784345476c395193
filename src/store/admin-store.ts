import type { AdminStore } from '#admin/ports.ts'
import type { Database } from './database.ts'
import { listEntities, putEntities, removeEntities } from './entities.ts'
import { addGateway, listGateways, revokeGateway, rotateGateway } from './gateways.ts'
import { listIssuers, putIssuer } from './issuers.ts'
import { activateRelease, findRelease, listReleases, pushRelease } from './releases.ts'
import { addTenant, listTenants } from './tenants.ts'

/** Administration on the database: writes as the owner, reads as the runtime role. */
export function createAdminStore(db: Database): AdminStore {
  const { owner, sql } = db
  return {
    addTenant: (tenant) => addTenant(owner, tenant),
    listTenants: (page) => listTenants(sql, page),
    addGateway: (gateway) => addGateway(owner, gateway),
    listGateways: (tenant, page) => listGateways(sql, tenant, page),
    rotateGateway: (tenant, name, hash, hint, until) =>
      rotateGateway(owner, tenant, name, { hash, hint, until }),
    revokeGateway: (tenant, name) => revokeGateway(owner, tenant, name),
    putIssuer: (tenant, issuer) => putIssuer(owner, tenant, issuer),
    listIssuers: (tenant, page) => listIssuers(sql, tenant, page),
    putEntities: (tenant, entities, onProgress) => putEntities(owner, tenant, entities, onProgress),
    removeEntities: (tenant, uids) => removeEntities(owner, tenant, uids),
    listEntities: (tenant, type, page) => listEntities(sql, tenant, type, page),
    pushRelease: (tenant, release, onProgress) => pushRelease(owner, tenant, release, onProgress),
    activateRelease: (tenant, release) => activateRelease(owner, tenant, release),
    listReleases: (tenant, page) => listReleases(sql, tenant, page),
    findRelease: (tenant, release) => findRelease(sql, tenant, release),
    addAdminToken: async (tokenHash, hint) => {
      await owner`insert into admin_tokens (hash, hint) values (${tokenHash}, ${hint}) on conflict do nothing`
    },
    isAdminToken: async (tokenHash) => {
      const found = await sql`select from admin_tokens where hash = ${tokenHash} and revoked_at is null`
      return found.length > 0
    },
  }
}
