import type { AuditActor } from '#admin/audit.ts'
import type { AdminStore } from '#admin/ports.ts'
import type { OpenSealing } from '#admin/sealing.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import { addAdminToken, findAdminToken, listAdminTokens, revokeAdminToken } from './admin-tokens.ts'
import { changeAgent, findAgent, listAgents } from './agents.ts'
import { addApiKey, listApiKeys, revokeApiKey, rotateApiKey } from './api-keys.ts'
import { createWriter, listAudit, recordAttempt } from './audit.ts'
import type { Database } from './database.ts'
import { listEntities, putEntities, removeEntities } from './entities.ts'
import {
  acceptFederation,
  findFederation,
  listFederations,
  proposeFederation,
  tenantKey,
  withdrawFederation,
} from './federations.ts'
import { addGateway, listGateways, revokeGateway, rotateGateway, setGateway } from './gateways.ts'
import { addGrant, listGrants, revokeGrant } from './grants.ts'
import { listIssuers, putIssuer, reloadIssuer, removeIssuer } from './issuers.ts'
import { addReceiver, listReceivers, removeReceiver, revokeReceiver, rotateReceiver } from './receivers.ts'
import { activateRelease, findRelease, listReleases, pushRelease, rollbackRelease } from './releases.ts'
import { liftRevocation, listRevocations, revoke } from './revocations.ts'
import { createSignalAdminStore } from './signals.ts'
import { addTenant, hasTenant, listTenants, setTenant } from './tenants.ts'

const SYSTEM: AuditActor = { actor: 'system', role: 'owner', route: 'warder serve' }

/** INVARIANT: no secret reaches the database in the clear. */
async function sealed(tenant: TenantId, issuer: Issuer, sealing: OpenSealing | undefined): Promise<Issuer> {
  if (issuer.introspection === undefined && issuer.tokenExchange === undefined) return issuer
  if (sealing === undefined) throw new Error('there is no key to seal the secrets of the issuer with')
  return (await sealing()).sealIssuer(tenant, issuer)
}

/**
 * Administration on the database: writes as the owner, reads as the runtime role.
 *
 * @param sealing for issuers with a secret; without it they can't be stored
 */
export function createAdminStore(
  db: Database,
  actor: AuditActor = SYSTEM,
  sealing?: OpenSealing,
): AdminStore {
  const { owner, sql } = db
  const writer = createWriter(owner, actor)
  return {
    ...createSignalAdminStore(db, actor, sealing),
    by: (other) => createAdminStore(db, other, sealing),
    recordAttempt: (attempt) => recordAttempt(owner, actor, attempt),
    listAudit: (filter, page) => listAudit(sql, filter, page),
    hasTenant: (tenant) => hasTenant(sql, tenant),
    addTenant: (tenant) => addTenant(writer, tenant),
    listTenants: (page, within) => listTenants(sql, page, within),
    setTenant: (tenant, changes) => setTenant(writer, tenant, changes),
    addGateway: (gateway) => addGateway(writer, gateway),
    listGateways: (tenant, page) => listGateways(sql, tenant, page),
    rotateGateway: (tenant, name, hash, hint, until) =>
      rotateGateway(writer, tenant, name, { hash, hint, until }),
    setGateway: (tenant, name, change) => setGateway(writer, tenant, name, change),
    revokeGateway: (tenant, name) => revokeGateway(writer, tenant, name),
    putIssuer: async (tenant, issuer) => putIssuer(writer, tenant, await sealed(tenant, issuer, sealing)),
    removeIssuer: (tenant, issuer) => removeIssuer(writer, tenant, issuer),
    reloadIssuer: (tenant, issuer) => reloadIssuer(writer, tenant, issuer),
    listIssuers: (tenant, page) => listIssuers(sql, tenant, page),
    putEntities: (tenant, entities, onProgress) => putEntities(writer, tenant, entities, onProgress),
    removeEntities: (tenant, uids) => removeEntities(writer, tenant, uids),
    listEntities: (tenant, type, page) => listEntities(sql, tenant, type, page),
    pushRelease: (tenant, release, onProgress) => pushRelease(writer, tenant, release, onProgress),
    activateRelease: (tenant, release) => activateRelease(writer, tenant, release),
    rollbackRelease: (tenant) => rollbackRelease(writer, tenant),
    listReleases: (tenant, page) => listReleases(sql, tenant, page),
    findRelease: (tenant, release) => findRelease(sql, tenant, release),
    revoke: (revocation) => revoke(writer, revocation),
    liftRevocation: (tenant, revocation) => liftRevocation(writer, tenant, revocation),
    listRevocations: (filter, page) => listRevocations(sql, filter, page),
    addGrant: (tenant, grant) => addGrant(writer, tenant, grant),
    revokeGrant: (tenant, grant, reason) => revokeGrant(writer, tenant, grant, reason),
    listGrants: (tenant, filter, page) => listGrants(sql, tenant, filter, page),
    addApiKey: (tenant, key) => addApiKey(writer, tenant, key),
    rotateApiKey: (tenant, name, key) => rotateApiKey(writer, tenant, name, key),
    revokeApiKey: (tenant, name, reason) => revokeApiKey(writer, tenant, name, reason),
    listApiKeys: (tenant, filter, page) => listApiKeys(sql, tenant, filter, page),
    changeAgent: (tenant, agent, change, why) => changeAgent(writer, tenant, agent, change, why),
    listAgents: (tenant, filter, page) => listAgents(sql, tenant, filter, page),
    findAgent: (tenant, agent) => findAgent(sql, tenant, agent),
    tenantKey: (tenant, made) => tenantKey(writer, tenant, made),
    proposeFederation: (by, federation, signature) => proposeFederation(writer, by, federation, signature),
    acceptFederation: (by, id, signature) => acceptFederation(writer, by, id, signature),
    withdrawFederation: (by, id, reason) => withdrawFederation(writer, by, id, reason),
    findFederation: (tenant, id) => findFederation(sql, tenant, id),
    listFederations: (tenant, page) => listFederations(sql, tenant, page),
    addReceiver: (tenant, receiver) => addReceiver(writer, tenant, receiver),
    removeReceiver: (tenant, name) => removeReceiver(writer, tenant, name),
    listReceivers: (tenant, page) => listReceivers(sql, tenant, page),
    findReceiver: async (tenant, name) => (await listReceivers(sql, tenant, { limit: 1 }, name))[0],
    rotateReceiver: (tenant, name, key, until, mayOpenPrivate) =>
      rotateReceiver(writer, tenant, name, key, until, mayOpenPrivate),
    revokeReceiver: (tenant, name) => revokeReceiver(writer, tenant, name),
    addAdminToken: (token) => addAdminToken(writer, token),
    findAdminToken: (hash) => findAdminToken(sql, hash),
    listAdminTokens: (within, page) => listAdminTokens(sql, within, page),
    revokeAdminToken: (name, within) => revokeAdminToken(writer, name, within),
  }
}
