import type { EntityUid } from '#model/value.ts'
import type { Random } from './random.ts'

/** Type of a generated attribute. */
export type GenType =
  | { readonly kind: 'bool' | 'long' | 'string' }
  | { readonly kind: 'ext'; readonly fn: 'ip' | 'decimal' | 'datetime' | 'duration' }
  | { readonly kind: 'entity'; readonly type: string }
  | { readonly kind: 'set'; readonly element: GenType }
  | { readonly kind: 'record'; readonly attrs: GenAttrs }

/** Attributes by name. */
export type GenAttrs = ReadonlyMap<string, { readonly type: GenType; readonly required: boolean }>

/** A generated entity type; `parents` are the types that it may be a member of. */
export interface GenEntityType {
  readonly name: string
  readonly attrs: GenAttrs
  readonly tags: GenType | undefined
  readonly parents: readonly string[]
}

/** A generated action; groups have no principals. */
export interface GenAction {
  readonly uid: EntityUid
  readonly parents: readonly EntityUid[]
  readonly ancestors: readonly EntityUid[]
  readonly principals: readonly string[]
  readonly resources: readonly string[]
  readonly context: GenAttrs
}

/** A generated schema. `json` is Cedar's JSON schema form. */
export interface GenSchema {
  readonly types: ReadonlyMap<string, GenEntityType>
  readonly actions: readonly GenAction[]
  readonly json: never
}

const ATTRIBUTE_NAMES = ['a', 'b', 'c', 'level', 'owner', 'odd key', 'constructor', '__proto__', 'if', 'é']
const TYPE_COUNT = 3
const GROUP_COUNT = 3
const ACTION_COUNT = 4

/** A random schema with entity hierarchies, tags, optional attributes, action groups and contexts. */
export function generateSchema(random: Random): GenSchema {
  const namespace = random.pick(['', 'Ns', 'Ns::Deep'])
  const prefix = namespace === '' ? '' : `${namespace}::`
  const names = Array.from({ length: TYPE_COUNT }, (_, i) => `${prefix}T${i}`)
  const types = names.map((name, i) => ({
    name,
    attrs: generateAttrs(random, names, 2),
    tags: random.chance(0.5) ? generateType(random, names, 1) : undefined,
    parents: random.some(names.slice(i), 0.6),
  }))
  const actions = generateActions(random, `${prefix}Action`, names)
  const json = toSchemaJson(namespace, types, actions)
  return { types: new Map(types.map((type) => [type.name, type])), actions, json: json as never }
}

function generateAttrs(random: Random, names: readonly string[], depth: number): GenAttrs {
  const chosen = random.some(ATTRIBUTE_NAMES, 0.3)
  return new Map(
    chosen.map((name) => [name, { type: generateType(random, names, depth), required: random.chance(0.65) }]),
  )
}

function generateType(random: Random, names: readonly string[], depth: number): GenType {
  const roll = random.next()
  if (roll < 0.12) return { kind: 'bool' }
  if (roll < 0.3) return { kind: 'long' }
  if (roll < 0.45) return { kind: 'string' }
  if (roll < 0.65) return { kind: 'entity', type: random.pick(names) }
  if (roll < 0.75) return { kind: 'ext', fn: random.pick(['ip', 'decimal', 'datetime', 'duration']) }
  if (depth === 0) return { kind: 'long' }
  if (roll < 0.88) return { kind: 'set', element: generateType(random, names, depth - 1) }
  return { kind: 'record', attrs: generateAttrs(random, names, depth - 1) }
}

function generateActions(random: Random, type: string, names: readonly string[]): GenAction[] {
  const actions: GenAction[] = []
  for (let i = 0; i < GROUP_COUNT + ACTION_COUNT; i += 1) {
    const isGroup = i < GROUP_COUNT
    const parents = random.some(actions.slice(0, GROUP_COUNT), isGroup ? 0.5 : 0.45)
    const closure = new Map(
      parents.flatMap((parent) => [parent.uid, ...parent.ancestors]).map((uid) => [uid.id, uid]),
    )
    actions.push({
      uid: { type, id: isGroup ? `group/${i}` : `tool ${i}` },
      parents: parents.map((parent) => parent.uid),
      ancestors: [...closure.values()],
      principals: isGroup ? [] : atLeastOne(random, names),
      resources: isGroup ? [] : atLeastOne(random, names),
      context: isGroup ? new Map() : generateAttrs(random, names, 2),
    })
  }
  return actions
}

function atLeastOne(random: Random, names: readonly string[]): readonly string[] {
  const some = random.some(names, 0.5)
  return some.length > 0 ? some : [random.pick(names)]
}

function toSchemaJson(
  namespace: string,
  types: readonly GenEntityType[],
  actions: readonly GenAction[],
): object {
  const entityTypes = Object.fromEntries(
    types.map((type) => [
      local(type.name),
      {
        memberOfTypes: type.parents,
        shape: recordJson(type.attrs),
        ...(type.tags === undefined ? {} : { tags: typeJson(type.tags) }),
      },
    ]),
  )
  const actionJson = Object.fromEntries(
    actions.map((action) => [
      action.uid.id,
      {
        memberOf: action.parents.map((parent) => ({ id: parent.id, type: parent.type })),
        ...(action.principals.length === 0
          ? {}
          : {
              appliesTo: {
                principalTypes: action.principals,
                resourceTypes: action.resources,
                context: recordJson(action.context),
              },
            }),
      },
    ]),
  )
  return { [namespace]: { entityTypes, actions: actionJson } }
}

function local(name: string): string {
  return name.slice(name.lastIndexOf(':') + 1)
}

function recordJson(attrs: GenAttrs): object {
  const attributes: { [name: string]: object } = Object.create(null)
  for (const [name, { type, required }] of attrs) attributes[name] = { ...typeJson(type), required }
  return { type: 'Record', attributes }
}

function typeJson(type: GenType): object {
  switch (type.kind) {
    case 'bool':
      return { type: 'Boolean' }
    case 'long':
      return { type: 'Long' }
    case 'string':
      return { type: 'String' }
    case 'ext':
      return { type: 'Extension', name: type.fn === 'ip' ? 'ipaddr' : type.fn }
    case 'entity':
      return { type: 'Entity', name: type.type }
    case 'set':
      return { type: 'Set', element: typeJson(type.element) }
    case 'record':
      return recordJson(type.attrs)
  }
}
