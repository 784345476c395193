import type { RegistrySnapshot } from '#model/registry.ts'
import type { ActionScope, EntityScope, PolicyRecord, ReadNode, Release } from '#model/release.ts'
import { type EntityUid, type UidKey, uidKey, type ValueRecord } from '#model/value.ts'
import { EntityFactsView } from '#policy/ask/entity-facts.ts'
import { declaredAction } from '#policy/ask/schema-lookup.ts'
import type { EntityFacts, Query } from '#policy/port.ts'
import { entityOf, fieldsByReads, fieldsBySchema, literalsOf, pick, type Source } from './generate-values.ts'

/** Queries of a release with few policies; each of them is asked often. */
const QUERIES_WANTED = 500
/** Bounds for each policy, and for a whole release: more would keep a large one with cedar-wasm for minutes. */
const QUERIES_PER_POLICY_MIN = 4
const QUERIES_PER_POLICY_MAX = 100
const QUERIES_MAX = 2_000

const NOTHING: ValueRecord = new Map()
const NOBODY = 'Shadow'

/**
 * Queries that reach every policy of a release, or of a very large one policies drawn from every part of it, others each time:
 * scopes are met on purpose, and values come from the schema, the registry and the literals of the policy.
 * @param random uniform in [0, 1)
 */
export function* generateQueries(
  release: Release,
  registry: RegistrySnapshot,
  random: () => number,
): Generator<Query> {
  const count = Math.max(1, release.policyCount)
  const wanted = Math.max(QUERIES_PER_POLICY_MIN, Math.ceil(QUERIES_WANTED / count))
  const each = Math.max(1, Math.min(wanted, QUERIES_PER_POLICY_MAX, Math.floor(QUERIES_MAX / count)))
  const stride = Math.max(1, count / QUERIES_MAX)
  for (let start = 0; start < release.policyCount; start += stride) {
    const ordinal = Math.min(release.policyCount - 1, Math.floor(start + random() * (stride - 1)))
    const policy = release.policy(ordinal)
    const source: Source = { release, registry, random, literals: literalsOf(policy) }
    for (let i = 0; i < each; i += 1) yield queryFor(source, policy)
  }
}

function queryFor(source: Source, { scope, reads }: PolicyRecord): Query {
  const { release, registry, random } = source
  const action = actionFor(source, scope.action)
  const declared = declaredAction(release.schema, action.uid)
  const view = new EntityFactsView(registry, release)
  const own = new Map<UidKey, EntityFacts>()
  const party = (
    wanted: EntityScope,
    types: readonly string[] | undefined,
    node: ReadNode | undefined,
  ): EntityUid => {
    const uid = partyFor(source, wanted, types)
    const stored = view.stored(uid)
    if (stored !== undefined && random() < 0.4) return withAncestor(own, stored, wanted)
    if (stored === undefined && random() < 0.05) return uid
    const attrs = release.schema === undefined ? fieldsByReads(source, node) : attributesOf(source, uid.type)
    const tags = node?.tags === true ? tagsOf(source, uid.type) : NOTHING
    const facts = { uid, attrs, tags: stored?.tags ?? tags, ancestors: stored?.ancestors ?? [] }
    return withAncestor(own, facts, wanted)
  }
  const principal = party(scope.principal, declared?.principals, reads.principal)
  const resource = party(scope.resource, declared?.resources, reads.resource)
  const context =
    release.schema === undefined
      ? fieldsByReads(source, reads.context)
      : fieldsBySchema(source, declared?.context ?? {})
  return {
    principal,
    action: action.uid,
    resource,
    actionAncestors: action.ancestors,
    context,
    entity: (uid) => own.get(uidKey(uid)) ?? view.find(uid),
  }
}

function attributesOf(source: Source, type: string): ValueRecord {
  const types = source.release.schema?.entityTypes ?? {}
  return Object.hasOwn(types, type) ? fieldsBySchema(source, types[type]?.attrs ?? {}) : NOTHING
}

function tagsOf(source: Source, type: string): ValueRecord {
  const types = source.release.schema?.entityTypes ?? {}
  const tag = Object.hasOwn(types, type) ? types[type]?.tags : undefined
  if (tag === undefined) return NOTHING
  const names = source.literals.strings.filter(() => source.random() < 0.5)
  return fieldsBySchema(
    source,
    Object.fromEntries(names.map((name) => [name, { type: tag, required: true }])),
  )
}

/** Notes the facts, with the ancestor that the scope asks for. */
function withAncestor(own: Map<UidKey, EntityFacts>, facts: EntityFacts, wanted: EntityScope): EntityUid {
  const ancestor = wanted.op === 'in' || wanted.op === 'is-in' ? wanted.entity : undefined
  const known = ancestor === undefined || facts.ancestors.some((each) => uidKey(each) === uidKey(ancestor))
  own.set(uidKey(facts.uid), known ? facts : { ...facts, ancestors: [...facts.ancestors, ancestor] })
  return facts.uid
}

function partyFor(source: Source, scope: EntityScope, types: readonly string[] | undefined): EntityUid {
  if (scope.op === '==') return scope.entity
  if (scope.op === 'is' || scope.op === 'is-in') return entityOf(source, scope.type)
  const type = pick(source.random, types ?? []) ?? (scope.op === 'in' ? scope.entity.type : NOBODY)
  return entityOf(source, type)
}

interface Action {
  readonly uid: EntityUid
  readonly ancestors: readonly EntityUid[]
}

/** An action that the scope means: itself, or a declared or registered one below the group. */
function actionFor(source: Source, scope: ActionScope): Action {
  const { release, registry, random } = source
  const declared = release.schema?.actions.filter((each) => each.principals.length > 0) ?? []
  if (scope.op === 'all') {
    const any = pick(random, declared)
    return any === undefined
      ? { uid: { type: 'Action', id: NOBODY }, ancestors: [] }
      : { uid: any.uid, ancestors: any.groups }
  }
  const wanted = scope.op === '==' ? scope.entity : pick(random, scope.entities)
  if (wanted === undefined) return { uid: { type: 'Action', id: NOBODY }, ancestors: [] }
  const below = declared.filter((each) => each.groups.some((group) => uidKey(group) === uidKey(wanted)))
  const member = scope.op === 'in' && random() < 0.7 ? pick(random, below) : undefined
  if (member !== undefined) return { uid: member.uid, ancestors: member.groups }
  const groups = declaredAction(release.schema, wanted)?.groups ?? registry.ancestors(wanted)
  if (scope.op === 'in' && random() < 0.5)
    return { uid: { type: wanted.type, id: NOBODY }, ancestors: [wanted, ...groups] }
  return { uid: wanted, ancestors: groups }
}
