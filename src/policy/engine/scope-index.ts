import type { ActionScope, EntityScope, PolicyRecord, ScopeQuestion } from '#model/release.ts'
import { type EntityUid, uidKey } from '#model/value.ts'

/** Answers which policies match, from flat arrays of integers. */
export type MatchScope = (question: ScopeQuestion) => readonly number[]

/** Collects scopes in ordinal order; `file` places each policy into its bucket once all have been added. */
export interface ScopeIndexBuilder {
  add(scope: PolicyRecord['scope']): void
  file(ordinal: number): void
  finish(): MatchScope
}

type Op = EntityScope['op']
const OPS: readonly Op[] = ['all', '==', 'in', 'is', 'is-in']
const OP_ALL = 0
const OP_EQUALS = 1
const OP_IN = 2
const OP_IS = 3

/** Row of one policy: principal op, entity, type; resource op, entity, type; action op, start, end in `actions`. */
const ROW = 9
const RESOURCE = 3
const ACTION = 6
const NOBODY = -1

/** Kinds of bucket; a bucket's key is `name * KINDS + kind`. The resource kinds follow the principal ones. */
const KINDS = 8
const KIND_EQUALS = 0
const KIND_IN = 1
const KIND_IS = 2
const KIND_RESOURCE = 3
const KIND_ACTION_EQUALS = 6
const KIND_ACTION_IN = 7

/** One side of a question in numbers; a name that no policy mentions is `NOBODY`. */
interface Side {
  readonly uid: number
  readonly type: number
  /** The entity and its ancestors. */
  readonly within: ReadonlySet<number>
}

/** Starts an empty index. */
export function buildScopeIndex(): ScopeIndexBuilder {
  const names = new Map<string, number>()
  const rows: number[] = []
  const actions: number[] = []
  const counts = new Map<number, number>()
  const buckets = new Map<number, number[]>()
  const unscoped: number[] = []

  return {
    add: (scope) => {
      const start = rows.length
      pushEntityScope(rows, names, scope.principal)
      pushEntityScope(rows, names, scope.resource)
      pushActionScope(rows, actions, names, scope.action)
      for (const key of placesOf(rows, actions, start).flat()) counts.set(key, (counts.get(key) ?? 0) + 1)
    },
    file: (ordinal) => {
      const keys = mostSelective(placesOf(rows, actions, ordinal * ROW), counts)
      if (keys === undefined) unscoped.push(ordinal)
      else for (const key of new Set(keys)) bucketOf(buckets, key).push(ordinal)
    },
    finish: () =>
      matcher(names, new Int32Array(rows), new Int32Array(actions), buckets, new Int32Array(unscoped)),
  }
}

function pushEntityScope(rows: number[], names: Map<string, number>, scope: EntityScope): void {
  const entity = 'entity' in scope ? intern(names, uidKey(scope.entity)) : NOBODY
  rows.push(OPS.indexOf(scope.op), entity, 'type' in scope ? intern(names, scope.type) : NOBODY)
}

function pushActionScope(
  rows: number[],
  actions: number[],
  names: Map<string, number>,
  scope: ActionScope,
): void {
  const start = actions.length
  if (scope.op === '==') actions.push(intern(names, uidKey(scope.entity)))
  if (scope.op === 'in') for (const entity of scope.entities) actions.push(intern(names, uidKey(entity)))
  rows.push(OPS.indexOf(scope.op), start, actions.length)
}

function intern(names: Map<string, number>, name: string): number {
  const known = names.get(name)
  if (known !== undefined) return known
  const id = names.size
  names.set(name, id)
  return id
}

/** The buckets that a policy could be filed under: one list of keys per alternative, none when nothing is constrained. */
function placesOf(rows: readonly number[], actions: readonly number[], row: number): number[][] {
  const places = [...entityPlaces(rows, row, 0), ...entityPlaces(rows, row + RESOURCE, KIND_RESOURCE)]
  const op = rows[row + ACTION]
  if (op !== OP_ALL) {
    const kind = op === OP_EQUALS ? KIND_ACTION_EQUALS : KIND_ACTION_IN
    const entities = actions.slice(rows[row + ACTION + 1], rows[row + ACTION + 2])
    places.push(entities.map((entity) => entity * KINDS + kind))
  }
  return places
}

