import { type EpochSeconds, toSeconds } from '#lib/clock.ts'
import { isAutonomous, type VerifiedToken } from '#model/identity.ts'
import type { ReadNode, Release, SchemaAttributes } from '#model/release.ts'
import type { EntityUid, JsonObject, Value, ValueRecord } from '#model/value.ts'
import type { PartyQuery, PolicyInput } from './asked.ts'
import type { EntityFactsView } from './entity-facts.ts'
import { TypeMismatch, toRecord } from './typed.ts'
import { type Level, record, reference, tenantUid } from './warder-entities.ts'

/** What was worked out about the call before its context is made. */
export interface CallFacts {
  readonly view: EntityFactsView
  readonly toolUid: EntityUid
  readonly sensitivity: Level
  /** Path parameters of a matched route. */
  readonly parameters: JsonObject
  /** Context attributes that the schema declares for this action; undefined without a schema. */
  readonly declaredContext: SchemaAttributes | undefined
}

/** Attributes of `CallContext` in policies/schema.cedarschema: set here, never copied from a request. */
const PDP_ATTRIBUTES = new Set([
  'now',
  'party',
  'autonomous',
  'agent',
  'user',
  'tool',
  'delegation',
  'risk',
  'sensitivity',
  'tenant',
  'token',
  'staleKeys',
  'session',
  'gateway',
  'claimed',
])

/**
 * The context of every party's query but for `party`: the PDP's own facts, and the attributes that the tenant's schema declares for this
 * action, such as `input` with the typed arguments of the call. Arguments that no schema declares are left out.
 *
 * @throws {TypeMismatch} when an argument or context value does not fit the schema
 */
export function callContext(input: PolicyInput, facts: CallFacts, withClaims: boolean): ValueRecord {
  const { request, identity, gateway, trusts } = input
  const context = new Map(declaredAttributes(input, facts, withClaims))
  context.set('now', { kind: 'extension', fn: 'datetime', text: new Date(request.now).toISOString() })
  context.set('autonomous', isAutonomous(identity))
  if (identity.agent !== undefined)
    context.set('agent', reference({ type: 'Warder::Agent', id: identity.agent.id }))
  if (identity.user !== undefined)
    context.set('user', reference({ type: 'Warder::User', id: identity.user.id }))
  context.set('tool', toolFacts(input, facts))
  context.set('delegation', fields({ ...delegation(input) }))
  const risk = trusts.context ? request.risk?.score : undefined
  context.set('risk', fields({ score: risk ?? 0, provenance: risk === undefined ? 'none' : 'gateway' }))
  context.set(
    'sensitivity',
    fields({ level: facts.sensitivity.level, provenance: facts.sensitivity.provenance }),
  )
  context.set('tenant', tenantFacts(input, facts))
  if (identity.token !== undefined) context.set('token', tokenFacts(identity.token, toSeconds(request.now)))
  if (identity.staleKeys !== undefined)
    context.set(
      'staleKeys',
      fields({ issuers: { kind: 'set', elements: identity.staleKeys }, provenance: 'signal' }),
    )
  if (request.session !== undefined) context.set('session', fields({ id: request.session.id }))
  context.set('gateway', fields({ name: gateway.name }))
  if (withClaims) context.set('claimed', { kind: 'record', fields: claims(input) })
  return context
}

/** A token that got this far is proven to be held by its sender, as far as it is bound at all. */
function boundOf({ boundTo }: VerifiedToken): string {
  const methods = [...(boundTo?.jkt ? ['dpop'] : []), ...(boundTo?.x5t ? ['mtls'] : [])]
  return methods.length === 0 ? 'none' : methods.join('+')
}

/** Whether the request declares anything that a policy of this tenant could read. */
export function hasClaims(input: PolicyInput): boolean {
  return claims(input).size > 0 || (!input.trusts.context && Object.keys(input.request.context).length > 0)
}

/** Whether any matching policy can read what was declared; where none can, asking twice would give the same answer. */
export function readsClaims(
  release: Release,
  view: EntityFactsView,
  queries: readonly PartyQuery[],
): boolean {
  return readsContext(release, view, queries, (name) => name === 'claimed' || !PDP_ATTRIBUTES.has(name))
}

/** Whether any matching policy can read arguments of the call beside those that are `known`. */
export function readsArguments(
  release: Release,
  view: EntityFactsView,
  queries: readonly PartyQuery[],
  known: JsonObject,
): boolean {
  const isKnown = ({ whole, attrs }: ReadNode): boolean => {
    const names = Object.keys(attrs)
    return !whole && names.length > 0 && names.every((name) => Object.hasOwn(known, name))
  }
  return readsContext(release, view, queries, (name, node) => name === 'input' && !isKnown(node))
}

function readsContext(
  release: Release,
  view: EntityFactsView,
  queries: readonly PartyQuery[],
  isMeant: (attribute: string, node: ReadNode) => boolean,
): boolean {
  return queries.some(({ query }) => {
    const ordinals = release.matching({
      principal: query.principal,
      principalAncestors: view.find(query.principal)?.ancestors ?? [],
      action: query.action,
      actionAncestors: query.actionAncestors,
      resource: query.resource,
      resourceAncestors: view.find(query.resource)?.ancestors ?? [],
    })
    return ordinals.some((ordinal) => {
      const { all, context } = release.policy(ordinal).reads
      return (
        all ||
        context?.whole === true ||
        Object.entries(context?.attrs ?? {}).some(([name, node]) => isMeant(name, node))
      )
    })
  })
}

