import type { EntityScope, OpenScopeQuestion, PolicyRecord, Release, ScopeSide } from '#model/release.ts'
import { type EntityUid, type UidKey, uidKey } from '#model/value.ts'
import type { Query } from '#policy/port.ts'
import { Environment } from './environment.ts'
import { FALSE, outcomesOf, TRUE } from './partial.ts'
import { UNKNOWN, UnknownFields } from './unknown-fields.ts'

/** A part of a query that can be left open. */
export type OpenPart = 'principal' | 'action' | 'resource' | 'context'

/** A query of which some parts are not known. */
export interface OpenQuery {
  /** With anything of the right type in the open places. */
  readonly query: Query
  readonly open: ReadonlySet<OpenPart>
  /** Types of which no entity is known, since it could be the one in an open place and bring facts of its own along. */
  isOpenType(type: string): boolean
  /** Types of ancestors that the question itself attaches to entities, beside those of the registry. */
  isAttachedType(type: string): boolean
}

/** Which entities could stand in the open place of a query and be allowed; never fewer than those that are. */
export type Reach = 'nothing' | 'everything' | ((entity: ScopeSide) => boolean)

/** Most policies that are looked at; with more, nothing is ruled out. */
const POLICIES_MAX = 500

/**
 * Which entities could be allowed in the place `side`, by the scopes that name them and by what the conditions come to without them.
 *
 * INVARIANT: whatever can't be told counts as possible. What is left out here, no query of this form allows.
 */
export function reachOf(release: Release, asked: OpenQuery, side: 'principal' | 'resource'): Reach {
  const environment = new Environment(withoutOpen(asked))
  const { known, ordinals } = matchingOf(release, asked, environment)
  if (ordinals.length > POLICIES_MAX) return 'everything'
  const records = ordinals.map((ordinal) => release.policy(ordinal))
  const { type } = asked.query[side]
  const outcomes = (record: PolicyRecord): number => possibleOutcomes(record, environment)
  const isStopped = records.some(
    (record) =>
      record.effect === 'forbid' && isForAll(record, asked, known) && (outcomes(record) & FALSE) === 0,
  )
  if (isStopped) return 'nothing'
  const scopes = records
    .filter((record) => record.effect === 'permit' && fits(record.scope[side], type))
    .filter((record) => (outcomes(record) & TRUE) !== 0)
    .map(({ scope }) => scope[side])
  if (scopes.length === 0) return 'nothing'
  return asked.open.has(side) ? within(scopes, asked) : 'everything'
}

/** The same query with nothing to be learnt from what is open: whatever reads it throws `UNKNOWN`. */
function withoutOpen({ query, open, isOpenType }: OpenQuery): Query {
  const hidden = (part: OpenPart, uid: EntityUid): EntityUid => (open.has(part) ? new OpenUid(uid.type) : uid)
  return {
    principal: hidden('principal', query.principal),
    action: hidden('action', query.action),
    resource: hidden('resource', query.resource),
    actionAncestors: open.has('action') ? [] : query.actionAncestors,
    context: open.has('context') ? new UnknownFields(query.context, EVERY_NAME) : query.context,
    entity: (uid) => {
      if (isOpenType(uid.type)) throw UNKNOWN
      return query.entity(uid)
    },
  }
}

/** An entity of which only the type is known. */
class OpenUid implements EntityUid {
  readonly type: string

  constructor(type: string) {
    this.type = type
  }

  get id(): string {
    throw UNKNOWN
  }
}

/** A set that has every name. */
class EveryName extends Set<string> {
  override has(): boolean {
    return true
  }

  override get size(): number {
    return Number.POSITIVE_INFINITY
  }
}

const EVERY_NAME: ReadonlySet<string> = new EveryName()

/** The sides of a query that are known, and what matches them. */
function matchingOf(release: Release, { query, open }: OpenQuery, environment: Environment): Matching {
  const principal = open.has('principal') ? undefined : sideOf(query.principal, environment)
  const resource = open.has('resource') ? undefined : sideOf(query.resource, environment)
  const known: OpenScopeQuestion = {
    ...(principal !== undefined && { principal }),
    ...(!open.has('action') && { action: { uid: query.action, ancestors: query.actionAncestors } }),
    ...(resource !== undefined && { resource }),
  }
  return { known, ordinals: release.matchingOpen(known) }
}

interface Matching {
  readonly known: OpenScopeQuestion
  readonly ordinals: readonly number[]
}

/** Undefined where its ancestors are not known: then every scope could match. */
function sideOf(uid: EntityUid, environment: Environment): ScopeSide | undefined {
  try {
    return { uid, ancestors: environment.factsOf(uid)?.ancestors ?? [] }
  } catch (error) {
    if (error === UNKNOWN) return undefined
    throw error
  }
}

function possibleOutcomes(record: PolicyRecord, environment: Environment): number {
  // Those of a release that was stored before there were any would have to be parsed anew each time.
  if (record.conditions === undefined) return TRUE | FALSE
  try {
    return outcomesOf(record, environment)
  } catch {
    // What can't be taken apart may come out either way.
    return TRUE | FALSE
  }
}

/** Whether the scope of a policy matches whatever is not known; what is known it does match. */
function isForAll({ scope }: PolicyRecord, { query }: OpenQuery, known: OpenScopeQuestion): boolean {
  const isAll = (part: 'principal' | 'resource'): boolean => {
    const { op } = scope[part]
    return known[part] !== undefined || op === 'all' || (op === 'is' && fits(scope[part], query[part].type))
  }
  return isAll('principal') && isAll('resource') && (known.action !== undefined || scope.action.op === 'all')
}

/** Whether an entity of this type can match. */
function fits(scope: EntityScope, type: string): boolean {
  if ('type' in scope && scope.type !== type) return false
  return scope.op !== '==' || scope.entity.type === type
}

function within(scopes: readonly EntityScope[], { isAttachedType }: OpenQuery): Reach {
  const [named, groups] = [new Set<UidKey>(), new Set<UidKey>()]
  for (const scope of scopes) {
    if (!('entity' in scope)) return 'everything'
    if (scope.op !== '==' && isAttachedType(scope.entity.type)) return 'everything'
    const names = scope.op === '==' ? named : groups
    names.add(uidKey(scope.entity))
  }
  return ({ uid, ancestors }) => {
    const key = uidKey(uid)
    if (named.has(key) || groups.has(key)) return true
    return groups.size > 0 && ancestors.some((ancestor) => groups.has(uidKey(ancestor)))
  }
}