function entityPlaces(rows: readonly number[], at: number, side: number): number[][] {
  const op = rows[at] ?? OP_ALL
  const entity = rows[at + 1] ?? NOBODY
  const type = rows[at + 2] ?? NOBODY
  const places: number[][] = []
  if (entity !== NOBODY) places.push([entity * KINDS + side + (op === OP_EQUALS ? KIND_EQUALS : KIND_IN)])
  if (type !== NOBODY) places.push([type * KINDS + side + KIND_IS])
  return places
}

/** The alternative whose buckets hold the fewest policies: a question then looks at few that do not match. */
function mostSelective(
  places: readonly number[][],
  counts: ReadonlyMap<number, number>,
): readonly number[] | undefined {
  let best: readonly number[] | undefined
  let fewest = Number.POSITIVE_INFINITY
  for (const keys of places) {
    const total = keys.reduce((sum, key) => sum + (counts.get(key) ?? 0), 0)
    if (total >= fewest) continue
    fewest = total
    best = keys
  }
  return best
}

function bucketOf(buckets: Map<number, number[]>, key: number): number[] {
  const known = buckets.get(key)
  if (known !== undefined) return known
  const fresh: number[] = []
  buckets.set(key, fresh)
  return fresh
}

function matcher(
  names: ReadonlyMap<string, number>,
  rows: Int32Array,
  actions: Int32Array,
  buckets: ReadonlyMap<number, readonly number[]>,
  unscoped: Int32Array,
): MatchScope {
  return (question) => {
    const principal = sideOf(names, question.principal, question.principalAncestors)
    const resource = sideOf(names, question.resource, question.resourceAncestors)
    const action = sideOf(names, question.action, question.actionAncestors)
    const found: number[] = []
    const collect = (ordinals: Iterable<number> | undefined): void => {
      for (const ordinal of ordinals ?? []) {
        const row = ordinal * ROW
        if (
          entityMatches(rows, row, principal) &&
          entityMatches(rows, row + RESOURCE, resource) &&
          actionMatches(rows, actions, row + ACTION, action)
        )
          found.push(ordinal)
      }
    }
    collect(unscoped)
    for (const key of keysOf(principal, resource, action)) collect(buckets.get(key))
    return ascendingOnce(found)
  }
}

function sideOf(names: ReadonlyMap<string, number>, uid: EntityUid, ancestors: readonly EntityUid[]): Side {
  const own = names.get(uidKey(uid)) ?? NOBODY
  const within = new Set<number>()
  if (own !== NOBODY) within.add(own)
  for (const ancestor of ancestors) {
    const name = names.get(uidKey(ancestor))
    if (name !== undefined) within.add(name)
  }
  return { uid: own, type: names.get(uid.type) ?? NOBODY, within }
}

function* keysOf(principal: Side, resource: Side, action: Side): Generator<number> {
  yield* entityKeys(principal, 0)
  yield* entityKeys(resource, KIND_RESOURCE)
  if (action.uid !== NOBODY) yield action.uid * KINDS + KIND_ACTION_EQUALS
  for (const name of action.within) yield name * KINDS + KIND_ACTION_IN
}

function* entityKeys(side: Side, offset: number): Generator<number> {
  if (side.uid !== NOBODY) yield side.uid * KINDS + offset + KIND_EQUALS
  for (const name of side.within) yield name * KINDS + offset + KIND_IN
  if (side.type !== NOBODY) yield side.type * KINDS + offset + KIND_IS
}

function entityMatches(rows: Int32Array, at: number, side: Side): boolean {
  const op = rows[at]
  const entity = rows[at + 1] ?? NOBODY
  const type = rows[at + 2] ?? NOBODY
  if (op === OP_ALL) return true
  if (op === OP_EQUALS) return entity === side.uid
  if (op === OP_IN) return side.within.has(entity)
  if (op === OP_IS) return type === side.type
  return type === side.type && side.within.has(entity)
}

function actionMatches(rows: Int32Array, actions: Int32Array, at: number, action: Side): boolean {
  const op = rows[at]
  if (op === OP_ALL) return true
  const end = rows[at + 2] ?? 0
  for (let i = rows[at + 1] ?? 0; i < end; i += 1) {
    const entity = actions[i] ?? NOBODY
    if (op === OP_EQUALS ? entity === action.uid : action.within.has(entity)) return true
  }
  return false
}

/** Sorted without repetitions: a policy that names several action groups is filed under each. */
function ascendingOnce(ordinals: number[]): readonly number[] {
  ordinals.sort((a, b) => a - b)
  return ordinals.filter((ordinal, i) => ordinal !== ordinals[i - 1])
}