function declaredAttributes(
  { request, trusts }: PolicyInput,
  facts: CallFacts,
  withClaims: boolean,
): ValueRecord {
  const own = ownAttributes(facts.declaredContext ?? {})
  if (own === undefined) return new Map()
  const fromGateway = trusts.context || withClaims ? request.context : {}
  const source = {
    ...fromGateway,
    ...request.mapped,
    input: boundArguments(facts.parameters, request.arguments ?? {}),
  }
  // Arguments that are still open are neither there nor missed.
  const { input: _input, ...others } = own
  return toRecord(source, request.argumentsOpen === true ? others : own, 'caller', '', true)
}

const ownByDeclared = new WeakMap<SchemaAttributes, SchemaAttributes | null>()

/** Those that a request fills; undefined where there are none. Worked out once for each action of the schema. */
function ownAttributes(declared: SchemaAttributes): SchemaAttributes | undefined {
  const known = ownByDeclared.get(declared)
  if (known !== undefined) return known ?? undefined
  const own = Object.entries(declared).filter(([name]) => !PDP_ATTRIBUTES.has(name))
  const kept = own.length === 0 ? null : Object.fromEntries(own)
  ownByDeclared.set(declared, kept)
  return kept ?? undefined
}

/** Arguments of the call. A path parameter and a body member of the same name must agree: only one of them is what runs. */
function boundArguments(parameters: JsonObject, body: JsonObject): JsonObject {
  const differing = Object.keys(parameters).find(
    (name) => Object.hasOwn(body, name) && body[name] !== parameters[name],
  )
  if (differing !== undefined) throw new TypeMismatch(`arguments.${differing}`, 'the same in path and body')
  return { ...body, ...parameters }
}

function toolFacts({ registry, request }: PolicyInput, { view, toolUid }: CallFacts): Value {
  const attrs = view.find(toolUid)?.attrs ?? new Map<string, Value>()
  const slash = toolUid.id.indexOf('/')
  return {
    kind: 'record',
    fields: new Map<string, Value>([
      ['id', toolUid.id],
      ['server', slash > 0 && !toolUid.id.includes(' ') ? toolUid.id.slice(0, slash) : ''],
      ...['riskTier', 'sideEffect', 'touches', 'environment'].map((name): [string, Value] => [
        name,
        attrs.get(name) ?? '',
      ]),
      ['classified', request.protocolEffect === 'read' || registry.find(toolUid) !== undefined],
    ]),
  }
}

function tokenFacts(token: VerifiedToken, now: EpochSeconds): Value {
  const { issuer, scopes, issuedAt, authentication } = token
  const set = (elements: readonly string[]): Value => ({ kind: 'set', elements })
  // INVARIANT: an unknown issue date counts as very old, and what the token does not say about the user's authentication is
  // absent: neither ever looks fresher or stronger than it is.
  const age = (since: number) => Math.max(0, Math.floor(now - since))
  const { acr, amr, at } = authentication ?? {}
  return fields({
    issuer,
    scopes: set(scopes),
    ageSeconds: age(issuedAt ?? 0),
    bound: boundOf(token),
    ...(acr !== undefined && { acr }),
    ...(amr !== undefined && { amr: set(amr) }),
    ...(at !== undefined && { authAgeSeconds: age(at) }),
  })
}

function delegation({ identity }: PolicyInput): { readonly [name: string]: Value } {
  const { source, chain, evidence, crossings = [] } = identity.delegation
  const provenance = { token: 'verified', gateway: 'gateway', none: 'none' }[source]
  const unproven = { token: 'token', gateway: 'declared', none: 'none' }[source]
  // Prior actors are not told: their part is to deny, before policies are asked (RFC 8693 section 4.1).
  return {
    source,
    depth: chain.length,
    provenance,
    evidence: evidence ?? unproven,
    federated: crossings.length > 0,
  }
}

function tenantFacts({ identity, registry }: PolicyInput, { view }: CallFacts): Value {
  const uid = tenantUid(identity.tenant)
  return fields({
    id: identity.tenant,
    classification: view.find(uid)?.attrs.get('classification') ?? 0,
    provenance: registry.find(uid) === undefined ? 'none' : 'registry',
  })
}

/** What the agent says about itself, plus facts that this gateway is not registered to assert. */
function claims({ request, trusts }: PolicyInput): ValueRecord {
  const { goal, task, riskScore: declaredRisk, approved } = request.declared
  // The higher of the two: neither may hide the other.
  const riskScore = highest([declaredRisk, trusts.context ? undefined : request.risk?.score])
  const found = new Map<string, Value>()
  if (typeof goal === 'string') found.set('goal', goal)
  if (typeof task === 'string') found.set('task', task)
  if (riskScore !== undefined) found.set('riskScore', riskScore)
  if (typeof approved === 'boolean') found.set('approved', approved)
  return found
}

function highest(scores: readonly unknown[]): number | undefined {
  const numbers = scores.filter((score) => typeof score === 'number' && Number.isSafeInteger(score))
  return numbers.length === 0 ? undefined : Math.max(...numbers.map(Number))
}

function fields(values: { readonly [name: string]: Value }): Value {
  return { kind: 'record', fields: record(values) }
}
