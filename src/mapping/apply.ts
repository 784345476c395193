import { failed, type Result, success } from '#lib/result.ts'
import type { Stop, VerifiedIdentity } from '#model/identity.ts'
import { REASONS, type ReasonCode } from '#model/reasons.ts'
import type { StoredEntity } from '#model/registry.ts'
import { type AuthorizationRequest, isJsonDialect } from '#model/request.ts'
import type { TenantState } from '#model/state.ts'
import { defaultMapping } from './default-mapping.ts'
import { compileMapping, type Mapped, type Mapping } from './mapping.ts'
import { readsArgument } from './reads.ts'

/** The call as policies are asked about it. */
export interface MappedCall {
  readonly request: AuthorizationRequest
  readonly identity: VerifiedIdentity
}

/** Type of a user where no mapping says it (COAZ-MCP, "Default Mappings"), and of an agent without a user. */
const USER_TYPE = 'identity'
const AGENT_TYPE = 'agent'

/**
 * The call as the mapping of its tool says: what is called stays, and a resource and facts of the call are added. For policies of a
 * tenant's own vocabulary also subject and action; there a call of MCP without a declared mapping has the default one.
 *
 * A gateway that asks through AuthZEN has mapped already.
 *
 * INVARIANT: the subject is the verified user, or the verified agent where there is no user; a mapping that says another denies. A
 * user and an agent never share a type, so a client whose id is a user's `sub` is not that user (RFC 9068 section 5). What can't be
 * mapped denies.
 */
export function applyMapping(
  request: AuthorizationRequest,
  identity: VerifiedIdentity,
  tenant: TenantState,
  tool: string | undefined,
): Result<MappedCall, Stop> {
  const unchanged = success({ request, identity })
  if (request.dialect === 'authzen' || tool === undefined) return unchanged
  const call = { request, identity, tenant, tool, isOwn: tenant.release?.vocabulary === 'own' }
  const declared = declaredMapping(tenant, tool)
  if (declared === undefined) return call.isOwn && request.protocol === 'mcp' ? byDefault(call) : unchanged
  if (!declared.ok) return stopped('mapping.failed', declared.failure)
  // Nobody has chosen the arguments of a listed tool: whatever the resource will be is not known yet.
  const isOpen = request.argumentsOpen === true && readsArguments(declared.value)
  return isOpen ? unchanged : byDeclared(call, declared.value)
}

/** Whether what the call is about hangs on arguments that nobody has chosen yet. */
export function isOpenMapping({ tool, argumentsOpen }: AuthorizationRequest, tenant: TenantState): boolean {
  const isOpen = argumentsOpen === true && tool !== undefined
  const declared = isOpen ? declaredMapping(tenant, tool) : undefined
  return declared?.ok === true && readsArguments(declared.value)
}

interface Call extends MappedCall {
  readonly tenant: TenantState
  readonly tool: string
  /** Whether the policies are of the tenant's own vocabulary. */
  readonly isOwn: boolean
}

function byDefault(call: Call): Result<MappedCall, Stop> {
  const { request, identity, tool } = call
  const mapped = defaultMapping(tool, request.arguments ?? {}, identity.agent?.id)
  return mapped === undefined ? stopped('mapping.missing') : asked(call, mapped)
}

function byDeclared(call: Call, mapping: Mapping): Result<MappedCall, Stop> {
  const { request, identity, tenant, tool } = call
  // INVARIANT: a mapping never falls back on a default because nobody has read the arguments.
  if (readsArguments(mapping) && areUnread(request)) return stopped('mcp.body_needed')
  if (readsMasked(mapping, tenant, tool))
    return stopped('mapping.failed', 'it reads an argument whose value must not be logged')
  const params = { name: nameOf(tool), arguments: request.arguments ?? {} }
  const mapped = mapping.evaluate({ params, token: identity.token?.claims })
  return mapped.ok ? asked(call, mapped.value) : stopped('mapping.failed', mapped.failure)
}

