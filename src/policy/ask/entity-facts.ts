import type { RegistrySnapshot, StoredEntity } from '#model/registry.ts'
import type { Release, SchemaAttributes } from '#model/release.ts'
import {
  type EntityUid,
  type JsonObject,
  type UidKey,
  uidKey,
  type Value,
  type ValueRecord,
} from '#model/value.ts'
import type { EntityFacts, FindEntity } from '#policy/port.ts'
import { isActionType } from './cedar-name.ts'
import { declaredAction } from './schema-lookup.ts'
import { TypeMismatch, toRecord, toValue } from './typed.ts'

const NOTHING: ValueRecord = new Map()

/**
 * The entities that one decision can see: the registry's, typed by the release's schema, and over them what the request
 * itself contributed. Stored beats asserted: a request's attribute counts only where the registry has none.
 */
export class EntityFactsView {
  readonly #registry: RegistrySnapshot
  readonly #release: Release
  readonly #own = new Map<UidKey, EntityFacts>()
  /** First stored entity that does not fit the schema; the decision must then deny. */
  mismatch: string | undefined

  constructor(registry: RegistrySnapshot, release: Release) {
    this.#registry = registry
    this.#release = release
  }

  /** Looks one entity up; the form that queries take. */
  readonly find: FindEntity = (uid) => this.#own.get(uidKey(uid)) ?? this.stored(uid)

  /** The registry's entity alone, or undefined when it is not registered. */
  stored(uid: EntityUid): EntityFacts | undefined {
    if (isActionType(uid.type)) return this.#action(uid)
    const entity = this.#registry.find(uid)
    if (entity === undefined) return undefined
    const known = factsOf(this.#release).get(entity)
    const typed = known ?? this.#type(entity)
    return { uid, ...typed, ancestors: this.#registry.ancestors(uid) }
  }

  /**
   * Adds what the request says about `uid`: attributes fill gaps, ancestors are added.
   *
   * @param asserted attributes already typed
   */
  contribute(uid: EntityUid, asserted: ValueRecord, ancestors: readonly EntityUid[] = []): void {
    const before = this.find(uid)
    this.#own.set(uidKey(uid), {
      uid,
      attrs: before === undefined ? asserted : new Map([...asserted, ...before.attrs]),
      tags: before?.tags ?? NOTHING,
      ancestors: before === undefined ? ancestors : union(before.ancestors, ancestors),
    })
  }

  /** Declared attributes of an entity type; undefined without a schema, empty for a type that the schema lacks. */
  attributesOf(type: string): SchemaAttributes | undefined {
    const schema = this.#release.schema
    if (schema === undefined) return undefined
    return Object.hasOwn(schema.entityTypes, type) ? (schema.entityTypes[type]?.attrs ?? {}) : {}
  }

  /** Actions have no attributes; their groups are the schema's where it declares them, else the registry's. */
  #action(uid: EntityUid): EntityFacts | undefined {
    const declared = declaredAction(this.#release.schema, uid)
    if (declared === undefined && this.#registry.find(uid) === undefined) return undefined
    return {
      uid,
      attrs: NOTHING,
      tags: NOTHING,
      ancestors: declared?.groups ?? this.#registry.ancestors(uid),
    }
  }

  #type(entity: StoredEntity): TypedEntity {
    try {
      const typed = { attrs: this.#storedAttrs(entity), tags: this.#storedTags(entity) }
      factsOf(this.#release).set(entity, typed)
      return typed
    } catch (error) {
      if (!(error instanceof TypeMismatch)) throw error
      this.mismatch ??= `${entity.uid.type}::"${entity.uid.id}": ${error.message}`
      return { attrs: NOTHING, tags: NOTHING }
    }
  }

  #storedAttrs(entity: StoredEntity): ValueRecord {
    return toRecord(entity.attrs, this.attributesOf(entity.uid.type), 'stored', '', false)
  }

  #storedTags(entity: StoredEntity): ValueRecord {
    const schema = this.#release.schema
    if (schema === undefined) return toRecord(entity.tags, undefined, 'stored', 'tags', false)
    const type = Object.hasOwn(schema.entityTypes, entity.uid.type)
      ? schema.entityTypes[entity.uid.type]?.tags
      : undefined
    if (type === undefined) return NOTHING
    const tags = new Map<string, Value>()
    for (const [name, tag] of Object.entries(entity.tags))
      tags.set(name, toValue(tag, type, 'stored', `tags.${name}`))
    return tags
  }
}

/** Attributes that a request claims about an entity, typed by the schema; what the schema does not know is left out. */
export function claimedAttributes(
  view: EntityFactsView,
  type: string,
  properties: JsonObject,
  path: string,
): ValueRecord {
  return toRecord(properties, view.attributesOf(type), 'caller', path, false)
}

interface TypedEntity {
  readonly attrs: ValueRecord
  readonly tags: ValueRecord
}

/** Typed forms by release and stored entity: both are immutable, so a revocation or change brings a new key. */
const cache = new WeakMap<Release, WeakMap<StoredEntity, TypedEntity>>()

function factsOf(release: Release): WeakMap<StoredEntity, TypedEntity> {
  let facts = cache.get(release)
  if (facts === undefined) {
    facts = new WeakMap()
    cache.set(release, facts)
  }
  return facts
}

function union(first: readonly EntityUid[], second: readonly EntityUid[]): readonly EntityUid[] {
  const seen = new Set(first.map(uidKey))
  return [...first, ...second.filter((uid) => !seen.has(uidKey(uid)))]
}
