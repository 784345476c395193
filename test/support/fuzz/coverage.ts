import type { Evaluation } from '#policy/port.ts'
import type { FuzzPolicy, FuzzSet } from './case-set.ts'
import type { Expected } from './compare.ts'
import { type Node, OPERATORS, within } from './node.ts'

/** How often something was exercised, by name. */
export type Coverage = Map<string, number>

/** Every kind of error that a condition can end in, by the reference's own words. */
export const ERROR_KINDS: { readonly [kind: string]: RegExp } = {
  'type error': /^type error: /,
  'missing entity': /^entity `.*` does not exist$/s,
  'missing attribute of a record': /^record does not have the attribute /,
  'missing attribute of an entity': /^`.*` does not have the attribute /s,
  'missing tag': /does not have the tag /,
  'overflow of +': /^integer overflow while attempting to add/,
  'overflow of -': /^integer overflow while attempting to subtract/,
  'overflow of *': /^integer overflow while attempting to multiply/,
  'overflow of neg': /^integer overflow while attempting to negate/,
  'bad ip': /`ipaddr` extension function/,
  'bad decimal': /`decimal` extension function/,
  'bad datetime': /`datetime` extension function/,
  'bad duration': /`duration` extension function/,
  'overflow of offset': /`offset` extension function/,
  'overflow of durationSince': /`durationSince` extension function/,
  'wrong number of arguments': /^wrong number of arguments provided to extension function/,
}

const BOOLEAN_OPERATORS = new Set([
  ...['==', '!=', '<', '<=', '>', '>=', '&&', '||', 'in', '!', 'is', 'is-in', 'has', 'has-path', 'like'],
  ...['contains', 'containsAll', 'containsAny', 'isEmpty', 'hasTag', 'if'],
  ...['lessThan', 'lessThanOrEqual', 'greaterThan', 'greaterThanOrEqual'],
  ...['isIpv4', 'isIpv6', 'isLoopback', 'isMulticast', 'isInRange'],
])
/** Operators that can not fail themselves; what errors in them is an operand. */
const NEVER_ERRORS = new Set(['literal', 'entity', 'variable', 'set', 'record', '==', '!='])

/** The names that a run must have counted; a fuzz that never reaches an operator proves nothing about it. */
export function wanted(): readonly string[] {
  const operators = OPERATORS.flatMap((op) => {
    if (BOOLEAN_OPERATORS.has(op))
      return [`${op} is true`, `${op} is false`, ...(NEVER_ERRORS.has(op) ? [] : [`${op} errors`])]
    return [`${op} has a value`, ...(NEVER_ERRORS.has(op) ? [] : [`${op} errors`])]
  })
  const outcomes = ['allowed', 'forbidden', 'errored', 'unmatched', 'with schema', 'without schema']
  return [...operators, ...Object.keys(ERROR_KINDS), ...outcomes]
}

/** Counts what one request showed. `matching` are the ids of policies whose scope matched. */
export function count(
  coverage: Coverage,
  set: Pick<FuzzSet, 'policies' | 'schema'>,
  expected: Expected,
  matching: ReadonlySet<string>,
): void {
  const effects = new Map(set.policies.map((policy) => [policy.id, policy.effect]))
  bump(coverage, set.schema === undefined ? 'without schema' : 'with schema')
  bump(coverage, outcomeOf(expected, effects))
  if (expected.errored.length > 0) bump(coverage, 'errored')
  for (const { text } of expected.messages)
    for (const [kind, pattern] of Object.entries(ERROR_KINDS)) if (pattern.test(text)) bump(coverage, kind)
  // Only where all have one effect is the outcome of each policy in the answer.
  if (new Set(effects.values()).size !== 1) return
  for (const policy of set.policies) if (matching.has(policy.id)) countRoot(coverage, policy, expected)
}

function outcomeOf({ satisfied }: Evaluation, effects: ReadonlyMap<string, string>): string {
  const effect = satisfied.map((id) => effects.get(id))[0]
  if (effect === undefined) return 'unmatched'
  return effect === 'permit' ? 'allowed' : 'forbidden'
}

/** The outermost operator of a lone condition is the one whose result can be seen; below a comparison that it was compared. */
function countRoot(
  coverage: Coverage,
  { id, conditions }: FuzzPolicy,
  { satisfied, errored }: Expected,
): void {
  const [only] = conditions
  if (only === undefined || conditions.length !== 1) return
  const isErrored = errored.includes(id)
  const isTrue = satisfied.includes(id) === (only.kind === 'when')
  const seen = BOOLEAN_OPERATORS.has(only.body.op)
  if (seen) bump(coverage, `${only.body.op} ${isErrored ? 'errors' : `is ${isTrue}`}`)
  for (const operand of only.body.args) countOperand(coverage, operand, isErrored)
}

function countOperand(coverage: Coverage, operand: Node, isErrored: boolean): void {
  for (const { op, args } of within(operand)) {
    if (BOOLEAN_OPERATORS.has(op)) continue
    if (!isErrored) bump(coverage, `${op} has a value`)
    // Its operands are literals or made from literals, so it was the operator that failed.
    else if (args.every((arg) => arg.args.every((inner) => inner.args.length === 0)))
      bump(coverage, `${op} errors`)
  }
}

function bump(coverage: Coverage, name: string): void {
  coverage.set(name, (coverage.get(name) ?? 0) + 1)
}
