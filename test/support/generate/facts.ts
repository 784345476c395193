import { type EntityUid, type UidKey, uidKey, type Value, type ValueRecord } from '#model/value.ts'
import type { EntityFacts } from '#policy/port.ts'
import type { Random } from './random.ts'
import type { GenAction, GenAttrs, GenSchema, GenType } from './schema.ts'

/** Generated entities: `pool` names more than exist, so that references dangle. */
export interface GenFacts {
  readonly pool: ReadonlyMap<string, readonly EntityUid[]>
  readonly entities: ReadonlyMap<UidKey, EntityFacts>
  /** In Cedar's entity JSON with the implicit forms that only a schema makes readable. */
  readonly json: readonly object[]
}

/** A generated request. */
export interface GenRequest {
  readonly principal: EntityUid
  readonly action: GenAction
  readonly resource: EntityUid
  readonly context: ValueRecord
}

const IDS_PER_TYPE_MAX = 3

/** Entities of every type of `schema` in a hierarchy without cycles. */
export function generateFacts(random: Random, schema: GenSchema): GenFacts {
  const names = [...schema.types.keys()]
  const pool = new Map(
    names.map((type) => [
      type,
      Array.from({ length: 1 + random.int(IDS_PER_TYPE_MAX) }, (_, i) => ({ type, id: `e "${i}"` })),
    ]),
  )
  const order = [...pool.values()].flat()
  const entities = new Map<UidKey, EntityFacts>()
  const json: object[] = []
  // From the last to the first: an entity's parents come later in the order, so there is no cycle.
  for (let i = order.length - 1; i >= 0; i -= 1) {
    const uid = order[i]
    const type = uid === undefined ? undefined : schema.types.get(uid.type)
    if (uid === undefined || type === undefined || random.chance(0.15)) continue
    const parents = random.some(
      order.slice(i + 1).filter((other) => type.parents.includes(other.type)),
      0.5,
    )
    const attrs = generateRecord(random, type.attrs, pool)
    const tags = generateTags(random, type.tags, pool)
    entities.set(uidKey(uid), { uid, attrs, tags, ancestors: closureOf(parents, entities) })
    json.push({
      uid,
      attrs: implicitRecord(attrs),
      parents,
      ...(type.tags === undefined ? {} : { tags: implicitRecord(tags) }),
    })
  }
  for (const action of schema.actions) {
    const facts = { uid: action.uid, attrs: new Map(), tags: new Map(), ancestors: action.ancestors }
    entities.set(uidKey(action.uid), facts)
  }
  return { pool, entities, json }
}

function closureOf(
  parents: readonly EntityUid[],
  entities: ReadonlyMap<UidKey, EntityFacts>,
): readonly EntityUid[] {
  const closure = new Map<UidKey, EntityUid>()
  for (const parent of parents) {
    closure.set(uidKey(parent), parent)
    for (const above of entities.get(uidKey(parent))?.ancestors ?? []) closure.set(uidKey(above), above)
  }
  return [...closure.values()]
}

/** A request that fits the schema. */
export function generateRequest(random: Random, schema: GenSchema, facts: GenFacts): GenRequest {
  const action = random.pick(schema.actions.filter((each) => each.principals.length > 0))
  return {
    principal: random.pick(facts.pool.get(random.pick(action.principals)) ?? []),
    action,
    resource: random.pick(facts.pool.get(random.pick(action.resources)) ?? []),
    context: generateRecord(random, action.context, facts.pool),
  }
}

function generateRecord(random: Random, attrs: GenAttrs, pool: GenFacts['pool']): ValueRecord {
  const fields = new Map<string, Value>()
  for (const [name, { type, required }] of attrs) {
    if (required || random.chance(0.6)) fields.set(name, generateValue(random, type, pool))
  }
  return fields
}

function generateTags(random: Random, type: GenType | undefined, pool: GenFacts['pool']): ValueRecord {
  if (type === undefined) return new Map()
  return new Map(random.some(['x', 'y', 'a'], 0.6).map((name) => [name, generateValue(random, type, pool)]))
}

function generateValue(random: Random, type: GenType, pool: GenFacts['pool']): Value {
  switch (type.kind) {
    case 'bool':
      return random.chance(0.5)
    case 'long':
      return random.pick([0, 1, 2, 3, -1, 50, 9_007_199_254_740_991, -9_007_199_254_740_991])
    case 'string':
      return random.pick(STRINGS)
    case 'ext':
      return { kind: 'extension', fn: type.fn, text: random.pick(EXTENSION_TEXTS[type.fn]) }
    case 'entity':
      return { kind: 'entity', uid: random.pick(pool.get(type.type) ?? []) }
    case 'set': {
      const elements = Array.from({ length: random.int(3) }, () => generateValue(random, type.element, pool))
      return { kind: 'set', elements }
    }
    case 'record':
      return { kind: 'record', fields: generateRecord(random, type.attrs, pool) }
  }
}

/** Texts that values and policies share, so that comparisons are sometimes true. */
export const STRINGS: readonly string[] = ['x', 'y', 'a', '', 'xyz', 'a*b', 'é😀', 'Ns::T0', '"quoted"']

/** Texts of extension values that parse. */
export const EXTENSION_TEXTS: {
  readonly [fn in 'ip' | 'decimal' | 'datetime' | 'duration']: readonly string[]
} = {
  ip: ['10.0.0.1', '10.0.0.0/8', '127.0.0.1', '::1', '192.168.1.1/32'],
  decimal: ['0.0', '1.5', '-3.25', '922337203685477.5807', '1.50'],
  datetime: ['2026-01-01', '2026-01-01T00:00:00Z', '2024-02-29T12:30:00.500+0100', '1969-12-31T23:59:59Z'],
  duration: ['1h', '60m', '-2d', '1d2h3m4s5ms', '0ms'],
}

/** A record as only a call with a schema can read it: entity references and extension values without escapes. */
export function implicitRecord(fields: ValueRecord): object {
  const record: { [name: string]: unknown } = Object.create(null)
  for (const [name, value] of fields) record[name] = implicit(value)
  return record
}

function implicit(value: Value): unknown {
  if (typeof value !== 'object') return value
  if (value.kind === 'set') return value.elements.map(implicit)
  if (value.kind === 'record') return implicitRecord(value.fields)
  return value.kind === 'entity' ? { type: value.uid.type, id: value.uid.id } : value.text
}
