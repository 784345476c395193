import { contains, containsAll, containsAny, equals } from './equality.ts'
import type { Run } from './expression.ts'
import { asExtension } from './extension.ts'
import { add, type Long, multiply, negate, subtract } from './long.ts'
import { isLong, isSet, type Outcome } from './value.ts'

/** `!` */
export function not(of: Run): Run {
  return (environment) => {
    const value = of(environment)
    return typeof value === 'boolean' ? !value : undefined
  }
}

/** `-` before a value. */
export function negative(of: Run): Run {
  return (environment) => {
    const value = of(environment)
    return isLong(value) ? negate(value) : undefined
  }
}

/** `.isEmpty()` */
export function isEmpty(of: Run): Run {
  return (environment) => {
    const value = of(environment)
    return isSet(value) ? value.elements.length === 0 : undefined
  }
}

/** `&&` over all terms, from left to right; the first false ends it, and each that is reached must be a boolean. */
export function and(terms: readonly Run[]): Run {
  return (environment) => {
    for (const term of terms) {
      const value = term(environment)
      if (value !== true) return value === false ? false : undefined
    }
    return true
  }
}

/** `||`, likewise. */
export function or(terms: readonly Run[]): Run {
  return (environment) => {
    for (const term of terms) {
      const value = term(environment)
      if (value !== false) return value === true ? true : undefined
    }
    return false
  }
}

/** `if`: only the chosen branch is looked at. */
export function choice(test: Run, then: Run, otherwise: Run): Run {
  return (environment) => {
    const value = test(environment)
    if (value === true) return then(environment)
    return value === false ? otherwise(environment) : undefined
  }
}

/** Operators whose operands are both evaluated, and that give no value when either errors. */
export type BinaryOperator = (left: NonNullable<Outcome>, right: NonNullable<Outcome>) => Outcome

/** Operands are evaluated from left to right; an error in either is the outcome. */
export function binary(operator: BinaryOperator, left: Run, right: Run): Run {
  return (environment) => {
    const a = left(environment)
    if (a === undefined) return undefined
    const b = right(environment)
    return b === undefined ? undefined : operator(a, b)
  }
}

/** Binary operators by their names in Cedar's JSON form. */
export const BINARY: ReadonlyMap<string, BinaryOperator> = new Map<string, BinaryOperator>([
  ['==', (a, b) => equals(a, b)],
  ['!=', (a, b) => !equals(a, b)],
  ['<', (a, b) => ordered(a, b, (x, y) => x < y)],
  ['<=', (a, b) => ordered(a, b, (x, y) => x <= y)],
  ['>', (a, b) => ordered(a, b, (x, y) => x > y)],
  ['>=', (a, b) => ordered(a, b, (x, y) => x >= y)],
  ['+', (a, b) => (isLong(a) && isLong(b) ? add(a, b) : undefined)],
  ['-', (a, b) => (isLong(a) && isLong(b) ? subtract(a, b) : undefined)],
  ['*', (a, b) => (isLong(a) && isLong(b) ? multiply(a, b) : undefined)],
  ['contains', (a, b) => (isSet(a) ? contains(a, b) : undefined)],
  ['containsAll', (a, b) => (isSet(a) && isSet(b) ? containsAll(a, b) : undefined)],
  ['containsAny', (a, b) => (isSet(a) && isSet(b) ? containsAny(a, b) : undefined)],
])

/** Two Longs, two datetimes or two durations; other values have no order. */
function ordered(
  a: NonNullable<Outcome>,
  b: NonNullable<Outcome>,
  holds: (a: Long, b: Long) => boolean,
): Outcome {
  if (isLong(a)) return isLong(b) ? holds(a, b) : undefined
  const left = asExtension(a)
  if (left?.kind !== 'datetime' && left?.kind !== 'duration') return undefined
  const right = asExtension(b)
  if (right === undefined || right.kind !== left.kind) return undefined
  return holds(left.milliseconds, right.milliseconds)
}
