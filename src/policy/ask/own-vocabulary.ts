import type { SchemaModel } from '#model/release.ts'
import type { EntityUid, JsonObject, ValueRecord } from '#model/value.ts'
import { type Asked, notAsked, type PartyQuery, type PolicyInput } from './asked.ts'
import { cedarTypeName, isActionType } from './cedar-name.ts'
import { claimedAttributes, EntityFactsView } from './entity-facts.ts'
import { actionsNamed, applies, declaredAction } from './schema-lookup.ts'
import { toRecord } from './typed.ts'

const NO_PROPERTIES: JsonObject = {}

/**
 * Asks for a tenant whose policies use no `Warder` type: the AuthZEN subject is the only party (docs/architecture.md).
 *
 * Types are kept where they are Cedar type names and escaped otherwise. Stored attributes win over `properties`; unknown
 * entities have no attributes or parents. Action properties arrive as `context.action_properties`.
 *
 * @throws {TypeMismatch} when a property or context value does not fit the schema
 */
export function askOwnVocabulary(input: PolicyInput): Asked {
  const { request, identity, release } = input
  const { subject } = identity
  if (subject === undefined || request.resource === undefined || request.action === undefined) {
    return notAsked({ code: 'policy.vocabulary' })
  }
  const resource = { type: cedarTypeName(request.resource.type), id: request.resource.id }
  const principal = { type: cedarTypeName(subject.uid.type), id: subject.uid.id }
  if (isActionType(principal.type) || isActionType(resource.type))
    return notAsked({ code: 'request.not_applicable' })
  const action = actionUid(release.schema, request.action.name, resource, principal)
  if (release.schema !== undefined) {
    const declared = declaredAction(release.schema, action)
    if (declared === undefined) return notAsked({ code: 'request.action_unknown' })
    if (!applies(release.schema, declared, principal, resource))
      return notAsked({ code: 'request.not_applicable' })
  }

  const query = (declared: boolean): { readonly view: EntityFactsView; readonly party: PartyQuery } => {
    const view = new EntityFactsView(input.registry, release)
    const properties = declared || input.trusts.properties
    contributeClaim(view, principal, properties ? subject.properties : NO_PROPERTIES, 'subject.properties')
    contributeClaim(
      view,
      resource,
      properties ? (request.resource?.properties ?? {}) : NO_PROPERTIES,
      'resource.properties',
    )
    const context = contextOf(input, action, declared)
    const actionAncestors = actionGroups(input, action)
    return {
      view,
      party: {
        party: 'subject',
        query: { principal, action, resource, actionAncestors, context, entity: view.find },
      },
    }
  }
  const base = query(false)
  const overlay = hasDeclared(input) ? query(true) : undefined
  const claimed = input.trusts.properties ? 'gateway' : 'declared'
  return {
    ok: true,
    queries: [base.party],
    withDeclared: overlay === undefined ? undefined : [overlay.party],
    autonomous: false,
    tool: undefined,
    views: overlay === undefined ? [base.view] : [base.view, overlay.view],
    provenance: {
      subject: subject.provenance,
      properties: claimed,
      context: input.trusts.context ? 'gateway' : 'declared',
    },
  }
}

function contributeClaim(view: EntityFactsView, uid: EntityUid, properties: JsonObject, path: string): void {
  view.contribute(uid, claimedAttributes(view, uid.type, properties, path))
}

function hasDeclared({ request, identity, trusts }: PolicyInput): boolean {
  const properties =
    Object.keys(identity.subject?.properties ?? {}).length > 0 ||
    Object.keys(request.resource?.properties ?? {}).length > 0 ||
    Object.keys(request.action?.properties ?? {}).length > 0
  return (!trusts.properties && properties) || (!trusts.context && Object.keys(request.context).length > 0)
}

function contextOf(
  { request, release, trusts }: PolicyInput,
  action: EntityUid,
  declared: boolean,
): ValueRecord {
  const fromGateway = declared || trusts.context ? request.context : {}
  const properties = declared || trusts.properties ? (request.action?.properties ?? {}) : {}
  // Set by us: a caller's own member of that name is no action property.
  const { action_properties: _ignored, ...context } = fromGateway
  const own = Object.keys(properties).length === 0 ? context : { ...context, action_properties: properties }
  const whole = request.mapped === undefined ? own : { ...own, ...request.mapped }
  const attrs = declaredAction(release.schema, action)?.context
  return toRecord(whole, release.schema === undefined ? undefined : (attrs ?? {}), 'caller', 'context', true)
}

function actionGroups({ registry, release }: PolicyInput, action: EntityUid): readonly EntityUid[] {
  const declared = declaredAction(release.schema, action)
  return declared === undefined ? registry.ancestors(action) : declared.groups
}

/**
 * The action that an AuthZEN name means: the declared one with this id, preferring the namespace of the resource, then of
 * the subject, then none; without a schema `Action::"name"`.
 */
function actionUid(
  schema: SchemaModel | undefined,
  name: string,
  resource: EntityUid,
  principal: EntityUid,
): EntityUid {
  const preferred = [namespaceOf(resource.type), namespaceOf(principal.type), ''].map(
    (namespace) => `${namespace}Action`,
  )
  const found = actionsNamed(schema, name)
  const best = preferred
    .map((type) => found.find((uid) => uid.type === type))
    .find((uid) => uid !== undefined)
  return best ?? found[0] ?? { type: 'Action', id: name }
}

function namespaceOf(type: string): string {
  const end = type.lastIndexOf('::')
  return end === -1 ? '' : type.slice(0, end + 2)
}
