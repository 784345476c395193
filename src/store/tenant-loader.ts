import { createDelegations } from '#delegation/delegations.ts'
import type { ApiKey } from '#model/api-key.ts'
import type { Delegations } from '#model/delegation.ts'
import type { AssertionKind, Gateway, GatewaySettings } from '#model/gateway.ts'
import type { GatewayId, ReleaseId, TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import type { ObligationType } from '#model/obligation.ts'
import type { RegistrySnapshot, StoredEntity } from '#model/registry.ts'
import type { PolicyRecord, Release, ReleaseHeader } from '#model/release.ts'
import type { TenantRules } from '#model/tenant-rules.ts'
import type { EntityUid } from '#model/value.ts'
import { loadApiKeys } from './api-keys.ts'
import type { Sql, Transaction } from './connections.ts'
import { type EntityRow, toEntity } from './entities.ts'
import { loadFederations } from './federations.ts'
import { loadGrants } from './grants.ts'
import { parseIssuer } from './issuers.ts'
import { activeRelease, findReleaseHeader, policiesOf } from './releases.ts'

/** What the folders above the database make of its rows. */
export interface Assembly {
  readonly assembleRelease: (
    header: ReleaseHeader,
    batches: AsyncIterable<readonly PolicyRecord[]>,
  ) => Promise<Release>
  readonly emptyRegistry: () => RegistrySnapshot
  readonly applyEntities: (
    snapshot: RegistrySnapshot,
    changed: readonly StoredEntity[],
    removed: readonly EntityUid[],
  ) => RegistrySnapshot
}

/** A gateway and the instant at which this key of it ends; Infinity when it has no end. */
export interface KeyedGateway {
  readonly gateway: Gateway
  readonly expiresAt: number
}

/** Everything that one tenant's rows gave. */
export interface LoadedTenant {
  readonly id: TenantId
  readonly version: number
  readonly registry: RegistrySnapshot
  readonly release: Release | undefined
  /** Active release that could not be loaded, with the reason; `release` is then the one before. */
  readonly broken: { readonly id: ReleaseId; readonly cause: unknown } | undefined
  readonly issuers: readonly Issuer[]
  readonly maskFields: ReadonlySet<string>
  readonly rules: TenantRules
  readonly delegations: Delegations
  readonly apiKeys: ReadonlyMap<string, ApiKey>
  /** By key hash. */
  readonly gateways: ReadonlyMap<string, KeyedGateway>
}

const ENTITY_BATCH = 250

/**
 * Reads what changed in `tenant` since `before` was loaded, from one snapshot of the database, and builds its next state
 * beside the old one. Other work runs between the batches.
 * @returns undefined when the tenant does not exist.
 */
export async function loadTenant(
  sql: Sql,
  tenant: TenantId,
  before: LoadedTenant | undefined,
  assembly: Assembly,
): Promise<LoadedTenant | undefined> {
  return await sql.begin('isolation level repeatable read read only', async (transaction) => {
    const [row] = await transaction<
      { version: string; mask_fields: readonly string[] | null; rules: TenantRules | null }[]
    >`
      select state_version::text as version, mask_fields, rules from tenants where tenant = ${tenant}`
    if (row === undefined) return undefined
    const registry = await loadEntities(transaction, tenant, before, assembly)
    const issuers = await transaction<{ record: Issuer }[]>`
      select record from issuers where tenant = ${tenant} order by issuer`
    const gateways = await loadGateways(transaction, tenant)
    return {
      id: tenant,
      version: Number(row.version),
      registry,
      ...(await loadRelease(transaction, tenant, before, assembly)),
      issuers: issuers.map(({ record }) => parseIssuer(record)),
      maskFields: new Set(row.mask_fields),
      rules: row.rules ?? {},
      delegations: createDelegations(
        await loadGrants(transaction, tenant),
        await loadFederations(transaction, tenant),
      ),
      apiKeys: await loadApiKeys(transaction, tenant),
      gateways,
    }
  })
}

async function loadEntities(
  transaction: Transaction,
  tenant: TenantId,
  before: LoadedTenant | undefined,
  assembly: Assembly,
): Promise<RegistrySnapshot> {
  let registry = before?.registry ?? assembly.emptyRegistry()
  const since = before?.version ?? -1
  const changed = transaction<EntityRow[]>`
    select type, id, attrs, tags, parents from entities
    where tenant = ${tenant} and version_from > ${since} and version_to is null order by type, id`
  for await (const rows of changed.cursor(ENTITY_BATCH)) {
    registry = assembly.applyEntities(registry, rows.map(toEntity), [])
    await breathe()
  }
  if (before === undefined) return registry
  const removed = transaction<EntityUid[]>`
    select distinct type, id from entities e
    where tenant = ${tenant} and version_to > ${since} and not exists (
      select from entities now where now.tenant = e.tenant and now.type = e.type and now.id = e.id
        and now.version_to is null)
    order by type, id`
  for await (const rows of removed.cursor(ENTITY_BATCH)) {
    registry = assembly.applyEntities(
      registry,
      [],
      rows.map(({ type, id }) => ({ type, id })),
    )
    await breathe()
  }
  return registry
}

/** Lets requests through between two pieces of loading. */
function breathe(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

interface KeyRow {
  readonly hash: string
  readonly expires_at: string | null
  readonly id: GatewayId
  readonly name: string
  readonly asserts: readonly AssertionKind[] | null
  readonly user_only: boolean
  readonly obligations: readonly ObligationType[] | null
  readonly settings: GatewaySettings | null
}

async function loadGateways(
  transaction: Transaction,
  tenant: TenantId,
): Promise<ReadonlyMap<string, KeyedGateway>> {
  const rows = await transaction<KeyRow[]>`
    select k.hash, (extract(epoch from k.expires_at) * 1000)::text as expires_at,
      g.id, g.name, g.asserts, g.user_only, g.obligations, g.settings
    from gateways g join gateway_keys k on k.tenant = g.tenant and k.gateway = g.id
    where g.tenant = ${tenant} and g.revoked_at is null and k.revoked_at is null`
  return new Map(
    rows.map((row) => {
      const gateway: Gateway = {
        id: row.id,
        name: row.name,
        tenant,
        asserts: row.asserts === null ? undefined : new Set(row.asserts),
        userOnly: row.user_only,
        obligations: row.obligations === null ? undefined : new Set(row.obligations),
        ...(row.settings !== null && { settings: row.settings }),
      }
      const expiresAt = row.expires_at === null ? Number.POSITIVE_INFINITY : Number(row.expires_at)
      return [row.hash, { gateway, expiresAt }]
    }),
  )
}

/** The active release, assembled; the same object as before when it is still the same. */
async function loadRelease(
  transaction: Transaction,
  tenant: TenantId,
  before: LoadedTenant | undefined,
  assembly: Assembly,
): Promise<Pick<LoadedTenant, 'release' | 'broken'>> {
  const id = await activeRelease(transaction, tenant)
  if (id === undefined || id === before?.release?.id) {
    return { release: id === undefined ? undefined : before?.release, broken: undefined }
  }
  try {
    const header = await findReleaseHeader(transaction, tenant, id)
    if (header === undefined) throw new Error(`release \`${id}\` is active, but not stored`)
    const release = await assembly.assembleRelease(header, policiesOf(transaction, tenant, id))
    return { release, broken: undefined }
  } catch (cause) {
    // INVARIANT: a bad release never replaces a good one; everything else of the tenant moves on, revocations above all.
    return { release: before?.release, broken: { id, cause } }
  }
}
