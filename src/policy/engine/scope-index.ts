import type {
  ActionScope,
  EntityScope,
  OpenScopeQuestion,
  PolicyRecord,
  ScopeQuestion,
  ScopeSide,
} from '#model/release.ts'
import type { EntityUid } from '#model/value.ts'
import { Names, NOBODY } from './scope-names.ts'

/** Answers which policies match, from flat arrays of integers. */
export interface MatchScope {
  matching(question: ScopeQuestion): readonly number[]
  matchingOpen(question: OpenScopeQuestion): readonly number[]
}

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
  /** The entity and those of its ancestors that policies mention. */
  readonly within: readonly number[]
}

/** Starts an empty index. */
export function buildScopeIndex(): ScopeIndexBuilder {
  const names = new Names()
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
    finish: () => {
      const table = [new Int32Array(rows), new Int32Array(actions)] as const
      return {
        matching: matcher(names, ...table, buckets, new Int32Array(unscoped)),
        matchingOpen: openMatcher(names, ...table),
      }
    },
  }
}

function pushEntityScope(rows: number[], names: Names, scope: EntityScope): void {
  const entity = 'entity' in scope ? names.addEntity(scope.entity) : NOBODY
  rows.push(OPS.indexOf(scope.op), entity, 'type' in scope ? names.addType(scope.type) : NOBODY)
}

function pushActionScope(rows: number[], actions: number[], names: Names, scope: ActionScope): void {
  const start = actions.length
  if (scope.op === '==') actions.push(names.addEntity(scope.entity))
  if (scope.op === 'in') for (const entity of scope.entities) actions.push(names.addEntity(entity))
  rows.push(OPS.indexOf(scope.op), start, actions.length)
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
  names: Names,
  rows: Int32Array,
  actions: Int32Array,
  buckets: ReadonlyMap<number, readonly number[]>,
  unscoped: Int32Array,
): MatchScope['matching'] {
  return (question) => {
    const principal = sideOf(names, question.principal, question.principalAncestors)
    const resource = sideOf(names, question.resource, question.resourceAncestors)
    const action = sideOf(names, question.action, question.actionAncestors)
    const found: number[] = []
    const collect = (ordinals: readonly number[] | Int32Array): void => {
      for (const ordinal of ordinals) {
        const row = ordinal * ROW
        if (
          entityMatches(rows, row, principal) &&
          entityMatches(rows, row + RESOURCE, resource) &&
          actionMatches(rows, actions, row + ACTION, action)
        )
          found.push(ordinal)
      }
    }
    const collectBucket = (name: number, kind: number): void => {
      const bucket = name === NOBODY ? undefined : buckets.get(name * KINDS + kind)
      if (bucket !== undefined) collect(bucket)
    }
    const collectSide = ({ uid, type, within }: Side, kind: number): void => {
      collectBucket(uid, kind + KIND_EQUALS)
      for (const name of within) collectBucket(name, kind + KIND_IN)
      collectBucket(type, kind + KIND_IS)
    }
    collect(unscoped)
    collectSide(principal, 0)
    collectSide(resource, KIND_RESOURCE)
    collectBucket(action.uid, KIND_ACTION_EQUALS)
    for (const name of action.within) collectBucket(name, KIND_ACTION_IN)
    return ascendingOnce(found)
  }
}

/** Looks at every row: with an open side, policies of every bucket can match. */
function openMatcher(names: Names, rows: Int32Array, actions: Int32Array): MatchScope['matchingOpen'] {
  const sideIn = (side: ScopeSide | undefined) => side && sideOf(names, side.uid, side.ancestors)
  return (question) => {
    const [principal, resource] = [sideIn(question.principal), sideIn(question.resource)]
    const action = sideIn(question.action)
    const found: number[] = []
    for (let row = 0; row < rows.length; row += ROW) {
      if (principal !== undefined && !entityMatches(rows, row, principal)) continue
      if (resource !== undefined && !entityMatches(rows, row + RESOURCE, resource)) continue
      if (action !== undefined && !actionMatches(rows, actions, row + ACTION, action)) continue
      found.push(row / ROW)
    }
    return found
  }
}

function sideOf(names: Names, uid: EntityUid, ancestors: readonly EntityUid[]): Side {
  const own = names.entity(uid)
  const above = names.entities(ancestors)
  const within = own === NOBODY || above.includes(own) ? above : [own, ...above]
  return { uid: own, type: names.type(uid.type), within }
}

function entityMatches(rows: Int32Array, at: number, side: Side): boolean {
  const op = rows[at]
  const entity = rows[at + 1] ?? NOBODY
  const type = rows[at + 2] ?? NOBODY
  if (op === OP_ALL) return true
  if (op === OP_EQUALS) return entity === side.uid
  if (op === OP_IN) return side.within.includes(entity)
  if (op === OP_IS) return type === side.type
  return type === side.type && side.within.includes(entity)
}

function actionMatches(rows: Int32Array, actions: Int32Array, at: number, action: Side): boolean {
  const op = rows[at]
  if (op === OP_ALL) return true
  const end = rows[at + 2] ?? 0
  for (let i = rows[at + 1] ?? 0; i < end; i += 1) {
    const entity = actions[i] ?? NOBODY
    if (op === OP_EQUALS ? entity === action.uid : action.within.includes(entity)) return true
  }
  return false
}

/** Sorted without repetitions: a policy that names several action groups is filed under each. */
function ascendingOnce(ordinals: number[]): readonly number[] {
  ordinals.sort((a, b) => a - b)
  let kept = 0
  for (const ordinal of ordinals) {
    if (kept > 0 && ordinals[kept - 1] === ordinal) continue
    ordinals[kept] = ordinal
    kept += 1
  }
  ordinals.length = kept
  return ordinals
}
