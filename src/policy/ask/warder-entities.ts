import type { Provenance } from '#model/provenance.ts'
import type { RegistrySnapshot } from '#model/registry.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { EntityUid, JsonObject, Value, ValueRecord } from '#model/value.ts'
import type { PolicyInput } from './asked.ts'
import { cedarTypeName, isActionType } from './cedar-name.ts'
import { claimedAttributes, type EntityFactsView } from './entity-facts.ts'
import { TypeMismatch } from './typed.ts'

/** Sensitivity of a data object about which nobody says anything: confidential (policies/schema.cedarschema). */
const SENSITIVITY_UNKNOWN = 2

/** A number fact with its class. */
export interface Level {
  readonly level: number
  readonly provenance: Provenance
}

/** The tool that a request calls: named, found by its route, or named by the AuthZEN action. */
export function toolIdOf(
  request: AuthorizationRequest,
  registry: RegistrySnapshot,
): { readonly id: string; readonly parameters: JsonObject } | undefined {
  if (request.tool !== undefined) return { id: request.tool, parameters: {} }
  if (request.route !== undefined) {
    const { method, path } = request.route
    const found = registry.matchRoute(method, path)
    // A route that nobody registered is a tool of its own that nobody classified.
    return found === undefined
      ? { id: `${method} ${path}`, parameters: {} }
      : { id: found.tool, parameters: found.parameters }
  }
  return request.action === undefined ? undefined : { id: request.action.name, parameters: {} }
}

/** Makes agent and user visible to policies, with the defaults of the schema under what the registry says. */
export function contributeParties(view: EntityFactsView, { identity }: PolicyInput): void {
  const tenant = tenantUid(identity.tenant)
  view.contribute(tenant, record({ classification: SENSITIVITY_UNKNOWN }))
  const base = { tenant: reference(tenant), status: 'active' }
  if (identity.agent !== undefined) {
    view.contribute(
      { type: 'Warder::Agent', id: identity.agent.id },
      record({ ...base, environment: 'any' }),
      // An agent of another tenant acts in this one, but is a member of its own.
      [identity.agent.home === undefined ? tenant : tenantUid(identity.agent.home)],
    )
  }
  if (identity.user !== undefined) {
    view.contribute({ type: 'Warder::User', id: identity.user.id }, record(base), [tenant])
  }
}

/** Makes the tool visible: what the registry does not say is the most dangerous kind. */
export function contributeTool(
  view: EntityFactsView,
  { identity, request }: PolicyInput,
  id: string,
): EntityUid {
  const uid = { type: 'Warder::Tool', id }
  const tenant = tenantUid(identity.tenant)
  const defaults = record({
    tenant: reference(tenant),
    riskTier: request.protocolEffect === 'read' ? 'low' : 'unclassified',
    sideEffect: request.protocolEffect ?? 'destructive',
    touches: { kind: 'set', elements: [] },
    environment: 'any',
  })
  view.contribute(uid, defaults, [tenant])
  return uid
}

/**
 * The resource of the call: the tool itself, an entity of a type that the schema declares, or a `Warder::Resource`
 * (id as it is for `resource` and `Warder::Resource`, `type:id` for any other kind of thing).
 */
export function resourceOf({ request, release }: PolicyInput, tool: EntityUid): EntityUid {
  const claim = request.resource
  if (claim === undefined || claim.type === 'tool' || claim.type === 'Warder::Tool') return tool
  const type = cedarTypeName(claim.type)
  if (type === 'Warder::Resource' || type === 'resource') return { type: 'Warder::Resource', id: claim.id }
  const declared = Object.hasOwn(release.schema?.entityTypes ?? {}, type)
  return declared && !isActionType(type)
    ? { type, id: claim.id }
    : { type: 'Warder::Resource', id: `${claim.type}:${claim.id}` }
}

/** Makes the resource visible and tells how sensitive it is and who says so. */
export function contributeResource(
  view: EntityFactsView,
  input: PolicyInput,
  uid: EntityUid,
  tool: EntityUid,
): Level {
  if (uid.type === tool.type && uid.id === tool.id) return toolSensitivity(input, tool)
  const stored = view.stored(uid)?.attrs.get('sensitivity')
  const properties = input.request.resource?.properties ?? {}
  const { tenant: named, ...rest } = properties
  const asserted = input.trusts.properties
    ? claimedAttributes(view, uid.type, rest, 'resource.properties')
    : new Map<string, Value>()
  if (uid.type !== 'Warder::Resource') {
    view.contribute(uid, asserted)
    return level(stored, asserted.get('sensitivity'))
  }
  const tenant = tenantUid(owningTenant(named, input.identity.tenant))
  const defaults = record({
    tenant: reference(tenant),
    kind: input.request.resource?.type ?? 'resource',
    sensitivity: SENSITIVITY_UNKNOWN,
    environment: 'any',
  })
  view.contribute(uid, asserted.size === 0 ? defaults : new Map([...defaults, ...asserted]), [tenant])
  return level(stored, asserted.get('sensitivity'))
}

/** The entity of a tenant. */
export function tenantUid(tenant: string): EntityUid {
  return { type: 'Warder::Tenant', id: tenant }
}

/** An entity reference as a value. */
export function reference(uid: EntityUid): Value {
  return { kind: 'entity', uid }
}

/** Fields from a plain object of values. */
export function record(fields: { readonly [name: string]: Value }): ValueRecord {
  const made = new Map<string, Value>()
  for (const name of Object.keys(fields)) {
    const value = fields[name]
    if (value !== undefined) made.set(name, value)
  }
  return made
}

/** A tenant that a request names for its resource is honoured from anybody: it can only make the isolation guard fire. */
function owningTenant(named: JsonObject[string] | undefined, own: string): string {
  if (named === undefined || named === null) return own
  if (typeof named === 'string') return named
  throw new TypeMismatch('resource.properties.tenant', 'the name of a tenant')
}

function toolSensitivity({ registry }: PolicyInput, tool: EntityUid): Level {
  const stored = registry.find(tool)?.attrs['sensitivity']
  return typeof stored === 'number'
    ? { level: stored, provenance: 'registry' }
    : { level: 0, provenance: 'none' }
}

function level(stored: Value | undefined, asserted: Value | undefined): Level {
  if (typeof stored === 'number') return { level: stored, provenance: 'registry' }
  if (typeof asserted === 'number') return { level: asserted, provenance: 'gateway' }
  return { level: SENSITIVITY_UNKNOWN, provenance: 'none' }
}
