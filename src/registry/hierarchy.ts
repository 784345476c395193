import type { StoredEntity } from '#model/registry.ts'
import { type UidKey, uidKey } from '#model/value.ts'
import { type Problems, quote } from './problem.ts'

/** Longest way from an entity to its furthest ancestor. */
const DEPTH_MAX = 64

interface Step {
  readonly key: UidKey
  readonly parents: readonly UidKey[]
  next: number
  height: number
}

/** Notes cycles and hierarchies that are too deep among `entities`. Iterative: depth of the input never becomes stack. */
export function checkHierarchy(entities: readonly StoredEntity[], problems: Problems): void {
  const parentsOf = new Map(entities.map((entity) => [uidKey(entity.uid), entity.parents.map(uidKey)]))
  const heights = new Map<UidKey, number>()
  for (const { uid } of entities) {
    if (!climb(uidKey(uid), parentsOf, heights, problems) || problems.full) return
  }
}

/** Depth-first over parents with an explicit stack; false after a cycle or too deep a hierarchy was noted. */
function climb(
  start: UidKey,
  parentsOf: ReadonlyMap<UidKey, readonly UidKey[]>,
  heights: Map<UidKey, number>,
  problems: Problems,
): boolean {
  if (heights.has(start)) return true
  const onPath = new Set<UidKey>([start])
  const stack: Step[] = [step(start, parentsOf)]
  for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
    const parent = top.parents[top.next]
    top.next += 1
    if (parent === undefined) {
      stack.pop()
      onPath.delete(top.key)
      heights.set(top.key, top.height)
      raise(stack.at(-1), top.height)
      if (top.height > DEPTH_MAX)
        return note(top.key, `has more than ${DEPTH_MAX} levels of ancestors`, problems)
    } else if (onPath.has(parent)) {
      return note(parent, 'is its own ancestor', problems)
    } else if (heights.has(parent)) {
      raise(top, heights.get(parent) ?? 0)
    } else {
      onPath.add(parent)
      stack.push(step(parent, parentsOf))
    }
  }
  return true
}

function step(key: UidKey, parentsOf: ReadonlyMap<UidKey, readonly UidKey[]>): Step {
  return { key, parents: parentsOf.get(key) ?? [], next: 0, height: 0 }
}

function raise(below: Step | undefined, height: number): void {
  if (below !== undefined) below.height = Math.max(below.height, height + 1)
}

function note(key: UidKey, message: string, problems: Problems): false {
  const [type, id] = key.split('\u0000')
  problems.add(quote(`${type}::"${id}"`), message, 'correct its `parents`')
  return false
}
