import type { Value, ValueRecord } from '#model/value.ts'

/** Thrown by whatever would read a field that is not known. */
export const UNKNOWN = new Error('a field that is not known was read')

/**
 * Fields of which some are not known: neither their values nor whether they are there.
 *
 * INVARIANT: every way to read a map ends in one of these methods, so nothing can be concluded from what is not known.
 */
export class UnknownFields extends Map<string, Value> {
  readonly #unknown: ReadonlySet<string>

  constructor(known: ValueRecord, unknown: ReadonlySet<string>) {
    super([...known].filter(([name]) => !unknown.has(name)))
    this.#unknown = unknown
  }

  override get(name: string): Value | undefined {
    if (this.#unknown.has(name)) throw UNKNOWN
    return super.get(name)
  }

  override has(name: string): boolean {
    if (this.#unknown.has(name)) throw UNKNOWN
    return super.has(name)
  }

  override get size(): number {
    return this.#whole(super.size)
  }

  override entries(): MapIterator<[string, Value]> {
    return this.#whole(super.entries())
  }

  override keys(): MapIterator<string> {
    return this.#whole(super.keys())
  }

  override values(): MapIterator<Value> {
    return this.#whole(super.values())
  }

  override forEach(each: (value: Value, key: string, map: Map<string, Value>) => void): void {
    this.#whole(undefined)
    super.forEach(each)
  }

  override [Symbol.iterator](): MapIterator<[string, Value]> {
    return this.entries()
  }

  #whole<Read>(read: Read): Read {
    if (this.#unknown.size > 0) throw UNKNOWN
    return read
  }
}
