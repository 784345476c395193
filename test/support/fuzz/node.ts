import type { EntityUid } from '#model/value.ts'

/** An expression of a generated policy. `text` is what the operator needs beside its operands. */
export interface Node {
  readonly op: Op
  readonly args: readonly Node[]
  /** Literal as written, name of a variable, attribute, type or function, a quoted `like` pattern, or a path. */
  readonly text: string
  /** Keys of a record literal, in the order of `args`. */
  readonly keys?: readonly string[]
}

/** Operators between two operands, as Cedar writes them. */
export const INFIX = ['==', '!=', '<', '<=', '>', '>=', '&&', '||', '+', '-', '*', 'in'] as const

/** Methods of one argument that are no extension functions. */
export const METHODS = ['contains', 'containsAll', 'containsAny', 'hasTag', 'getTag'] as const

/** Constructors of extension values. */
export const CONSTRUCTORS = ['ip', 'decimal', 'datetime', 'duration'] as const

/** Extension methods with their number of arguments beside the receiver. */
export const EXTENSION_METHODS = {
  lessThan: 1,
  lessThanOrEqual: 1,
  greaterThan: 1,
  greaterThanOrEqual: 1,
  isIpv4: 0,
  isIpv6: 0,
  isLoopback: 0,
  isMulticast: 0,
  isInRange: 1,
  offset: 1,
  durationSince: 1,
  toDate: 0,
  toTime: 0,
  toMilliseconds: 0,
  toSeconds: 0,
  toMinutes: 0,
  toHours: 0,
  toDays: 0,
} as const

/** Everything that an expression can be; the list that coverage is counted against. */
export const OPERATORS = [
  ...INFIX,
  ...METHODS,
  ...CONSTRUCTORS,
  ...(Object.keys(EXTENSION_METHODS) as (keyof typeof EXTENSION_METHODS)[]),
  '!',
  'neg',
  'isEmpty',
  'is',
  'is-in',
  'if',
  'attribute',
  'has',
  'has-path',
  'like',
  'set',
  'record',
  'literal',
  'entity',
  'variable',
] as const

export type Op = (typeof OPERATORS)[number]

/** A node with operands. */
export function apply(op: Op, ...args: readonly Node[]): Node {
  return { op, args, text: '' }
}

/** A literal in Cedar's own notation. */
export function literal(text: string): Node {
  return { op: 'literal', args: [], text }
}

/** A string as a literal. */
export function stringLiteral(value: string): Node {
  return literal(quote(value))
}

/** An entity as policies write it. */
export function uidText(uid: EntityUid): string {
  return `${uid.type}::${quote(uid.id)}`
}

const IDENTIFIER = /^[A-Za-z_][A-Za-z0-9_]*$/
const RESERVED = new Set(['true', 'false', 'if', 'then', 'else', 'in', 'is', 'like', 'has', '__cedar'])

/** Whether a name can stand without quotes. */
export function isPlainName(name: string): boolean {
  return IDENTIFIER.test(name) && !RESERVED.has(name)
}

/** A Cedar string literal: quotes, backslashes and what can't be seen are escaped. */
export function quote(value: string): string {
  const inside = Array.from(value, (character) => {
    if (character === '"' || character === '\\') return `\\${character}`
    const code = character.codePointAt(0) ?? 0
    return code < 0x20 || (code >= 0x7f && code < 0xa0) ? `\\u{${code.toString(16)}}` : character
  })
  return `"${inside.join('')}"`
}

/** Cedar text of an expression, with brackets around everything that needs them. */
export function print(node: Node): string {
  const parts = node.args.map(print)
  const [first = '', second = '', third = ''] = parts
  switch (node.op) {
    case 'literal':
      return node.text.startsWith('-') ? `(${node.text})` : node.text
    case 'entity':
    case 'variable':
      return node.text
    case '!':
      return `!(${first})`
    case 'neg':
      return `(-(${first}))`
    case 'if':
      return `(if ${first} then ${second} else ${third})`
    case 'is':
      return `(${first} is ${node.text})`
    case 'is-in':
      return `(${first} is ${node.text} in ${second})`
    case 'attribute':
      return isPlainName(node.text) ? `${first}.${node.text}` : `${first}[${quote(node.text)}]`
    case 'has':
      return `(${first} has ${isPlainName(node.text) ? node.text : quote(node.text)})`
    case 'has-path':
      return `(${first} has ${node.text})`
    case 'like':
      return `(${first} like ${node.text})`
    case 'set':
      return `[${parts.join(', ')}]`
    case 'record':
      return `{${parts.map((part, i) => `${quote(node.keys?.[i] ?? '')}: ${part}`).join(', ')}}`
    case 'isEmpty':
      return `${first}.isEmpty()`
    default:
      return printCall(node.op, parts)
  }
}

function printCall(op: Op, parts: readonly string[]): string {
  if (isInfix(op)) return `(${parts.join(` ${op} `)})`
  if (isConstructor(op)) return `${op}(${parts.join(', ')})`
  const [receiver = '', ...rest] = parts
  return `${receiver}.${op}(${rest.join(', ')})`
}

/** Whether an operator stands between its operands. */
export function isInfix(op: Op): boolean {
  return INFIX.some((each) => each === op)
}

function isConstructor(op: Op): boolean {
  return CONSTRUCTORS.some((each) => each === op)
}

/** A node and everything below it. */
export function* within(node: Node): Generator<Node> {
  yield node
  for (const arg of node.args) yield* within(arg)
}
