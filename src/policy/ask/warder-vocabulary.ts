import { isAutonomous, type Party } from '#model/identity.ts'
import type { Provenance } from '#model/provenance.ts'
import type { SchemaModel } from '#model/release.ts'
import { type AuthorizationRequest, isJsonDialect } from '#model/request.ts'
import { type EntityUid, type JsonObject, uidKey } from '#model/value.ts'
import { type Asked, notAsked, type PartyQuery, type PolicyInput } from './asked.ts'
import { EntityFactsView } from './entity-facts.ts'
import { applies, type DeclaredAction, declaredAction } from './schema-lookup.ts'
import { isToolGroup } from './tool-group.ts'
import { type CallFacts, callContext, hasClaims, readsArguments, readsClaims } from './warder-context.ts'
import {
  contributeParties,
  contributeResource,
  contributeTool,
  resourceOf,
  toolIdOf,
} from './warder-entities.ts'

const ACTION = 'Warder::Action'
const CALL_TOOL: EntityUid = { type: ACTION, id: 'callTool' }
const DESTRUCTIVE: EntityUid = { type: ACTION, id: 'destructiveTools' }
const GROUP_OF = {
  read: { type: ACTION, id: 'readTools' },
  write: { type: ACTION, id: 'writeTools' },
} as const
const EFFECT_GROUPS = new Set(['readTools', 'writeTools', 'destructiveTools'])

/**
 * Asks in Warder's own vocabulary: one query for the agent and one for the user, same action, resource and context
 * (docs/decisions/0003-cedar-engine.md). A party that is missing is not asked; an agent alone is autonomous, a user alone needs a gateway that is
 * registered for it.
 *
 * @throws {TypeMismatch} when an argument or context value does not fit the schema
 */
export function askWarderVocabulary(input: PolicyInput): Asked {
  const { identity, gateway, request } = input
  const parties = partiesOf(input)
  if (parties.length === 0) return notAsked({ code: 'identity.missing' })
  if (identity.agent === undefined && !gateway.userOnly) return notAsked({ code: 'gateway.user_only' })
  const tool = toolIdOf(request, input.registry)
  if (tool === undefined) {
    return notAsked({ code: 'request.not_applicable', message: 'the request names no tool, route or action' })
  }
  if (isToolGroup(input, tool.id)) {
    return notAsked({ code: 'request.not_applicable', message: 'a group of tools can not be called' })
  }
  return askForTool(input, parties, tool)
}

function askForTool(input: PolicyInput, parties: readonly NamedParty[], tool: Tool): Asked {
  const { release } = input
  const view = new EntityFactsView(input.registry, release)
  contributeParties(view, input)
  const toolUid = contributeTool(view, input, tool.id)
  const resource = resourceOf(input, toolUid)
  const sensitivity = contributeResource(view, input, resource, toolUid)
  const action = { type: ACTION, id: tool.id }
  const actionAncestors = groupsOf(input, action)
  const template = templateOf(input, action, actionAncestors)
  if (!parties.every(({ uid }) => applicable(release.schema, template, uid, resource))) {
    return notAsked({ code: 'request.not_applicable' })
  }
  const declaredContext = template?.context
  const facts: CallFacts = { view, toolUid, sensitivity, parameters: tool.parameters, declaredContext }
  const queries = (withClaims: boolean): readonly PartyQuery[] => {
    const shared = callContext(input, facts, withClaims)
    return parties.map(({ party, uid }) => {
      const context = new Map(shared).set('party', party)
      return {
        party,
        query: { principal: uid, action, resource, actionAncestors, context, entity: view.find },
      }
    })
  }
  const plain = queries(false)
  // INVARIANT: a policy that reads arguments never decides without them; a forbid that tests for one would not fire.
  if (areArgumentsUnknown(input.request) && readsArguments(release, view, plain, tool.parameters))
    return notAsked({ code: 'mcp.body_needed' })
  return {
    ok: true,
    queries: plain,
    withDeclared: hasClaims(input) && readsClaims(release, view, plain) ? queries(true) : undefined,
    autonomous: isAutonomous(input.identity),
    tool: tool.id,
    views: [view],
    provenance: provenanceOf(input, toolUid, sensitivity.provenance),
  }
}

/** Of a call through headers nobody has read query and body, unless it was a message of a protocol. */
function areArgumentsUnknown({ argumentsUnknown, arguments: given, dialect }: AuthorizationRequest): boolean {
  return argumentsUnknown === true || (given === undefined && !isJsonDialect(dialect))
}

function provenanceOf(
  { identity, registry, request, trusts }: PolicyInput,
  toolUid: EntityUid,
  sensitivity: Provenance,
): { readonly [fact: string]: Provenance } {
  return {
    ...(identity.agent === undefined ? {} : { agent: identity.agent.provenance }),
    ...(identity.user === undefined ? {} : { user: identity.user.provenance }),
    tool: registry.find(toolUid) === undefined ? 'none' : 'registry',
    sensitivity,
    risk: request.risk !== undefined && trusts.context ? 'gateway' : 'none',
  }
}

interface NamedParty {
  readonly party: 'agent' | 'user'
  readonly uid: EntityUid
}

interface Tool {
  readonly id: string
  readonly parameters: JsonObject
}

function partiesOf({ identity }: PolicyInput): readonly NamedParty[] {
  const uid = (party: 'agent' | 'user', type: string, found: Party | undefined) =>
    found === undefined ? [] : [{ party, uid: { type, id: found.id } }]
  return [...uid('agent', 'Warder::Agent', identity.agent), ...uid('user', 'Warder::User', identity.user)]
}

/** Groups of a tool: the registry's and the schema's. INVARIANT: a tool that nobody classified counts as destructive. */
function groupsOf({ registry, release, request }: PolicyInput, action: EntityUid): readonly EntityUid[] {
  const registered = registry.ancestors(action)
  const declared = declaredAction(release.schema, action)?.groups ?? []
  const known = united.get(registered)
  const groups = known?.declared === declared ? known.groups : uniteGroups(registered, declared)
  // Only a registered tool's list comes again.
  if (registered.length > 0) united.set(registered, { declared, groups })
  if (groups.some(({ type, id }) => type === ACTION && EFFECT_GROUPS.has(id))) return groups
  return [...groups, request.protocolEffect === undefined ? DESTRUCTIVE : GROUP_OF[request.protocolEffect]]
}

/** Groups by the registry's list of them, which stays the same until something changes. */
const united = new WeakMap<
  readonly EntityUid[],
  { readonly declared: readonly EntityUid[]; readonly groups: readonly EntityUid[] }
>()

function uniteGroups(registered: readonly EntityUid[], declared: readonly EntityUid[]): readonly EntityUid[] {
  return [...new Map([...registered, ...declared, CALL_TOOL].map((uid) => [uidKey(uid), uid])).values()]
}

/** The declaration that a tool is checked against: its own, else that of its nearest declared group. */
function templateOf(
  { release }: PolicyInput,
  action: EntityUid,
  groups: readonly EntityUid[],
): DeclaredAction | undefined {
  const own = declaredAction(release.schema, action)
  if (own !== undefined) return own
  for (const group of groups) {
    const declared = declaredAction(release.schema, group)
    if (declared !== undefined) return declared
  }
  return undefined
}

function applicable(
  schema: SchemaModel | undefined,
  template: DeclaredAction | undefined,
  principal: EntityUid,
  resource: EntityUid,
): boolean {
  return schema === undefined || (template !== undefined && applies(schema, template, principal, resource))
}
