import type { EntityUid, ExtensionFunction } from '#model/value.ts'
import type { Random } from '../generate/random.ts'
import type { GenAction, GenAttrs, GenSchema, GenType } from '../generate/schema.ts'
import {
  apply,
  EXTENSION_METHODS,
  isPlainName,
  literal,
  type Node,
  type Op,
  stringLiteral,
  uidText,
} from './node.ts'
import { BAD_EXTENSION_TEXTS, EXTENSION_TEXTS, LONG_LITERALS, PATTERNS, STRINGS, setSize } from './pools.ts'

/** What an expression is written for. A request of other types makes it error, which is wanted too. */
export interface Env {
  readonly random: Random
  readonly schema: GenSchema
  /** Entities that may be named; some do not exist. */
  readonly uids: readonly EntityUid[]
  readonly principal: string
  readonly resource: string
  readonly action: GenAction
}

const BOOL: GenType = { kind: 'bool' }
const LONG: GenType = { kind: 'long' }
const STRING: GenType = { kind: 'string' }
const IP: GenType = { kind: 'ext', fn: 'ip' }
const DECIMAL: GenType = { kind: 'ext', fn: 'decimal' }
const DATETIME: GenType = { kind: 'ext', fn: 'datetime' }
const DURATION: GenType = { kind: 'ext', fn: 'duration' }
const ODD_NAMES = ['a', 'missing', 'odd key', 'constructor', '__proto__', 'toString', 'é', 'if', '']

type Make = (env: Env, depth: number) => Node

/** An expression that has `type` when all goes well; now and then another one, so that it errors. */
export function expression(env: Env, wanted: GenType, depth: number): Node {
  const { random } = env
  const type = random.chance(0.015) ? anyType(env) : wanted
  if (random.chance(0.04) && depth > 0)
    return apply(
      'if',
      boolean(env, depth - 1),
      expression(env, type, depth - 1),
      expression(env, type, depth - 1),
    )
  if (random.chance(0.04) && depth > 0) return throughRecord(env, type, depth)
  const path = random.chance(0.5) ? pathTo(env, type) : undefined
  if (path !== undefined) return path
  return make(env, type, depth)
}

function make(env: Env, type: GenType, depth: number): Node {
  const { random } = env
  switch (type.kind) {
    case 'bool':
      return depth > 0 ? boolean(env, depth - 1) : literal(random.pick(['true', 'false']))
    case 'long':
      return long(env, depth)
    case 'string':
      return stringLiteral(random.pick(STRINGS))
    case 'entity':
      return entity(env, type.type)
    case 'ext':
      return extension(env, type.fn, depth)
    case 'set':
      return setOf(env, type.element, depth)
    case 'record': {
      const fields = [...type.attrs]
      return {
        op: 'record',
        args: fields.map(([, attr]) => expression(env, attr.type, depth - 1)),
        text: '',
        keys: fields.map(([name]) => name),
      }
    }
  }
}

function long(env: Env, depth: number): Node {
  const { random } = env
  if (depth <= 0 || random.chance(0.4)) return literal(random.pick(LONG_LITERALS))
  const op = random.pick(['+', '-', '*', 'neg', 'to'] as const)
  if (op === 'neg') return apply('neg', expression(env, LONG, depth - 1))
  if (op !== 'to') return apply(op, expression(env, LONG, depth - 1), expression(env, LONG, depth - 1))
  const unit = random.pick(['toMilliseconds', 'toSeconds', 'toMinutes', 'toHours', 'toDays'] as const)
  return apply(unit, expression(env, DURATION, depth - 1))
}

function extension(env: Env, fn: ExtensionFunction, depth: number): Node {
  const { random } = env
  if (depth > 0 && fn === 'datetime' && random.chance(0.4))
    return random.chance(0.6)
      ? apply('offset', expression(env, DATETIME, depth - 1), expression(env, DURATION, depth - 1))
      : apply('toDate', expression(env, DATETIME, depth - 1))
  if (depth > 0 && fn === 'duration' && random.chance(0.4))
    return random.chance(0.6)
      ? apply('durationSince', expression(env, DATETIME, depth - 1), expression(env, DATETIME, depth - 1))
      : apply('toTime', expression(env, DATETIME, depth - 1))
  const roll = random.next()
  if (roll < 0.05) return apply(fn, expression(env, STRING, depth - 1))
  if (roll < 0.1) return apply(fn, stringLiteral(random.pick(BAD_EXTENSION_TEXTS[fn])))
  if (roll < 0.11) return apply(fn, ...[stringLiteral('1.5'), stringLiteral('x')].slice(random.int(2) * 2))
  return apply(fn, stringLiteral(random.pick(EXTENSION_TEXTS[fn])))
}