function asked({ request, identity, tool, isOwn }: Call, mapped: Mapped): Result<MappedCall, Stop> {
  const party = identity.user ?? identity.agent
  const { subject, action } = mapped
  if (party === undefined || (subject.id !== undefined && subject.id !== party.id))
    return stopped('mapping.failed', 'the subject is not the verified one')
  const resource = { ...mapped.resource, properties: {} }
  const named = request.resource
  if (named !== undefined && (named.type !== resource.type || named.id !== resource.id))
    return stopped('mapping.failed', 'the gateway names another resource')
  const withFacts = { ...request, resource, ...factsOf(mapped) }
  if (!isOwn) {
    // The action of Warder's vocabulary is the tool: risk, scopes and kill switches hang on it.
    return ['tools/call', tool, nameOf(tool)].includes(action.name)
      ? success({ request: withFacts, identity })
      : stopped('mapping.failed', 'the action is not the tool')
  }
  const isLoneAgent = identity.user === undefined
  const uid = { type: subject.type ?? (isLoneAgent ? AGENT_TYPE : USER_TYPE), id: party.id }
  if ((uid.type === AGENT_TYPE) !== isLoneAgent)
    return stopped('mapping.failed', 'the type `agent` is for an agent without a user, which has no other')
  return success({
    request: { ...withFacts, action: { name: action.name, properties: {} } },
    identity: { ...identity, subject: { uid, provenance: party.provenance, properties: {} } },
  })
}

function factsOf({ context, action: { properties } }: Mapped): Pick<AuthorizationRequest, 'mapped'> {
  const facts = { ...context, ...(properties !== undefined && { action_properties: properties }) }
  return Object.keys(facts).length === 0 ? {} : { mapped: facts }
}

function nameOf(tool: string): string {
  return tool.slice(tool.indexOf('/') + 1)
}

/** The tool's own mapping, else that of its server. Compiled once for each registered entity. */
function declaredMapping({ registry }: TenantState, tool: string): Result<Mapping, string> | undefined {
  const slash = tool.indexOf('/')
  const name = nameOf(tool)
  const own = compiledOf(registry.find({ type: 'Warder::Tool', id: tool }))
  if (own !== undefined || slash <= 0 || name.startsWith('mcp:') || name.startsWith('a2a:')) return own
  return compiledOf(registry.find({ type: 'Warder::Server', id: tool.slice(0, slash) }))
}

const compiled = new WeakMap<StoredEntity, Result<Mapping, string>>()

function compiledOf(entity: StoredEntity | undefined): Result<Mapping, string> | undefined {
  const json = entity?.attrs['mapping']
  if (entity === undefined || json === undefined) return undefined
  const known = compiled.get(entity) ?? compileMapping(json)
  compiled.set(entity, known)
  return known
}

/** Of a call through headers nobody has read the body, unless it was a message of a protocol. */
function areUnread({ argumentsUnknown, arguments: given, dialect }: AuthorizationRequest): boolean {
  return argumentsUnknown === true || (given === undefined && !isJsonDialect(dialect))
}

function readsArguments({ reads }: Mapping): boolean {
  return reads.arguments === 'all' || reads.arguments.size > 0
}

/** INVARIANT: what the log masks among the arguments reaches it under no other name. */
function readsMasked({ reads }: Mapping, { registry, maskFields }: TenantState, tool: string): boolean {
  const marked = registry.find({ type: 'Warder::Tool', id: tool })?.attrs['sensitiveArguments']
  const masked = [...(Array.isArray(marked) ? marked.map(String) : []), ...(maskFields ?? [])]
  return masked.some((name) => readsArgument(reads, name))
}

function stopped(code: ReasonCode, detail?: string): Result<never, Stop> {
  return failed({ code, message: REASONS[code], ...(detail !== undefined && { detail }) })
}
