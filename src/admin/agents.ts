import type { EpochMilliseconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import { parseTenantId, type TenantId } from '#model/ids.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { Json } from '#model/value.ts'
import type { AgentBefore, AgentChange, AgentListing, AgentStore } from './delegation-ports.ts'
import { type AdminFailure, type AdminFailureCode, invalid, refused, tenantUnknown } from './failure.ts'
import { reasonOf } from './grants.ts'

/** What can be done with a registered agent. */
export const AGENT_ACTIONS = ['activate', 'suspend', 'resume', 'retire'] as const

/** One of them. */
export type AgentAction = (typeof AGENT_ACTIONS)[number]

/** An agent as an administrator registers it. */
export interface AgentRequest {
  readonly tenant: string
  readonly agent: string
  readonly owner?: string | undefined
  readonly blueprints?: readonly string[] | undefined
  readonly groups?: readonly string[] | undefined
  readonly environment?: string | undefined
  /** The only issuer that may name it. */
  readonly issuer?: string | undefined
  readonly expiresInSeconds?: number | undefined
  readonly reason: string
}

const ID_LENGTH_MAX = 1024
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is refused
const PLAIN = /^[^\u0000-\u001f\u007f]+$/

/** From which states an action leads where. */
const STEPS: { readonly [action in AgentAction]: { readonly from: readonly string[]; readonly to: string } } =
  {
    activate: { from: ['pending'], to: 'active' },
    suspend: { from: ['pending', 'active'], to: 'suspended' },
    resume: { from: ['suspended'], to: 'active' },
    retire: { from: ['pending', 'active', 'suspended'], to: 'retired' },
  }

/** Registers an agent; it can do nothing before it is activated. */
export async function addAgent(
  store: AgentStore,
  request: AgentRequest,
  now: EpochMilliseconds,
): Promise<Result<AgentListing, AdminFailure>> {
  const { agent, blueprints = [], groups = [] } = request
  const names = [agent, ...blueprints, ...groups, request.owner, request.environment, request.issuer]
  if (!names.every((name) => name === undefined || isId(name)))
    return failed(invalid('agent.invalid', `ids have 1 to ${ID_LENGTH_MAX} printable characters`))
  return await changed(store, request, blueprints, (tenant, { entity, wasRetired }) => {
    if (entity !== undefined || wasRetired) {
      const message = `there is or was an agent \`${agent}\`; ids are not used again`
      return failed(refused('agent.exists', message))
    }
    return success({ entity: newAgent(request, tenant, now), isEnd: false })
  })
}

/**
 * Moves an agent through its life: pending, active, suspended, retired. Only an agent with an owner becomes active, and only within
 * the lifetime that its blueprints set. Retiring ends its grants and is for good.
 */
export async function stepAgent(
  store: AgentStore,
  action: AgentAction,
  request: {
    readonly tenant: string
    readonly agent: string
    readonly reason: string
    /** Becomes its owner with this step. */
    readonly owner?: string | undefined
  },
  now: EpochMilliseconds,
): Promise<Result<AgentListing, AdminFailure>> {
  const { agent, owner } = request
  if (owner !== undefined && !isId(owner))
    return failed(invalid('agent.invalid', 'the owner is no id of a user'))
  return await changed(store, request, [], (_, { entity, blueprints }) => {
    if (entity === undefined)
      return failed(refused('agent.unknown', `there is no agent \`${agent.slice(0, 200)}\``))
    const status = entity.attrs['status']
    const { from, to } = STEPS[action]
    if (typeof status !== 'string' || !from.includes(status)) {
      const message = `an agent that is \`${String(status)}\` can not ${action}; it would have to be ${from.join(' or ')}`
      return failed(refused('agent.state', message))
    }
    const owned = owner === undefined ? {} : { owner: reference('Warder::User', owner) }
    const after = { ...entity, attrs: { ...entity.attrs, ...owned, status: to } }
    const objection = to === 'active' ? objectionToActive(after, blueprints, now) : undefined
    return objection === undefined ? success({ entity: after, isEnd: to === 'retired' }) : failed(objection)
  })
}

function objectionToActive(
  { attrs }: StoredEntity,
  blueprints: readonly StoredEntity[],
  now: EpochMilliseconds,
): AdminFailure | undefined {
  if (attrs['owner'] === undefined)
    return refused(
      'agent.ownerless',
      'an agent without an owner does not become active',
      'give `--owner USER`',
    )
  const end = instantOf(attrs['expiresAt'])
  if (end !== undefined && end <= now) return refused('agent.state', 'the agent has expired')
  for (const { uid, attrs: limits } of blueprints) {
    const seconds = limits['lifetimeSeconds']
    if (typeof seconds === 'number' && (end === undefined || end > now + seconds * 1000))
      return refused(
        'agent.limit',
        `blueprint \`${uid.id}\` lets its agents live ${seconds} seconds at most`,
        'register the agent with an end (`--expires`)',
      )
  }
  return undefined
}

async function changed(
  store: AgentStore,
  request: { readonly tenant: string; readonly agent: string; readonly reason: string },
  blueprints: readonly string[],
  change: (tenant: TenantId, before: AgentBefore) => Result<AgentChange, AdminFailure>,
): Promise<Result<AgentListing, AdminFailure>> {
  const tenant = parseTenantId(request.tenant)
  if (tenant === undefined) return failed(tenantUnknown(request.tenant))
  const reason = reasonOf(request.reason)
  if (!reason.ok) return reason
  const why = { reason: reason.value, blueprints }
  const outcome = await store.changeAgent(tenant, request.agent, (before) => change(tenant, before), why)
  return outcome === 'tenant_unknown' ? failed(tenantUnknown(tenant)) : outcome
}

function newAgent(request: AgentRequest, tenant: TenantId, now: EpochMilliseconds): StoredEntity {
  const {
    agent,
    owner,
    issuer,
    environment = 'any',
    blueprints = [],
    groups = [],
    expiresInSeconds,
  } = request
  const end =
    expiresInSeconds === undefined ? undefined : new Date(now + expiresInSeconds * 1000).toISOString()
  return {
    uid: { type: 'Warder::Agent', id: agent },
    attrs: {
      tenant: reference('Warder::Tenant', tenant),
      status: 'pending',
      environment,
      ...(owner !== undefined && { owner: reference('Warder::User', owner) }),
      ...(issuer !== undefined && { issuer }),
      ...(end !== undefined && { expiresAt: { __extn: { fn: 'datetime', arg: end } } }),
    },
    tags: {},
    parents: [
      ...blueprints.map((id) => ({ type: 'Warder::Blueprint', id })),
      ...groups.map((id) => ({ type: 'Warder::Group', id })),
      { type: 'Warder::Tenant', id: tenant },
    ],
  }
}

/** The answer when an agent is not registered. */
export function agentUnknown(agent: string): AdminFailure {
  const code: AdminFailureCode = 'agent.unknown'
  return refused(code, `there is no agent \`${agent.slice(0, 200)}\``)
}

function reference(type: string, id: string): Json {
  return { __entity: { type, id } }
}

function instantOf(value: Json | undefined): number | undefined {
  if (value === undefined) return undefined
  const text = JSON.stringify(value)
  const end = Date.parse(/"arg":"([^"]+)"/.exec(text)?.[1] ?? '')
  // An end that can't be read has passed.
  return Number.isNaN(end) ? 0 : end
}

function isId(text: string): boolean {
  return text.length > 0 && text.length <= ID_LENGTH_MAX && text.isWellFormed() && PLAIN.test(text)
}
