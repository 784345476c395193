import { type NewestToken, tenantPart } from '#identity/families.ts'

/** Of one tenant; beyond it its oldest stay known to this server alone. */
const WAITING_MAX = 20_000

/**
 * What waits to be written for other servers, apart by tenant.
 *
 * INVARIANT: no tenant's tokens push out those of another, nor make them wait longer than one turn.
 *
 * @param waitingMax of one tenant
 */
export class WaitingFamilies {
  readonly #waitingMax: number
  readonly #tenants: Map<string, Map<string, NewestToken>>

  constructor(waitingMax = WAITING_MAX) {
    this.#waitingMax = waitingMax
    this.#tenants = new Map()
  }

  get isEmpty(): boolean {
    return this.#tenants.size === 0
  }

  /** Takes the place of what waits of the same family. */
  add(newest: NewestToken): void {
    const tenant = tenantPart(newest.family)
    const mine = this.#tenants.get(tenant) ?? new Map<string, NewestToken>()
    this.#tenants.set(tenant, mine)
    mine.delete(newest.family)
    const oldest = mine.keys().next().value
    if (mine.size >= this.#waitingMax && oldest !== undefined) mine.delete(oldest)
    mine.set(newest.family, newest)
  }

  /** The oldest of every tenant, then the next ones, until there are `max`; they go on waiting until they are `written`. */
  next(max: number): readonly NewestToken[] {
    const batch: NewestToken[] = []
    let queues = [...this.#tenants.values()].map((mine) => mine.values())
    while (queues.length > 0 && batch.length < max) {
      const taken = queues.slice(0, max - batch.length).map((queue) => ({ queue, item: queue.next() }))
      for (const { item } of taken) if (item.done !== true) batch.push(item.value)
      queues = taken.flatMap(({ queue, item }) => (item.done === true ? [] : [queue]))
    }
    return batch
  }

  /** They wait no longer, unless a newer one took their place; their tenants are the last to be asked again. */
  written(batch: readonly NewestToken[]): void {
    for (const newest of batch) {
      const tenant = tenantPart(newest.family)
      const mine = this.#tenants.get(tenant)
      if (mine?.get(newest.family) === newest) mine.delete(newest.family)
      this.#tenants.delete(tenant)
      if (mine !== undefined && mine.size > 0) this.#tenants.set(tenant, mine)
    }
  }
}
