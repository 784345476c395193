import { type EntityUid, type UidKey, uidKey, type Value, type ValueRecord } from '#model/value.ts'
import type { EntityFacts } from '#policy/port.ts'
import type { Random } from '../generate/random.ts'
import type { GenAttrs, GenSchema, GenType } from '../generate/schema.ts'
import { EXTENSION_TEXTS, LONG_VALUES, STRINGS, setSize } from './pools.ts'

/** An entity of a case with its direct parents, as an administrator would register it. */
export interface CaseEntity {
  readonly uid: EntityUid
  readonly attrs: ValueRecord
  readonly tags: ValueRecord
  readonly parents: readonly EntityUid[]
}

const IDS: readonly string[] = ['e0', 'e "1"', 'é😀', '', 'constructor', 'a\\b']
const PER_TYPE_MAX = 2

/** Names of entities of each type; `entities` leaves some out, so that references dangle. */
export function generateUids(random: Random, schema: GenSchema): readonly EntityUid[] {
  return [...schema.types.keys()].flatMap((type) => {
    const first = random.int(IDS.length)
    return Array.from({ length: 1 + random.int(PER_TYPE_MAX) }, (_, i) => ({
      type,
      id: IDS[(first + i) % IDS.length] ?? '',
    }))
  })
}

/**
 * Entities that fit the schema, in a hierarchy without cycles.
 * @param loose leaves the schema behind: attributes of other types, missing and additional ones, parents of any type
 */
export function generateEntities(
  random: Random,
  schema: GenSchema,
  uids: readonly EntityUid[],
  loose: boolean,
): readonly CaseEntity[] {
  const made: CaseEntity[] = []
  for (const [i, uid] of uids.entries()) {
    const type = schema.types.get(uid.type)
    if (type === undefined || random.chance(0.15)) continue
    // Parents come later in the order, so there is no cycle; a parent need not exist.
    const above = uids.slice(i + 1).filter((other) => loose || type.parents.includes(other.type))
    const attrs = generateFields(random, type.attrs, uids, loose)
    const tags = new Map<string, Value>()
    if (type.tags !== undefined || loose)
      for (const name of random.some(['x', 'y', 'a', 'é'], 0.5))
        tags.set(name, looseValue(random, type.tags ?? { kind: 'long' }, uids, loose))
    made.push({ uid, attrs, tags, parents: random.some(above, 0.4) })
  }
  return made
}

/** Fields of a record type. */
export function generateFields(
  random: Random,
  attrs: GenAttrs,
  uids: readonly EntityUid[],
  loose: boolean,
): ValueRecord {
  const fields = new Map<string, Value>()
  for (const [name, { type, required }] of attrs) {
    const present = required && !loose ? true : random.chance(required ? 0.9 : 0.6)
    if (present) fields.set(name, looseValue(random, type, uids, loose))
  }
  if (loose && random.chance(0.3))
    fields.set(random.pick(['a', 'extra', 'é', '__proto__']), value(random, ANY(random), uids))
  return fields
}

const SCALARS: readonly GenType[] = [
  { kind: 'bool' },
  { kind: 'long' },
  { kind: 'string' },
  { kind: 'ext', fn: 'ip' },
  { kind: 'ext', fn: 'decimal' },
  { kind: 'ext', fn: 'datetime' },
  { kind: 'ext', fn: 'duration' },
]

const ANY = (random: Random): GenType =>
  random.chance(0.25) ? { kind: 'set', element: random.pick(SCALARS) } : random.pick(SCALARS)

function looseValue(random: Random, type: GenType, uids: readonly EntityUid[], loose: boolean): Value {
  if (loose && random.chance(0.08)) return value(random, ANY(random), uids)
  if (loose && type.kind === 'set') {
    // Without a schema a set may hold anything.
    const elements = Array.from({ length: setSize(random) }, () =>
      looseValue(random, type.element, uids, loose),
    )
    return { kind: 'set', elements }
  }
  return value(random, type, uids)
}

function value(random: Random, type: GenType, uids: readonly EntityUid[]): Value {
  switch (type.kind) {
    case 'bool':
      return random.chance(0.5)
    case 'long':
      return random.pick(LONG_VALUES)
    case 'string':
      return random.pick(STRINGS)
    case 'ext':
      return { kind: 'extension', fn: type.fn, text: random.pick(EXTENSION_TEXTS[type.fn]) }
    case 'entity': {
      const fitting = uids.filter((uid) => uid.type === type.type)
      return { kind: 'entity', uid: random.pick(fitting) }
    }
    case 'set': {
      const elements = Array.from({ length: setSize(random) }, () => value(random, type.element, uids))
      return { kind: 'set', elements }
    }
    case 'record':
      return { kind: 'record', fields: generateFields(random, type.attrs, uids, false) }
  }
}

/** What the port's queries look entities up in: each with its whole ancestor closure. */
export function closedFacts(entities: readonly CaseEntity[]): ReadonlyMap<UidKey, EntityFacts> {
  const byKey = new Map(entities.map((each) => [uidKey(each.uid), each]))
  const climb = (from: CaseEntity): readonly EntityUid[] => {
    const found = new Map<UidKey, EntityUid>()
    const queue = [...from.parents]
    for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
      if (found.has(uidKey(next))) continue
      found.set(uidKey(next), next)
      queue.push(...(byKey.get(uidKey(next))?.parents ?? []))
    }
    return [...found.values()]
  }
  return new Map(
    entities.map((each) => [
      uidKey(each.uid),
      { uid: each.uid, attrs: each.attrs, tags: each.tags, ancestors: climb(each) },
    ]),
  )
}

/** The entities of a world as Cedar's JSON; a schema knows the actions itself. */
export function explicitEntities(
  { schema, actions }: { readonly schema: object | undefined; readonly actions: readonly CaseEntity[] },
  entities: readonly CaseEntity[],
): readonly object[] {
  const declared = schema === undefined ? [...entities, ...actions] : entities
  return declared.map(({ uid, attrs, tags, parents }) => ({
    uid,
    attrs: explicitRecord(attrs),
    ...(tags.size > 0 && { tags: explicitRecord(tags) }),
    parents,
  }))
}

/** A value in Cedar's JSON with its explicit escapes, which need no schema. */
export function explicitJson(value: Value): unknown {
  if (typeof value !== 'object') return value
  switch (value.kind) {
    case 'entity':
      return { __entity: { type: value.uid.type, id: value.uid.id } }
    case 'extension':
      return { __extn: { fn: value.fn, arg: value.text } }
    case 'set':
      return value.elements.map(explicitJson)
    case 'record':
      return explicitRecord(value.fields)
  }
}

/** Fields in Cedar's JSON, without a prototype. */
export function explicitRecord(fields: ValueRecord): object {
  const record: { [name: string]: unknown } = Object.create(null)
  for (const [name, value] of fields) record[name] = explicitJson(value)
  return record
}
