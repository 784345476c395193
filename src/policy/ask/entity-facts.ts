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
  readonly #known: Map<StoredEntity, EntityFacts>
  readonly #own = new Map<UidKey, EntityFacts>()
  /** First stored entity that does not fit the schema; the decision must then deny. */
  mismatch: string | undefined

  constructor(registry: RegistrySnapshot, release: Release) {
    this.#registry = registry
    this.#release = release
    this.#known = factsIn(registry, release)
  }

  /** Looks one entity up; the form that queries take. */
  readonly find: FindEntity = (uid) => this.#own.get(uidKey(uid)) ?? this.stored(uid)

  /** The registry's entity alone, or undefined when it is not registered. */
  stored(uid: EntityUid): EntityFacts | undefined {
    if (isActionType(uid.type)) return this.#action(uid)
    const entity = this.#registry.find(uid)
    return entity === undefined ? undefined : (this.#known.get(entity) ?? this.#learn(entity))
  }

  /**
   * Adds what the request says about `uid`: attributes fill gaps, ancestors are added.
   *
   * @param asserted attributes already typed
   */
  contribute(uid: EntityUid, asserted: ValueRecord, ancestors: readonly EntityUid[] = []): void {
    const key = uidKey(uid)
    const before = this.#own.get(key) ?? this.stored(uid)
    if (before === undefined) {
      this.#own.set(key, { uid, attrs: asserted, tags: NOTHING, ancestors })
      return
    }
    const attrs = filled(before.attrs, asserted)
    const united = union(before.ancestors, ancestors)
    if (attrs !== before.attrs || united !== before.ancestors)
      this.#own.set(key, { ...before, attrs, ancestors: united })
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

  /** The first use of an entity; one that does not fit is looked at again each time, so that each decision denies. */
  #learn(entity: StoredEntity): EntityFacts {
    const { uid } = entity
    const ancestors = this.#registry.ancestors(uid)
    try {
      const { attrs, tags } = this.#typed(entity)
      const facts = { uid, attrs, tags, ancestors }
      this.#known.set(entity, facts)
      return facts
    } catch (error) {
      if (!(error instanceof TypeMismatch)) throw error
      this.mismatch ??= `${uid.type}::"${uid.id}": ${error.message}`
      return { uid, attrs: NOTHING, tags: NOTHING, ancestors }
    }
  }

  #typed(entity: StoredEntity): TypedEntity {
    const known = typedBy(this.#release).get(entity)
    if (known !== undefined) return known
    const typed = { attrs: this.#storedAttrs(entity), tags: this.#storedTags(entity) }
    typedBy(this.#release).set(entity, typed)
    return typed
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
const typedForms = new WeakMap<Release, WeakMap<StoredEntity, TypedEntity>>()

/** Facts with their ancestors, which other entities of the registry decide: one snapshot's are not another's. */
const snapshots = new WeakMap<RegistrySnapshot, WeakMap<Release, Map<StoredEntity, EntityFacts>>>()

function typedBy(release: Release): WeakMap<StoredEntity, TypedEntity> {
  return remembered(typedForms, release, () => new WeakMap())
}

function factsIn(registry: RegistrySnapshot, release: Release): Map<StoredEntity, EntityFacts> {
  return remembered(
    remembered(snapshots, registry, () => new WeakMap()),
    release,
    () => new Map(),
  )
}

function remembered<Key extends object, Kept>(known: WeakMap<Key, Kept>, key: Key, make: () => Kept): Kept {
  const found = known.get(key)
  if (found !== undefined) return found
  const made = make()
  known.set(key, made)
  return made
}

/** `attrs` with what it lacks of `asserted`; itself when it lacks nothing. */
function filled(attrs: ValueRecord, asserted: ValueRecord): ValueRecord {
  let complete = true
  for (const name of asserted.keys()) complete &&= attrs.has(name)
  return complete ? attrs : new Map([...asserted, ...attrs])
}

/** `first` with what it lacks of `second`; itself when it lacks nothing. */
function union(first: readonly EntityUid[], second: readonly EntityUid[]): readonly EntityUid[] {
  const missing = second.filter(
    (uid) => !first.some((known) => known.id === uid.id && known.type === uid.type),
  )
  return missing.length === 0 ? first : [...first, ...missing]
}
