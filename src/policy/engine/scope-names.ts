import type { EntityUid } from '#model/value.ts'

/** The number of a name that no scope mentions. */
export const NOBODY = -1

/** Lists up to this length are looked up faster than remembered. */
const UNKEPT_MAX = 6

/** Lists of ancestors that were looked up; the registry gives the same list for an entity until something changes. */
type KnownLists = WeakMap<readonly EntityUid[], readonly number[]>

/** Numbers for the entities and types that the scopes of a release mention. Types and entities share one count. */
export class Names {
  readonly #types = new Map<string, { number: number; readonly ids: Map<string, number> }>()
  readonly #lists: KnownLists = new WeakMap()
  #count = 0

  /** The entity's number, a new one at its first mention. All must be added before any list is looked up. */
  addEntity({ type, id }: EntityUid): number {
    const { ids } = this.#typeOf(type)
    const known = ids.get(id)
    if (known !== undefined) return known
    ids.set(id, this.#count)
    this.#count += 1
    return this.#count - 1
  }

  /** The type's number, a new one at its first mention. */
  addType(type: string): number {
    const entry = this.#typeOf(type)
    if (entry.number === NOBODY) {
      entry.number = this.#count
      this.#count += 1
    }
    return entry.number
  }

  entity({ type, id }: EntityUid): number {
    return this.#types.get(type)?.ids.get(id) ?? NOBODY
  }

  type(type: string): number {
    return this.#types.get(type)?.number ?? NOBODY
  }

  /** Numbers of those that are mentioned, each once. */
  entities(uids: readonly EntityUid[]): readonly number[] {
    if (uids.length <= UNKEPT_MAX) return this.#numbersOf(uids)
    const known = this.#lists.get(uids)
    if (known !== undefined) return known
    const numbers = this.#numbersOf(uids)
    this.#lists.set(uids, numbers)
    return numbers
  }

  #numbersOf(uids: readonly EntityUid[]): readonly number[] {
    const numbers = new Set<number>()
    for (const uid of uids) numbers.add(this.entity(uid))
    numbers.delete(NOBODY)
    return [...numbers]
  }

  #typeOf(type: string): { number: number; readonly ids: Map<string, number> } {
    let entry = this.#types.get(type)
    if (entry === undefined) {
      entry = { number: NOBODY, ids: new Map() }
      this.#types.set(type, entry)
    }
    return entry
  }
}
