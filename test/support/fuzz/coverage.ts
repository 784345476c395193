import type { Evaluation } from '#policy/port.ts'
import type { FuzzPolicies, FuzzPolicy } from './case-set.ts'
import type { Expected } from './compare.ts'
import { OPERATORS, within } from './node.ts'

/** A run of this many cases has exercised everything; a shorter one may miss something by chance. */
export const CASES_FOR_COVERAGE = 20_000

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

/** Counts what requests of a set show. `matching` are the ids of policies whose scope matched. */
export function counter(
  coverage: Coverage,
  set: FuzzPolicies,
): (expected: Expected, matching: ReadonlySet<string>) => void {
  const effects = new Map(set.policies.map((policy) => [policy.id, policy.effect]))
  // Only where all have one effect is the outcome of each policy in the answer.
  const seen = new Set(effects.values()).size === 1 ? set.policies.flatMap(namesOf) : []
  return (expected, matching) => {
    bump(coverage, set.schema === undefined ? 'without schema' : 'with schema')
    bump(coverage, outcomeOf(expected, effects))
    countErrors(coverage, expected)
    for (const names of seen) {
      if (!matching.has(names.id)) continue
      if (expected.errored.includes(names.id)) bump(coverage, ...names.errored)
      else bump(coverage, ...(expected.satisfied.includes(names.id) ? names.satisfied : names.other))
    }
  }
}

function countErrors(coverage: Coverage, { messages }: Expected): void {
  if (messages.length > 0) bump(coverage, 'errored')
  for (const { text } of messages)
    for (const [kind, pattern] of Object.entries(ERROR_KINDS)) if (pattern.test(text)) bump(coverage, kind)
}

function outcomeOf({ satisfied }: Evaluation, effects: ReadonlyMap<string, string>): string {
  const effect = satisfied.map((id) => effects.get(id))[0]
  if (effect === undefined) return 'unmatched'
  return effect === 'permit' ? 'allowed' : 'forbidden'
}

/** What a policy shows when it is evaluated, by what it comes to. */
interface PolicyNames {
  readonly id: string
  readonly satisfied: readonly string[]
  readonly errored: readonly string[]
  /** It comes to false. */
  readonly other: readonly string[]
}

/** The outermost operator of a lone condition is the one whose result can be seen; below a comparison that it was compared. */
function namesOf({ id, conditions }: FuzzPolicy): readonly PolicyNames[] {
  const [only] = conditions
  if (only === undefined || conditions.length !== 1) return []
  const { op, args } = only.body
  const root = (outcome: string): readonly string[] => (BOOLEAN_OPERATORS.has(op) ? [`${op} ${outcome}`] : [])
  const operands = args.flatMap((arg) => [...within(arg)]).filter((each) => !BOOLEAN_OPERATORS.has(each.op))
  const values = operands.map((each) => `${each.op} has a value`)
  // Its operands are literals or made from literals, so it was the operator that failed.
  const failing = operands.filter((each) =>
    each.args.every((arg) => arg.args.every((inner) => inner.args.length === 0)),
  )
  const is = (truth: boolean): readonly string[] => [...root(`is ${truth}`), ...values]
  return [
    {
      id,
      satisfied: is(only.kind === 'when'),
      errored: [...root('errors'), ...failing.map((each) => `${each.op} errors`)],
      other: is(only.kind === 'unless'),
    },
  ]
}

function bump(coverage: Coverage, ...names: readonly string[]): void {
  for (const name of names) coverage.set(name, (coverage.get(name) ?? 0) + 1)
}