function entity(env: Env, type: string): Node {
  const fitting = env.uids.filter((uid) => uid.type === type)
  return named(env.random.pick(fitting.length > 0 && env.random.chance(0.9) ? fitting : env.uids))
}

function named(uid: EntityUid): Node {
  return { op: 'entity', args: [], text: uidText(uid) }
}

function setOf(env: Env, element: GenType, depth: number): Node {
  const { random } = env
  const args = Array.from({ length: setSize(random) }, () => expression(env, element, depth - 1))
  const again = args[0]
  return { op: 'set', args: again !== undefined && random.chance(0.2) ? [...args, again] : args, text: '' }
}

/** A value that is put into a record and taken out again; sometimes the wrong field is taken. */
function throughRecord(env: Env, type: GenType, depth: number): Node {
  const { random } = env
  const key = random.pick(ODD_NAMES)
  const args = [expression(env, type, depth - 1), expression(env, anyType(env), depth - 2)]
  const record: Node = { op: 'record', args, text: '', keys: [key, `${key}2`] }
  return { op: 'attribute', args: [record], text: random.chance(0.92) ? key : random.pick(ODD_NAMES) }
}

/** A random type, shallow. */
export function anyType({ random, schema }: Env): GenType {
  return random.pick<GenType>([
    BOOL,
    LONG,
    STRING,
    IP,
    DECIMAL,
    DATETIME,
    DURATION,
    { kind: 'entity', type: random.pick([...schema.types.keys()]) },
    { kind: 'set', element: LONG },
    { kind: 'set', element: STRING },
    { kind: 'set', element: { kind: 'set', element: LONG } },
    { kind: 'record', attrs: new Map([['a', { type: LONG, required: true }]]) },
  ])
}

const paths = new WeakMap<Env, Map<string, Node[]>>()

/** A way from a variable through attributes and tags to a value of `type`. */
function pathTo(env: Env, type: GenType): Node | undefined {
  let known = paths.get(env)
  if (known === undefined) {
    known = findPaths(env)
    paths.set(env, known)
  }
  const found = known.get(keyOf(type))
  return found === undefined ? undefined : env.random.pick(found)
}

const PATHS_MAX = 300
const HOPS_MAX = 3

function findPaths(env: Env): Map<string, Node[]> {
  const found = new Map<string, Node[]>()
  const variable = (name: string): Node => ({ op: 'variable', args: [], text: name })
  let level: (readonly [Node, GenType])[] = [
    [variable('principal'), { kind: 'entity', type: env.principal }],
    [variable('resource'), { kind: 'entity', type: env.resource }],
    [variable('action'), { kind: 'entity', type: env.action.uid.type }],
    [variable('context'), { kind: 'record', attrs: env.action.context }],
  ]
  let count = 0
  for (let hop = 0; hop <= HOPS_MAX; hop += 1) {
    const next: (readonly [Node, GenType])[] = []
    for (const [node, type] of level) {
      const key = keyOf(type)
      found.set(key, [...(found.get(key) ?? []), node])
      count += 1
      if (count < PATHS_MAX) next.push(...stepsFrom(env, node, type))
    }
    level = next
  }
  return found
}

function stepsFrom(env: Env, from: Node, type: GenType): (readonly [Node, GenType])[] {
  const steps = [...(attrsOf(env, type) ?? [])].map(
    ([name, attr]) => [{ op: 'attribute', args: [from], text: name }, attr.type] as const,
  )
  const tags = type.kind === 'entity' ? env.schema.types.get(type.type)?.tags : undefined
  const key = env.random.pick(['x', 'y', 'a', 'é'])
  return tags === undefined ? steps : [...steps, [apply('getTag', from, stringLiteral(key)), tags] as const]
}

