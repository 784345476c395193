import { ShardedMap } from '#lib/sharded-map.ts'
import type { RegistrySnapshot, StoredEntity } from '#model/registry.ts'
import { type EntityUid, uidKey } from '#model/value.ts'
import { type EndpointTable, endpointTable, matchEndpoint } from './endpoints.ts'
import { matchRoute, type RouteTable, routeTable } from './routes.ts'

/** Types whose entities name tools, and may carry `route` patterns. */
const ROUTE_TYPES: readonly string[] = ['Warder::Tool', 'Warder::Action', 'Action']

/** The registry of a tenant before anything was imported. */
export function emptyRegistry(): RegistrySnapshot {
  return new Snapshot(new Map())
}

/**
 * The snapshot after `changed` entities were inserted or replaced and `removed` ones deleted (in this order; within
 * `changed` the later one wins). `snapshot` stays valid for its readers. Cost follows the number of changes.
 */
export function applyEntities(
  snapshot: RegistrySnapshot,
  changed: readonly StoredEntity[],
  removed: readonly EntityUid[],
): RegistrySnapshot {
  if (changed.length === 0 && removed.length === 0) return snapshot
  const changes = new Map<string, Map<string, StoredEntity | undefined>>()
  const put = (uid: EntityUid, entity: StoredEntity | undefined): void => {
    const ofType = changes.get(uid.type) ?? new Map<string, StoredEntity | undefined>()
    changes.set(uid.type, ofType.set(uid.id, entity))
  }
  for (const entity of changed) put(entity.uid, entity)
  for (const uid of removed) put(uid, undefined)
  const types = new Map(snapshot instanceof Snapshot ? snapshot.types : [])
  for (const [type, entities] of changes) {
    const next = (types.get(type)?.entities ?? ShardedMap.empty<StoredEntity>()).change(entities)
    if (next.size === 0) types.delete(type)
    else types.set(type, new TypeIndex(next))
  }
  return new Snapshot(types)
}

/** All entities of one type. Shared by every snapshot in which the type did not change, together with what it worked out. */
class TypeIndex {
  readonly entities: ShardedMap<StoredEntity>
  #sorted: readonly StoredEntity[] | undefined

  constructor(entities: ShardedMap<StoredEntity>) {
    this.entities = entities
  }

  sorted(): readonly StoredEntity[] {
    this.#sorted ??= [...this.entities.values()].sort((a, b) => (a.uid.id < b.uid.id ? -1 : 1))
    return this.#sorted
  }
}

class Snapshot implements RegistrySnapshot {
  readonly types: ReadonlyMap<string, TypeIndex>
  readonly size: number
  /** Only registered entities have an entry, so that callers can't grow it with invented ids. */
  readonly #closures = new Map<StoredEntity, readonly EntityUid[]>()
  #routes: RouteTable | undefined
  #endpoints: EndpointTable | undefined

  constructor(types: ReadonlyMap<string, TypeIndex>) {
    this.types = types
    let size = 0
    for (const index of types.values()) size += index.entities.size
    this.size = size
  }

  find(uid: EntityUid): StoredEntity | undefined {
    return this.types.get(uid.type)?.entities.get(uid.id)
  }

  ancestors(uid: EntityUid): readonly EntityUid[] {
    const entity = this.find(uid)
    if (entity === undefined) return []
    let closure = this.#closures.get(entity)
    if (closure === undefined) {
      closure = this.#climb(entity)
      this.#closures.set(entity, closure)
    }
    return closure
  }

  ofType(type: string): readonly StoredEntity[] {
    return this.types.get(type)?.sorted() ?? []
  }

  inOrder(type: string, from: string): Iterable<StoredEntity | undefined> {
    return this.types.get(type)?.entities.inOrder(from) ?? []
  }

  matchRoute(method: string, path: string): ReturnType<RegistrySnapshot['matchRoute']> {
    this.#routes ??= routeTable(ROUTE_TYPES.flatMap((type) => this.ofType(type)))
    return matchRoute(this.#routes, method, path)
  }

  matchServer(path: string): ReturnType<RegistrySnapshot['matchServer']> {
    this.#endpoints ??= endpointTable(this.ofType('Warder::Server'))
    return matchEndpoint(this.#endpoints, path)
  }

  // INVARIANT: the closure is never cut short. A missing ancestor would silence a forbid on a group; a hierarchy that is
  // too large for one decision is refused by whoever builds the query. Each entity is visited once, so cycles end.
  #climb(entity: StoredEntity): readonly EntityUid[] {
    const found: EntityUid[] = []
    const seen = new Set<string>([uidKey(entity.uid)])
    let level: readonly EntityUid[] = entity.parents
    while (level.length > 0) {
      const next: EntityUid[] = []
      for (const uid of level) {
        const key = uidKey(uid)
        if (seen.has(key)) continue
        seen.add(key)
        found.push(uid)
        next.push(...(this.find(uid)?.parents ?? []))
      }
      level = next
    }
    return found
  }
}
