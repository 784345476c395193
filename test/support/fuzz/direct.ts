import type { GenType } from '../generate/schema.ts'
import { anyType, type Env, expression } from './expressions.ts'
import {
  apply,
  CONSTRUCTORS,
  EXTENSION_METHODS,
  INFIX,
  literal,
  type Node,
  type Op,
  stringLiteral,
} from './node.ts'
import { BAD_EXTENSION_TEXTS, EXTENSION_TEXTS, PATTERNS } from './pools.ts'

const BOOL: GenType = { kind: 'bool' }
const LONG: GenType = { kind: 'long' }
const STRING: GenType = { kind: 'string' }
const IP: GenType = { kind: 'ext', fn: 'ip' }
const DECIMAL: GenType = { kind: 'ext', fn: 'decimal' }
const DATETIME: GenType = { kind: 'ext', fn: 'datetime' }
const DURATION: GenType = { kind: 'ext', fn: 'duration' }

const DECIMALS = ['lessThan', 'lessThanOrEqual', 'greaterThan', 'greaterThanOrEqual'] as const
const ADDRESSES = ['isIpv4', 'isIpv6', 'isLoopback', 'isMulticast', 'isInRange'] as const
const UNITS = ['toMilliseconds', 'toSeconds', 'toMinutes', 'toHours', 'toDays'] as const

type Shape = readonly [op: Op, operands: readonly GenType[], result: GenType | undefined]

/** Every operator that takes values, with the types of its operands; no result means a boolean. */
function shapes(env: Env): readonly Shape[] {
  const { random, schema } = env
  const entity = (): GenType => ({ kind: 'entity', type: random.pick([...schema.types.keys()]) })
  const element = random.pick([LONG, STRING, DECIMAL, DATETIME, IP, entity(), anyType(env)])
  const set: GenType = { kind: 'set', element }
  const ordered = random.pick([LONG, LONG, DATETIME, DURATION])
  const any = anyType(env)
  const infix = (op: (typeof INFIX)[number]): Shape => {
    if (op === 'in')
      return [op, [entity(), random.chance(0.5) ? entity() : { kind: 'set', element: entity() }], undefined]
    if (op === '&&' || op === '||') return [op, [BOOL, BOOL], undefined]
    if (op === '==' || op === '!=') return [op, [any, any], undefined]
    return op === '+' || op === '-' || op === '*'
      ? [op, [LONG, LONG], LONG]
      : [op, [ordered, ordered], undefined]
  }
  return [
    ...INFIX.map(infix),
    ['!', [BOOL], undefined],
    ['neg', [LONG], LONG],
    ['isEmpty', [set], undefined],
    ['contains', [set, element], undefined],
    ['containsAll', [set, set], undefined],
    ['containsAny', [set, set], undefined],
    ['hasTag', [entity(), STRING], undefined],
    ...DECIMALS.map((op): Shape => [op, [DECIMAL, DECIMAL], undefined]),
    ...ADDRESSES.map((op): Shape => [op, op === 'isInRange' ? [IP, IP] : [IP], undefined]),
    ...UNITS.map((op): Shape => [op, [DURATION], LONG]),
    ['offset', [DATETIME, DURATION], DATETIME],
    ['durationSince', [DATETIME, DATETIME], DURATION],
    ['toDate', [DATETIME], DATETIME],
    ['toTime', [DATETIME], DURATION],
    ['like', [STRING], undefined],
    ['if', [BOOL, BOOL, BOOL], undefined],
  ]
}

/** One operator on simple operands, each as likely as any other: what deep expressions reach seldom, this does often. */
export function direct(env: Env): Node {
  const { random } = env
  if (random.chance(0.1)) return construction(env)
  const [op, operands, result] = random.pick(shapes(env))
  const args = operands.map((type) => simple(env, random.chance(0.12) ? anyType(env) : type))
  if (op in EXTENSION_METHODS && random.chance(0.02)) args.push(simple(env, LONG))
  const node: Node = { op, args, text: op === 'like' ? random.pick(PATTERNS) : '' }
  if (result === undefined) return node
  const other = random.chance(0.1) ? node : simple(env, result)
  const compare = random.pick(['==', '<', '<=', '>', '>='] as const)
  return apply(compare, node, other)
}

/** Whether a text is a value of an extension type, and the same as another text. */
function construction({ random }: Env): Node {
  const fn = random.pick(CONSTRUCTORS)
  const make = (): Node =>
    apply(fn, stringLiteral(random.pick((random.chance(0.5) ? BAD_EXTENSION_TEXTS : EXTENSION_TEXTS)[fn])))
  const one = make()
  return apply('==', one, random.chance(0.5) ? one : make())
}

/** Datetimes at both ends of 64 bits; no literal reaches that far. */
const ENDS: readonly Node[] = ['9223372036854775807ms', '-9223372036854775808ms'].map((text) =>
  apply('offset', apply('datetime', stringLiteral('1970-01-01')), apply('duration', stringLiteral(text))),
)

/** Results of conversions, and the one number that has no negative. */
const NUMBERS = ['7', '24', '60', '-60', '3600000', '-9223372036854775808', '-9223372036854775808']

function simple(env: Env, type: GenType): Node {
  const { random } = env
  if (type.kind === 'ext' && type.fn === 'datetime' && random.chance(0.2)) return random.pick(ENDS)
  if (type.kind === 'long' && random.chance(0.15)) return literal(random.pick(NUMBERS))
  return expression(env, type, 0)
}