function attrsOf(env: Env, type: GenType): GenAttrs | undefined {
  if (type.kind === 'record') return type.attrs
  return type.kind === 'entity' ? env.schema.types.get(type.type)?.attrs : undefined
}

function keyOf(type: GenType): string {
  switch (type.kind) {
    case 'ext':
      return type.fn
    case 'entity':
      return `:${type.type}`
    case 'set':
      return `[${keyOf(type.element)}]`
    case 'record':
      return `{${[...type.attrs].map(([name, attr]) => `${name}:${keyOf(attr.type)}`).join()}}`
    default:
      return type.kind
  }
}

/** A condition. Every operator with a boolean result is as likely as any other. */
export function boolean(env: Env, depth: number): Node {
  return env.random.pick(BOOLEANS)(env, depth)
}

function anyEntity(env: Env, depth: number): Node {
  return expression(env, { kind: 'entity', type: env.random.pick([...env.schema.types.keys()]) }, depth)
}

const equality: Make = (env, depth) => {
  const type = anyType(env)
  const left = expression(env, env.random.chance(0.7) ? type : reachable(env), depth)
  // The same expression twice is equal or errors: values that are only equal in meaning are compared as well.
  const right = env.random.chance(0.15) ? left : expression(env, type, depth)
  return apply(env.random.pick(['==', '!=']), left, right)
}

/** A type that a path leads to, so that nested records and sets of the schema are compared too. */
function reachable(env: Env): GenType {
  const holders = [...env.schema.types.values()].flatMap((type) => [...type.attrs.values()])
  return holders.length === 0 ? LONG : env.random.pick(holders).type
}

const comparison: Make = (env, depth) => {
  const type = env.random.pick([LONG, LONG, LONG, DATETIME, DURATION])
  const op = env.random.pick(['<', '<=', '>', '>='] as const)
  return apply(op, expression(env, type, depth), expression(env, type, depth))
}

const connective: Make = (env, depth) => {
  const op = env.random.pick(['&&', '||'] as const)
  return apply(op, expression(env, BOOL, depth), expression(env, BOOL, depth))
}

const membership: Make = (env, depth) => {
  const { random, schema } = env
  const group = (): Node => named(random.pick(schema.actions).uid)
  const element: GenType = { kind: 'entity', type: random.pick([...schema.types.keys()]) }
  return random.pick<() => Node>([
    () => apply('in', anyEntity(env, depth), anyEntity(env, depth)),
    () => apply('in', anyEntity(env, depth), setOf(env, element, depth)),
    () => apply('in', anyEntity(env, depth), expression(env, { kind: 'set', element }, depth)),
    () => apply('in', { op: 'variable', args: [], text: 'action' }, group()),
    () =>
      apply(
        'in',
        { op: 'variable', args: [], text: 'action' },
        { op: 'set', args: [group(), group()], text: '' },
      ),
    () => apply('in', group(), group()),
    () => apply('in', expression(env, anyType(env), depth), expression(env, anyType(env), depth)),
  ])()
}

const typeTest: Make = (env, depth) => {
  const { random, schema } = env
  const text = random.pick([...schema.types.keys(), schema.actions[0]?.uid.type ?? 'Action', 'Other::Type'])
  const left = random.chance(0.95) ? anyEntity(env, depth) : expression(env, anyType(env), depth)
  return random.chance(0.5)
    ? { op: 'is', args: [left], text }
    : { op: 'is-in', args: [left, anyEntity(env, depth)], text }
}

const presence: Make = (env, depth) => {
  const { random } = env
  const holder: Node = random.chance(0.9)
    ? anyEntity(env, depth)
    : random.pick([
        { op: 'variable', args: [], text: 'context' } as const,
        expression(env, anyType(env), depth),
      ])
  const names = [...env.schema.types.values()].flatMap((type) => [...type.attrs.keys()])
  if (random.chance(0.2)) return declaredPath(env, depth) ?? { op: 'has', args: [holder], text: 'a' }
  if (random.chance(0.2)) {
    const plain = [...names, 'a', 'b', 'level', 'owner'].filter(isPlainName)
    const path = Array.from({ length: 2 + random.int(2) }, () => random.pick(plain))
    return { op: 'has-path', args: [holder], text: path.join('.') }
  }
  return { op: 'has', args: [holder], text: random.pick([...names, ...ODD_NAMES]) }
}

