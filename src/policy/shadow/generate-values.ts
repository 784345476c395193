import type { RegistrySnapshot } from '#model/registry.ts'
import type { PolicyRecord, ReadNode, Release, SchemaAttributes, SchemaType } from '#model/release.ts'
import type { EntityUid, ExtensionFunction, Value, ValueRecord } from '#model/value.ts'
import { tokens } from '#policy/compile/tokens.ts'

/** What values are made from. */
export interface Source {
  readonly release: Release
  readonly registry: RegistrySnapshot
  /** Uniform in [0, 1). */
  readonly random: () => number
  /** Strings and numbers that the policy mentions, with their neighbours: there its conditions turn. */
  readonly literals: Literals
}

/** Literals of one policy, never empty. */
export interface Literals {
  readonly strings: readonly string[]
  readonly numbers: readonly number[]
}

const DEPTH_MAX = 4
const ENTITIES_TRIED = 50
const RESERVED = new Set(['__entity', '__extn', '__expr'])

const EXTENSION_TEXTS: { readonly [fn in ExtensionFunction]: readonly string[] } = {
  ip: ['10.0.0.1', '10.0.0.0/8', '127.0.0.1', '192.168.1.1', '8.8.8.8', '::1', 'ff02::1', '2001:db8::/32'],
  decimal: ['0.0', '0.5', '1.0', '1.5', '-3.25', '99.99', '922337203685477.5807'],
  datetime: ['2026-01-01', '2020-02-29T12:30:00Z', '1969-12-31T23:59:59Z', '2999-12-31T23:59:59.999Z'],
  duration: ['0ms', '1m', '1h', '-1h', '1d', '30d', '1d2h3m4s5ms'],
}

/** What every policy is asked with. */
const COMMON: Literals = { strings: ['', 'x'], numbers: [0, 1, -1, 100] }

/** The item at a random place; undefined of nothing. */
export function pick<Item>(random: () => number, items: readonly Item[]): Item | undefined {
  return items[Math.floor(random() * items.length)]
}

/** The literals that a policy text mentions, and some that it does not. */
export function literalsOf({ text }: Pick<PolicyRecord, 'text'>): Literals {
  const strings = [...COMMON.strings]
  const numbers = [...COMMON.numbers]
  for (const token of tokens(text)) {
    if (token.kind === 'string') strings.push(unquoted(token.text))
    const value = token.kind === 'number' ? Number(token.text) : Number.NaN
    if (Number.isSafeInteger(value) && value < Number.MAX_SAFE_INTEGER)
      numbers.push(value - 1, value, value + 1)
  }
  return { strings, numbers }
}

/** Good enough for a guess: patterns lose their wildcards and odd escapes stay as they are. */
function unquoted(text: string): string {
  return text
    .slice(1, -1)
    .replaceAll(/\\(["\\])/g, '$1')
    .replaceAll('*', '')
}

/** Fields that a schema declares; optional ones are sometimes left out. */
export function fieldsBySchema(source: Source, attrs: SchemaAttributes, depth = 0): ValueRecord {
  const fields = new Map<string, Value>()
  for (const [name, { type, required }] of Object.entries(attrs))
    if (!RESERVED.has(name) && (required || source.random() < 0.7))
      fields.set(name, valueBySchema(source, type, depth))
  return fields
}

function valueBySchema(source: Source, type: SchemaType, depth: number): Value {
  const { random, literals } = source
  switch (type.kind) {
    case 'bool':
      return random() < 0.5
    case 'long':
      return pick(random, literals.numbers) ?? 0
    case 'string':
      return pick(random, literals.strings) ?? ''
    case 'extension':
      return extension(random, type.fn)
    case 'entity':
      return { kind: 'entity', uid: entityOf(source, type.type) }
    case 'set': {
      const count = depth >= DEPTH_MAX ? 0 : Math.floor(random() * 3)
      const elements = Array.from({ length: count }, () => valueBySchema(source, type.element, depth + 1))
      return { kind: 'set', elements }
    }
    case 'record':
      return { kind: 'record', fields: fieldsBySchema(source, type.attrs, depth + 1) }
  }
}

function extension(random: () => number, fn: ExtensionFunction): Value {
  return { kind: 'extension', fn, text: pick(random, EXTENSION_TEXTS[fn]) ?? '' }
}

/** A registered entity of the type, or sometimes one that does not exist. */
export function entityOf({ registry, random, literals }: Source, type: string): EntityUid {
  const registered = registry.ofType(type)
  const stored = random() < 0.8 ? pick(random, registered.slice(0, ENTITIES_TRIED)) : undefined
  return stored?.uid ?? { type, id: pick(random, literals.strings) ?? '' }
}

/** Without a schema: fields that a policy reads, with values of any kind that it might mean. */
export function fieldsByReads(source: Source, node: ReadNode | undefined, depth = 0): ValueRecord {
  const fields = new Map<string, Value>()
  for (const [name, child] of Object.entries(node?.attrs ?? {}))
    if (!RESERVED.has(name) && source.random() < 0.85) fields.set(name, valueByReads(source, child, depth))
  return fields
}

function valueByReads(source: Source, node: ReadNode, depth: number): Value {
  const { random, literals } = source
  if (Object.keys(node.attrs).length > 0 && depth < DEPTH_MAX)
    return { kind: 'record', fields: fieldsByReads(source, node, depth + 1) }
  const kind = pick(random, [
    ...['string', 'number', 'boolean', 'boolean', 'set', 'extension'],
    ...(literals.strings.length > COMMON.strings.length ? ['string', 'string', 'string'] : []),
    ...(literals.numbers.length > COMMON.numbers.length ? ['number', 'number', 'number'] : []),
  ])
  if (kind === 'string') return pick(random, literals.strings) ?? ''
  if (kind === 'number') return pick(random, literals.numbers) ?? 0
  if (kind === 'boolean') return random() < 0.5
  if (kind === 'extension')
    return extension(random, pick(random, ['ip', 'decimal', 'datetime', 'duration'] as const) ?? 'ip')
  const elements = Array.from(
    { length: Math.floor(random() * 3) },
    () => pick(random, literals.strings) ?? '',
  )
  return { kind: 'set', elements }
}
