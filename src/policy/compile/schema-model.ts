import type { ActionType, NamespaceDefinition, SchemaJson, Type } from '@cedar-policy/cedar-wasm/nodejs'
import type { SchemaAttributes, SchemaModel, SchemaType } from '#model/release.ts'
import { type EntityUid, type UidKey, uidKey } from '#model/value.ts'
import { LIMITS } from './limits.ts'

/** The schema is too large once its common types are written out. */
export class SchemaTooLarge extends Error {}

const PRIMITIVES = new Map<string, SchemaType>([
  ['String', { kind: 'string' }],
  ['Long', { kind: 'long' }],
  ['Bool', { kind: 'bool' }],
  ['Boolean', { kind: 'bool' }],
  ['ipaddr', { kind: 'extension', fn: 'ip' }],
  ['decimal', { kind: 'extension', fn: 'decimal' }],
  ['datetime', { kind: 'extension', fn: 'datetime' }],
  ['duration', { kind: 'extension', fn: 'duration' }],
])

/**
 * The schema in the form that requests are checked against, from the engine's JSON form with resolved type names.
 * @throws SchemaTooLarge when common types multiply beyond `LIMITS.schemaNodes`
 */
export function schemaModel(json: SchemaJson<string>): SchemaModel {
  const types = new TypeReader(json)
  const entityTypes: Record<string, SchemaModel['entityTypes'][string]> = Object.create(null)
  for (const [namespace, definition] of Object.entries(json))
    for (const [name, type] of Object.entries(definition.entityTypes))
      entityTypes[qualified(namespace, name)] =
        'enum' in type
          ? { attrs: {}, tags: undefined, choices: type.enum }
          : {
              attrs: types.attributes(type.shape),
              tags: type.tags === undefined ? undefined : types.read(type.tags),
              choices: undefined,
            }
  return { entityTypes: { ...entityTypes }, actions: actionsOf(json, types) }
}

function actionsOf(json: SchemaJson<string>, types: TypeReader): SchemaModel['actions'] {
  const parents = new Map<UidKey, readonly EntityUid[]>()
  const declared: { readonly uid: EntityUid; readonly action: ActionType<string> }[] = []
  for (const [namespace, definition] of Object.entries(json))
    for (const [id, action] of Object.entries(definition.actions)) {
      const uid = { type: qualified(namespace, 'Action'), id }
      declared.push({ uid, action })
      parents.set(
        uidKey(uid),
        (action.memberOf ?? []).map((parent) => ({ type: parent.type ?? uid.type, id: parent.id })),
      )
    }
  return declared
    .map(({ uid, action }) => ({
      uid,
      groups: closure(uid, parents),
      principals: action.appliesTo?.principalTypes ?? [],
      resources: action.appliesTo?.resourceTypes ?? [],
      context: types.attributes(action.appliesTo?.context),
    }))
    .toSorted((a, b) => (uidKey(a.uid) < uidKey(b.uid) ? -1 : 1))
}

/** All ancestors, nearest first. */
function closure(uid: EntityUid, parents: ReadonlyMap<UidKey, readonly EntityUid[]>): readonly EntityUid[] {
  const found = new Map<UidKey, EntityUid>()
  const queue: EntityUid[] = [...(parents.get(uidKey(uid)) ?? [])]
  for (const next of queue) {
    if (found.has(uidKey(next))) continue
    found.set(uidKey(next), next)
    queue.push(...(parents.get(uidKey(next)) ?? []))
  }
  return [...found.values()]
}

/** Writes out the engine's types; every node is counted, because common types can multiply without bound. */
class TypeReader {
  readonly #common = new Map<string, Type<string>>()
  readonly #known = new Map<string, { readonly type: SchemaType; readonly nodes: number }>()
  #nodes = 0

  constructor(json: SchemaJson<string>) {
    for (const [namespace, definition] of Object.entries(json)) this.#addCommon(namespace, definition)
  }

  attributes(type: Type<string> | undefined): SchemaAttributes {
    const read = type === undefined ? undefined : this.read(type)
    return read?.kind === 'record' ? read.attrs : {}
  }

  read(type: Type<string>): SchemaType {
    this.#count(1)
    if ('element' in type) return { kind: 'set', element: this.read(type.element) }
    if ('attributes' in type) return this.#record(type.attributes)
    const name = 'name' in type ? type.name : type.type
    if (type.type === 'Entity') return { kind: 'entity', type: name }
    return this.#named(name)
  }

  #record(attributes: Readonly<Record<string, Type<string> & { readonly required?: boolean }>>): SchemaType {
    const attrs = Object.entries(attributes).map(
      ([name, attribute]) =>
        [name, { type: this.read(attribute), required: attribute.required ?? true }] as const,
    )
    return { kind: 'record', attrs: Object.fromEntries(attrs) }
  }

  #named(name: string): SchemaType {
    const known = this.#known.get(name)
    if (known !== undefined) {
      this.#count(known.nodes)
      return known.type
    }
    const common = this.#common.get(name)
    if (common === undefined) {
      const primitive = PRIMITIVES.get(name.replace(/^__cedar::/, ''))
      // The engine resolved every name already; what is left can only be an entity type.
      return primitive ?? { kind: 'entity', type: name }
    }
    const before = this.#nodes
    const type = this.read(common)
    this.#known.set(name, { type, nodes: this.#nodes - before })
    return type
  }

  #addCommon(namespace: string, definition: NamespaceDefinition<string>): void {
    for (const [name, type] of Object.entries(definition.commonTypes ?? {}))
      this.#common.set(qualified(namespace, name), type)
  }

  #count(nodes: number): void {
    this.#nodes += nodes
    if (this.#nodes > LIMITS.schemaNodes) throw new SchemaTooLarge('the schema is too large')
  }
}

function qualified(namespace: string, name: string): string {
  return namespace === '' ? name : `${namespace}::${name}`
}