/** `has` along attributes that the schema declares. */
function declaredPath(env: Env, depth: number): Node | undefined {
  const { random, schema } = env
  const paths = [...schema.types.values()].flatMap((type) =>
    [...type.attrs].flatMap(([name, { type: inner }]) =>
      [...(attrsOf(env, inner)?.keys() ?? [])]
        .filter((next) => isPlainName(name) && isPlainName(next))
        .map((next) => ({ holder: type.name, text: `${name}.${next}` })),
    ),
  )
  if (paths.length === 0) return undefined
  const { holder, text } = random.pick(paths)
  return { op: 'has-path', args: [expression(env, { kind: 'entity', type: holder }, depth)], text }
}

const pattern: Make = (env, depth) => ({
  op: 'like',
  args: [expression(env, STRING, depth)],
  text: env.random.pick(PATTERNS),
})

const tagTest: Make = (env, depth) => {
  const { random, schema } = env
  const key = random.chance(0.7)
    ? stringLiteral(random.pick(['x', 'y', 'a', 'é', 'z']))
    : expression(env, STRING, depth)
  const tagged = [...schema.types.values()].filter((type) => type.tags !== undefined)
  const type = tagged.length === 0 || random.chance(0.1) ? undefined : random.pick(tagged)
  const holder =
    type === undefined ? anyEntity(env, depth) : expression(env, { kind: 'entity', type: type.name }, depth)
  const has = apply('hasTag', holder, key)
  if (random.chance(0.4)) return has
  const equal = apply('==', apply('getTag', holder, key), expression(env, type?.tags ?? LONG, depth))
  return random.chance(0.5) ? apply('&&', has, equal) : equal
}

const setTest: Make = (env, depth) => {
  const { random } = env
  const element = random.pick<GenType>([LONG, STRING, anyType(env), { kind: 'entity', type: env.principal }])
  const set = (): Node => expression(env, { kind: 'set', element }, depth)
  const op = random.pick(['contains', 'containsAll', 'containsAny', 'isEmpty'] as const)
  if (op === 'isEmpty') return apply('isEmpty', set())
  return apply(op, set(), op === 'contains' ? expression(env, element, depth) : set())
}

const RECEIVERS: readonly (readonly [readonly (keyof typeof EXTENSION_METHODS)[], GenType])[] = [
  [['lessThan', 'lessThanOrEqual', 'greaterThan', 'greaterThanOrEqual'], DECIMAL],
  [['isIpv4', 'isIpv6', 'isLoopback', 'isMulticast', 'isInRange'], IP],
]

const extensionTest: Make = (env, depth) => {
  const { random } = env
  const [methods, type] = random.pick(RECEIVERS)
  const op: Op & keyof typeof EXTENSION_METHODS = random.pick(methods)
  const receiver = expression(env, random.chance(0.97) ? type : anyType(env), depth)
  const arity = EXTENSION_METHODS[op] + (random.chance(0.01) ? 1 : 0)
  return apply(op, receiver, ...Array.from({ length: arity }, () => expression(env, type, depth)))
}

/** An extension value against another: equality and order after arithmetic with dates. */
const timeTest: Make = (env, depth) => {
  const type = env.random.pick([DATETIME, DURATION])
  const op = env.random.pick(['==', '<', '<=', '>', '>='] as const)
  return apply(
    op,
    extension(env, type.kind === 'ext' ? type.fn : 'datetime', depth + 1),
    expression(env, type, depth),
  )
}

const BOOLEANS: readonly Make[] = [
  equality,
  equality,
  comparison,
  connective,
  connective,
  (env, depth) => apply('!', expression(env, BOOL, depth)),
  (env, depth) =>
    apply('if', expression(env, BOOL, depth), expression(env, BOOL, depth), expression(env, BOOL, depth)),
  membership,
  membership,
  typeTest,
  presence,
  pattern,
  tagTest,
  setTest,
  extensionTest,
  timeTest,
  (env, depth) => expression(env, BOOL, depth),
]
