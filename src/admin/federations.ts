import { randomUUID } from 'node:crypto'
import {
  type FederationRecord,
  isSigned,
  publicKeyText,
  readRecord,
  recordText,
  signRecord,
  tenantSigningKey,
} from '#delegation/federation-record.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import { parseTenantId, type TenantId } from '#model/ids.ts'
import {
  type FederationListing,
  type FederationStore,
  isOver,
  type StoredFederation,
} from './delegation-ports.ts'
import { type AdminFailure, invalid, refused, tenantUnknown } from './failure.ts'
import { reasonOf } from './grants.ts'

/** A federation as one side proposes it. */
export interface FederationRequest {
  /** Who proposes. */
  readonly tenant: string
  /** The other side. */
  readonly with: string
  /** `in`: agents of the other may act here. `out`: agents of ours may act there. */
  readonly direction: string
  /** Ids of the agents, each by its name. */
  readonly agents: readonly string[]
  /** Tools that they may call: ids, `server/*`, or `*`. */
  readonly tools: readonly string[]
  /** Default: both. */
  readonly roles?: readonly string[] | undefined
  readonly expiresInSeconds: number
}

const LIST_MAX = 200
const ID_LENGTH_MAX = 1024
/** Two years: longer trust is to be renewed. */
const EXPIRES_SECONDS_MAX = 2 * 366 * 86_400

/** Writes a federation down and signs it for `tenant`; it counts when the other side has accepted it. */
export async function proposeFederation(
  store: FederationStore,
  secret: Uint8Array,
  request: FederationRequest,
  now: EpochMilliseconds,
): Promise<Result<FederationListing, AdminFailure>> {
  const tenant = parseTenantId(request.tenant)
  const other = parseTenantId(request.with)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  const fault = other === undefined || other === tenant ? 'it takes two tenants' : faultOf(request)
  if (other === undefined || fault !== undefined) return failed(invalid('federation.invalid', fault ?? ''))
  const { direction, agents, tools, roles = ['subject', 'actor'], expiresInSeconds } = request
  const record: FederationRecord = {
    id: randomUUID(),
    home: direction === 'in' ? tenant : other,
    foreign: direction === 'in' ? other : tenant,
    agents,
    tools,
    roles: roles.map((role) => (role === 'subject' ? 'subject' : 'actor')),
    endsAt: new Date(now + expiresInSeconds * 1000).toISOString(),
  }
  const text = recordText(record)
  const signature = await signFor(store, secret, tenant, text)
  if (!signature.ok) return signature
  const { id, home, foreign } = record
  const stored = await store.proposeFederation(tenant, { id, home, foreign, record: text }, signature.value)
  return stored === 'tenant_unknown'
    ? failed(tenantUnknown(tenant))
    : await listingFor(store, tenant, id, now)
}

/** Signs what the other side has proposed, exactly as it was proposed. */
export async function acceptFederation(
  store: FederationStore,
  secret: Uint8Array,
  request: { readonly tenant: string; readonly federation: string },
  now: EpochMilliseconds,
): Promise<Result<FederationListing, AdminFailure>> {
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  const found = await store.findFederation(tenant, request.federation)
  if (found === undefined) return failed(federationUnknown(request.federation))
  const listing = toListing(found, now)
  if (listing.state !== 'proposed' || listing.signed_by.includes(tenant)) {
    const message =
      listing.state === 'proposed'
        ? 'the other side has to accept what this one has proposed'
        : `a federation that is ${listing.state} can not be accepted`
    return failed(refused('federation.state', message))
  }
  const signature = await signFor(store, secret, tenant, found.record)
  if (!signature.ok) return signature
  const accepted = await store.acceptFederation(tenant, found.id, signature.value)
  return accepted === 'unknown'
    ? failed(federationUnknown(found.id))
    : await listingFor(store, tenant, found.id, now)
}

/** Ends a federation at once; either side may, without the other. */
export async function withdrawFederation(
  store: FederationStore,
  request: { readonly tenant: string; readonly federation: string; readonly reason: string },
  now: EpochMilliseconds,
): Promise<Result<FederationListing, AdminFailure>> {
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  const reason = reasonOf(request.reason)
  if (!reason.ok) return reason
  const done = await store.withdrawFederation(tenant, request.federation, reason.value)
  return done === 'unknown'
    ? failed(federationUnknown(request.federation))
    : await listingFor(store, tenant, request.federation, now)
}

