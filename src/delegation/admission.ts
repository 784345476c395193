import type { EpochMilliseconds } from '#lib/clock.ts'
import type { ClientDocuments } from '#model/client-document.ts'
import type { FindAgent } from '#model/delegation.ts'
import type { Stop, VerifiedIdentity } from '#model/identity.ts'
import type { TenantId } from '#model/ids.ts'
import { REASONS, type ReasonCode } from '#model/reasons.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { TenantState } from '#model/state.ts'
import type { Json } from '#model/value.ts'
import { ruleIssuer } from './rules.ts'

/** An agent that may be registered just in time, and what its blueprint sets. */
export interface Admission {
  readonly agent: string
  readonly blueprint: string
  /** The only issuer that may name it from now on; undefined: it proved itself as a workload. */
  readonly issuer?: string | undefined
  /** Agent that spawned it; undefined for one that the pattern of its id admits. */
  readonly parent: string | undefined
  /** How many such agents of one parent may live at the same time. */
  readonly childrenMax: number
  readonly lifetimeSeconds: number
  /** Who answers for the blueprint. */
  readonly owner: Json | undefined
}

/**
 * Registers an admitted agent for every server, and returns when the state that decisions are made on has it.
 * `full`: as many live as its blueprint lets. `used`: the id was an agent before. `stopped`: its blueprint, its parent or somebody
 * above that is not active any more.
 */
export type Admit = (
  tenant: TenantId,
  admission: Admission,
  now: EpochMilliseconds,
) => Promise<'admitted' | 'full' | 'used' | 'stopped'>

const BLUEPRINT = 'Warder::Blueprint'

/**
 * The blueprint under which an unknown agent may be registered now: one that lists its parent (`admitParents`), which is the actor
 * that it acts for, or a pattern of its id (`admitIds`: a SPIFFE ID, or the URL of a client metadata document).
 *
 * INVARIANT: only an agent that a verified token names, whose issuer may name it and every other actor; only under a blueprint that is active and sets a lifetime and a number; only
 * if exactly one does; and only a parent of this tenant spawns here. Whether the others of the call may act is up to the caller.
 */
export function admissionFor(
  identity: VerifiedIdentity,
  tenant: TenantState,
  findAgent: FindAgent,
): Admission | undefined {
  const { agent, delegation, token } = identity
  if (agent?.provenance !== 'verified' || findAgent(agent.id) !== undefined) return undefined
  if (ruleIssuer({ identity, tenant, findAgent, tool: undefined }) !== undefined) return undefined
  const actor = delegation.chain[1]?.id
  const parent = actor !== undefined && findAgent(actor)?.home === tenant.id ? actor : undefined
  const admissions = tenant.registry.ofType(BLUEPRINT).flatMap((blueprint) => {
    const admission = admissionUnder(blueprint, agent.id, parent)
    return admission === undefined ? [] : [admission]
  })
  const [only] = admissions.length === 1 ? admissions : []
  return only && { ...only, issuer: delegation.chain[0]?.issuer ?? token?.issuer }
}

/**
 * What stops an admission because of the metadata document of its agent, whose id is then a URL. An agent that its parent has
 * spawned needs none.
 */
export function guardDocument(
  { agent, parent, issuer: name }: Admission,
  { id, issuers }: Pick<TenantState, 'id' | 'issuers'>,
  documents: ClientDocuments | undefined,
  now: EpochMilliseconds,
): Stop | undefined {
  if (parent !== undefined || !/^https?:/i.test(agent)) return undefined
  const issuer = issuers.find((each) => each.issuer === name)
  // INVARIANT: only an issuer that says so has clients with documents; no other makes anything be fetched.
  if (issuer?.clientMetadata !== true || documents === undefined)
    return stop('agent.metadata_invalid', 'the issuer has no clients with metadata documents')
  const standing = documents.standingOf(agent, issuer, id, now)
  if (standing === 'good') return undefined
  return standing === 'wrong'
    ? stop('agent.metadata_invalid', agent)
    : { ...stop('agent.metadata_unavailable', agent), retryAfterSeconds: RETRY_SECONDS }
}

const RETRY_SECONDS = 1

function stop(code: ReasonCode, detail: string): Stop {
  return { code, message: REASONS[code], detail }
}

function admissionUnder(
  { uid, attrs }: StoredEntity,
  agent: string,
  parent: string | undefined,
): Admission | undefined {
  const { status, childrenMax, lifetimeSeconds, owner, admitIds, admitParents } = attrs
  if (status !== undefined && status !== 'active') return undefined
  if (!isPositive(childrenMax) || !isPositive(lifetimeSeconds)) return undefined
  const byParent = parent !== undefined && texts(admitParents).includes(parent)
  if (!byParent && !texts(admitIds).some((pattern) => fits(agent, pattern))) return undefined
  return {
    agent,
    blueprint: uid.id,
    parent: byParent ? parent : undefined,
    childrenMax,
    lifetimeSeconds,
    owner,
  }
}

/** The id itself, or everything below a path: `spiffe://example.org/agents/*`. A pattern without a path names a whole host: none. */
function fits(id: string, pattern: string): boolean {
  if (!pattern.endsWith('/*')) return id === pattern
  const prefix = pattern.slice(0, -1)
  return (
    /^[a-z][a-z0-9+.-]*:\/\/[^/]+\/.*$/.test(prefix) && id.length > prefix.length && id.startsWith(prefix)
  )
}

function texts(value: Json | undefined): readonly string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
}

function isPositive(value: Json | undefined): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1
}
