import fc from 'fast-check'
import { NAMES } from './world.ts'

const LONGS = [
  '0',
  '1',
  '-1',
  '2',
  '5',
  '9007199254740991',
  '9007199254740993',
  '-9007199254740993',
  '4611686018427387904',
  '9223372036854775807',
  '-9223372036854775808',
]
const EXTENSIONS = [
  'ip("10.1.2.3")',
  'ip("10.0.0.0/8")',
  'ip("::1")',
  'ip("x")',
  'decimal("1.0")',
  'decimal("-12.3456")',
  'decimal("1")',
  'datetime("2024-02-29")',
  'datetime("2024-02-30")',
  'duration("1d")',
  'duration("-9223372036854775808ms")',
]
const LEAVES = [
  ...LONGS,
  ...EXTENSIONS,
  'true',
  'false',
  '""',
  '"a*b"',
  '"five"',
  '"self"',
  'principal',
  'action',
  'resource',
  'context',
  'A::"p"',
  'A::"ghost"',
  'G::"g"',
  'Action::"group"',
  '[]',
  '{}',
  'context.missing',
  ...NAMES.map((name) => `context.${name}`),
]
const BINARY = ['==', '!=', '<', '<=', '>', '>=', '+', '-', '*', '&&', '||', 'in']
const METHODS = [
  'contains',
  'containsAll',
  'containsAny',
  'getTag',
  'hasTag',
  'isInRange',
  'lessThan',
  'lessThanOrEqual',
  'greaterThan',
  'greaterThanOrEqual',
  'offset',
  'durationSince',
]
const BARE_METHODS = [
  'isEmpty',
  'isIpv4',
  'isIpv6',
  'isLoopback',
  'isMulticast',
  'toDate',
  'toTime',
  'toMilliseconds',
  'toSeconds',
  'toMinutes',
  'toHours',
  'toDays',
]
const PATTERNS = ['', '*', 'a*', '*b*', 'a\\\\**', '*a*b*c*', '😀*']

/**
 * Expressions as text, of any operator over operands of any type: most are ill-typed somewhere, which is what decides
 * whether an error stays one.
 */
export const anyExpression: fc.Arbitrary<string> = fc.letrec<{ node: string }>((tie) => {
  const node = tie('node')
  const literal = fc.constantFrom(...LEAVES)
  return {
    node: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      { weight: 5, arbitrary: literal },
      fc.tuple(node, fc.constantFrom(...BINARY), node).map(([a, operator, b]) => `(${a} ${operator} ${b})`),
      fc.tuple(node, node).map(([a, b]) => `(${a} == ${b})`),
      fc.tuple(node, fc.constantFrom(...METHODS), node).map(([a, method, b]) => `(${a}).${method}(${b})`),
      fc.tuple(node, fc.constantFrom(...BARE_METHODS)).map(([a, method]) => `(${a}).${method}()`),
      fc.tuple(node, fc.constantFrom(...NAMES)).map(([a, name]) => `(${a}).${name}`),
      fc
        .tuple(node, fc.array(fc.constantFrom(...NAMES, 'a', 'b'), { minLength: 1, maxLength: 3 }))
        .map(([a, names]) => `((${a}) has ${names.join('.')})`),
      fc.tuple(node, fc.constantFrom(...PATTERNS)).map(([a, pattern]) => `((${a}) like "${pattern}")`),
      fc.tuple(node, fc.constantFrom('A', 'G', 'Action')).map(([a, type]) => `((${a}) is ${type})`),
      fc.tuple(node, fc.constantFrom('A', 'G'), node).map(([a, type, b]) => `((${a}) is ${type} in ${b})`),
      fc.tuple(node, node, node).map(([a, b, c]) => `(if ${a} then ${b} else ${c})`),
      fc.array(node, { maxLength: 4 }).map((items) => `[${items.join(', ')}]`),
      fc.tuple(node, node).map(([a, b]) => `{a: ${a}, "b c": ${b}}`),
      node.map((a) => `(!(${a}))`),
      node.map((a) => `(-(${a}))`),
    ),
  }
}).node
