import type { Release } from '#model/release.ts'
import { type EntityUid, type UidKey, uidKey, type ValueRecord } from '#model/value.ts'
import type { EntityFacts, Query } from '#policy/port.ts'
import { type Outcome, type RuntimeEntity, type RuntimeRecord, recordOf, sameUid } from './value.ts'

/** Up to this many ancestors are compared one by one; more get an index, kept as long as the list of ancestors. */
const COMPARED_MAX = 12

const NOBODY: readonly EntityUid[] = []
const NO_FIELDS: ValueRecord = new Map()

/** What the expressions of one query read: its four variables and the entities that it reaches. */
export class Environment {
  readonly principal: RuntimeEntity
  readonly action: RuntimeEntity
  readonly resource: RuntimeEntity
  readonly context: RuntimeRecord
  readonly #query: Query
  #principalFacts: EntityFacts | null | undefined
  #resourceFacts: EntityFacts | null | undefined

  constructor(query: Query) {
    this.#query = query
    this.principal = { kind: 'entity', uid: query.principal }
    this.action = { kind: 'entity', uid: query.action }
    this.resource = { kind: 'entity', uid: query.resource }
    this.context = recordOf(query.context)
  }

  /** An entity as policies see it; undefined when it does not exist. */
  factsOf(uid: EntityUid): EntityFacts | undefined {
    if (uid === this.#query.principal) {
      if (this.#principalFacts === undefined) this.#principalFacts = this.#find(uid) ?? null
      return this.#principalFacts ?? undefined
    }
    if (uid === this.#query.resource) {
      if (this.#resourceFacts === undefined) this.#resourceFacts = this.#find(uid) ?? null
      return this.#resourceFacts ?? undefined
    }
    return this.#find(uid)
  }

  /** Cedar's `in` for two entities: the same one, or an ancestor. */
  isIn(uid: EntityUid, ancestor: EntityUid): boolean {
    if (sameUid(uid, ancestor)) return true
    const ancestors = this.factsOf(uid)?.ancestors
    return ancestors !== undefined && includes(ancestors, ancestor)
  }

  // INVARIANT: the action of the query has the groups that the query says, whatever else is known under its name.
  #find(uid: EntityUid): EntityFacts | undefined {
    const { action, actionAncestors, entity } = this.#query
    if (actionAncestors.length > 0 && sameUid(uid, action))
      return { uid, attrs: NO_FIELDS, tags: NO_FIELDS, ancestors: actionAncestors }
    return entity(uid)
  }
}

/** Ordinals of the policies whose scope matches the query of this environment. */
export function matchingIn(release: Release, query: Query, environment: Environment): readonly number[] {
  return release.matching({
    principal: query.principal,
    principalAncestors: environment.factsOf(query.principal)?.ancestors ?? NOBODY,
    action: query.action,
    actionAncestors: query.actionAncestors,
    resource: query.resource,
    resourceAncestors: environment.factsOf(query.resource)?.ancestors ?? NOBODY,
  })
}

/**
 * A field of what the query holds; undefined when there is none.
 *
 * @throws TypeError for a number that is no Long: such a query can not be decided
 */
export function readField(fields: ReadonlyMap<string, Outcome>, name: string): Outcome {
  const value = fields.get(name)
  if (typeof value === 'number' && !Number.isSafeInteger(value))
    throw new TypeError('a number is not a safe integer')
  return value
}

const indexes = new WeakMap<readonly EntityUid[], ReadonlySet<UidKey>>()

function includes(ancestors: readonly EntityUid[], wanted: EntityUid): boolean {
  if (ancestors.length <= COMPARED_MAX) {
    for (const ancestor of ancestors) if (sameUid(ancestor, wanted)) return true
    return false
  }
  let index = indexes.get(ancestors)
  if (index === undefined) {
    index = new Set(ancestors.map(uidKey))
    indexes.set(ancestors, index)
  }
  return index.has(uidKey(wanted))
}