/** A stored federation for administrators; what does not verify is `broken` and has no content. */
export function toListing(stored: StoredFederation, now: EpochMilliseconds): FederationListing {
  const record = readRecord(stored.record)
  const { home, foreign } = stored
  const isItself = record?.id === stored.id && record.home === home && record.foreign === foreign
  const homeSigned = isSigned(stored.record, stored.homeSignature, stored.homeKey)
  const foreignSigned = isSigned(stored.record, stored.foreignSignature, stored.foreignKey)
  const isTrue =
    isItself &&
    (homeSigned || stored.homeSignature === null) &&
    (foreignSigned || stored.foreignSignature === null)
  return {
    federation: stored.id,
    home,
    foreign,
    agents: isTrue ? record.agents : [],
    tools: isTrue ? record.tools : [],
    roles: isTrue ? record.roles : [],
    ends_at: isTrue ? record.endsAt : '',
    proposed_at: stored.proposedAt,
    signed_by: [...(homeSigned ? [home] : []), ...(foreignSigned ? [foreign] : [])],
    withdrawn_at: stored.withdrawnAt,
    withdrawn_by: stored.withdrawnBy,
    state: stateOf(stored, isTrue ? record : undefined, homeSigned && foreignSigned, now),
  }
}

function stateOf(
  { withdrawnAt }: StoredFederation,
  record: FederationRecord | undefined,
  isSignedByBoth: boolean,
  now: EpochMilliseconds,
): string {
  if (withdrawnAt !== null) return 'withdrawn'
  if (record === undefined) return 'broken'
  if (isOver(record.endsAt, now)) return 'expired'
  return isSignedByBoth ? 'in force' : 'proposed'
}

/** INVARIANT: a tenant has one key for ever; another secret would make another one, which nobody has agreed to. */
async function signFor(
  store: FederationStore,
  secret: Uint8Array,
  tenant: TenantId,
  text: string,
): Promise<Result<string, AdminFailure>> {
  const key = tenantSigningKey(secret, tenant)
  const made = publicKeyText(key)
  const known = await store.tenantKey(tenant, made)
  if (known === 'tenant_unknown') return failed(tenantUnknown(tenant))
  if (known !== made)
    return failed(
      refused(
        'federation.state',
        `the key of \`${tenant}\` was made with another installation secret than the one here`,
        'run this where the data folder has the secret.key of the first server, or copy that file',
      ),
    )
  return success(signRecord(text, key))
}

async function listingFor(
  store: FederationStore,
  tenant: TenantId,
  id: string,
  now: EpochMilliseconds,
): Promise<Result<FederationListing, AdminFailure>> {
  const found = await store.findFederation(tenant, id)
  return found === undefined ? failed(federationUnknown(id)) : success(toListing(found, now))
}

function federationUnknown(id: string): AdminFailure {
  return refused(
    'federation.unknown',
    `the tenant takes part in no federation \`${id.slice(0, 80)}\` that it can change`,
  )
}

function faultOf({
  direction,
  agents,
  tools,
  roles = [],
  expiresInSeconds,
}: FederationRequest): string | undefined {
  if (direction !== 'in' && direction !== 'out') return '`direction` is `in` or `out`'
  for (const [name, list] of Object.entries({ agents, tools }))
    if (list.length === 0 || list.length > LIST_MAX || !list.every(isId))
      return `\`${name}\` has 1 to ${LIST_MAX} names`
  if (agents.includes('*')) return 'agents are named one by one'
  if (!roles.every((role) => role === 'subject' || role === 'actor')) return 'a role is `subject` or `actor`'
  if (
    !(Number.isInteger(expiresInSeconds) && expiresInSeconds >= 1 && expiresInSeconds <= EXPIRES_SECONDS_MAX)
  )
    return 'a federation ends within two years'
  return undefined
}

function isId(text: string): boolean {
  return text.length > 0 && text.length <= ID_LENGTH_MAX && text.isWellFormed()
}
