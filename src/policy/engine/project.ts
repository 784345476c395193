import type { CedarValueJson, EntityJson } from '@cedar-policy/cedar-wasm/nodejs'
import { type EntityUid, type UidKey, uidKey, type Value, type ValueRecord } from '#model/value.ts'
import type { EngineFault, EntityFacts, Query } from '#policy/port.ts'
import {
  type CedarRecord,
  emptyRecord,
  entityReference,
  fieldName,
  scalarJson,
  uidJson,
} from './cedar-json.ts'
import { EVERYTHING, LEAF, type PlanNode, type ReadPlan } from './read-plan.ts'

/** The part of a query that the policies of a slice can read, as the engine takes it. */
export interface Projection {
  readonly context: CedarRecord
  readonly entities: EntityJson[]
}

/** More entities than this in one query are refused: the engine's time grows with them (18 us each). */
const ENTITIES_MAX = 200
/** Bound on all ancestors together (2 us each). */
const ANCESTORS_MAX = 2_000

const NO_FIELDS: ValueRecord = new Map()

interface Draft {
  readonly facts: EntityFacts
  readonly attrs: CedarRecord
  readonly tags: CedarRecord
  readonly parents: Map<UidKey, EntityUid>
  /** What has been written already; an entity can be reached along several paths. */
  readonly written: PlanNode[]
}

interface Work {
  readonly query: Query
  readonly drafts: Map<UidKey, Draft>
  ancestors: number
}

/**
 * Sends only what some policy of the slice can read: a value that is left out can not change any condition.
 *
 * @throws TypeError for a value that the engine's JSON can not carry
 */
export function project(plan: ReadPlan, query: Query): Projection | EngineFault {
  const work: Work = { query, drafts: new Map(), ancestors: 0 }
  startAction(work)
  startParty(work, query.principal, plan.principal, plan.principalScopes)
  startParty(work, query.resource, plan.resource, plan.resourceScopes)
  for (const { uid, node } of plan.entities) visit(work, uid, node)
  const context = emptyRecord()
  writeFields(work, context, query.context, plan.context)
  if (work.drafts.size > ENTITIES_MAX) return limit(`more than ${ENTITIES_MAX} entities`)
  if (work.ancestors > ANCESTORS_MAX) return limit(`more than ${ANCESTORS_MAX} ancestors`)
  return { context, entities: [...work.drafts.values()].map(entityJson) }
}

function limit(what: string): EngineFault {
  return { kind: 'limit', detail: `the query reaches ${what}` }
}

/**
 * INVARIANT: the action always carries its whole ancestor closure. Without a schema on the call the engine knows no
 * action group, and a forbid on a group would silently not fire.
 */
function startAction(work: Work): void {
  const { action, actionAncestors } = work.query
  if (actionAncestors.length === 0) return
  const facts = { uid: action, attrs: NO_FIELDS, tags: NO_FIELDS, ancestors: actionAncestors }
  addParents(work, draft(work, facts), () => true)
}

function startParty(work: Work, uid: EntityUid, node: PlanNode, scopes: ReadonlySet<UidKey>): void {
  visit(work, uid, node)
  if (scopes.size === 0 || node.ancestors) return
  const facts = work.query.entity(uid)
  if (!facts?.ancestors.some((ancestor) => scopes.has(uidKey(ancestor)))) return
  addParents(work, draft(work, facts), (key) => scopes.has(key))
}

/** Writes what `node` reads of an entity. One that does not exist stays out, so that reading it errors as it must. */
function visit(work: Work, uid: EntityUid, node: PlanNode): void {
  if (!readsInside(node) || work.drafts.size > ENTITIES_MAX) return
  const facts = work.drafts.get(uidKey(uid))?.facts ?? work.query.entity(uid)
  if (facts === undefined) return
  const target = draft(work, facts)
  if (target.written.includes(node)) return
  target.written.push(node)
  if (node.ancestors) addParents(work, target, () => true)
  // `whole` of an entity is its uid; only of a record is it all fields.
  writeFields(
    work,
    target.attrs,
    facts.attrs,
    node.everything || !node.whole ? node : { ...node, whole: false },
  )
  if (node.tags) writeFields(work, target.tags, facts.tags, node.everything ? EVERYTHING : LEAF)
}

function readsInside(node: PlanNode): boolean {
  return node.everything || node.ancestors || node.tags || node.attrs.size > 0
}

function draft(work: Work, facts: EntityFacts): Draft {
  const key = uidKey(facts.uid)
  const known = work.drafts.get(key)
  if (known !== undefined) return known
  const fresh: Draft = { facts, attrs: emptyRecord(), tags: emptyRecord(), parents: new Map(), written: [] }
  work.drafts.set(key, fresh)
  return fresh
}

function addParents(work: Work, target: Draft, wanted: (key: UidKey) => boolean): void {
  const own = uidKey(target.facts.uid)
  for (const ancestor of target.facts.ancestors) {
    const key = uidKey(ancestor)
    if (key === own || !wanted(key)) continue
    if (work.ancestors > ANCESTORS_MAX) return
    if (!target.parents.has(key)) work.ancestors += 1
    target.parents.set(key, ancestor)
  }
}

function writeFields(work: Work, target: CedarRecord, fields: ValueRecord, node: PlanNode): void {
  if (node.whole || node.everything) {
    const rest = node.everything ? EVERYTHING : LEAF
    for (const [name, value] of fields)
      writeField(work, target, name, value, node.attrs.get(name) ?? rest, node)
    return
  }
  for (const [name, child] of node.attrs) {
    const value = fields.get(name)
    if (value !== undefined) writeField(work, target, name, value, child, node)
  }
}

function writeField(
  work: Work,
  target: CedarRecord,
  name: string,
  value: Value,
  child: PlanNode,
  parent: PlanNode,
): void {
  // A record that is used whole is used with all of its fields' fields.
  const reading = parent.whole && !child.whole ? { ...child, whole: true } : child
  if (typeof value === 'object' && value.kind === 'record') {
    const known = target[name]
    const record = isRecord(known) ? known : emptyRecord()
    // Attached before it is filled: a reference inside can lead back to this entity, and both write the same record.
    target[fieldName(name)] = record
    writeFields(work, record, value.fields, reading)
  } else {
    target[fieldName(name)] = writeValue(work, value, reading)
  }
}

function writeValue(work: Work, value: Value, node: PlanNode): CedarValueJson {
  if (typeof value !== 'object') return scalarJson(value)
  switch (value.kind) {
    case 'entity':
      visit(work, value.uid, node)
      return entityReference(value.uid)
    case 'extension':
      return scalarJson(value)
    case 'set': {
      const element = node.whole ? node : { ...node, whole: true }
      return value.elements.map((each) => writeValue(work, each, element))
    }
    case 'record': {
      const record = emptyRecord()
      writeFields(work, record, value.fields, node)
      return record
    }
  }
}

function isRecord(json: CedarValueJson | undefined): json is CedarRecord {
  return typeof json === 'object' && json !== null && !Array.isArray(json)
}

function entityJson({ facts, attrs, tags, parents }: Draft): EntityJson {
  const json = { uid: uidJson(facts.uid), attrs, parents: [...parents.values()].map(uidJson) }
  return Object.keys(tags).length === 0 ? json : { ...json, tags }
}
