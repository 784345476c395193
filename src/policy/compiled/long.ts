/** A Cedar Long: a signed integer of 64 bits. A number while that is exact, else a bigint; never both for one value. */
export type Long = number | bigint

/** Cedar's smallest Long. */
export const LONG_MIN = -(2n ** 63n)
/** Cedar's largest Long. */
export const LONG_MAX = 2n ** 63n - 1n

/** The Long in its one form, or undefined when 64 bits can not hold it. */
export function toLong(exact: bigint): Long | undefined {
  if (exact < LONG_MIN || exact > LONG_MAX) return undefined
  const rounded = Number(exact)
  return Number.isSafeInteger(rounded) ? rounded : exact
}

/** Sum, or undefined on overflow. */
export function add(a: Long, b: Long): Long | undefined {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b
    if (Number.isSafeInteger(sum)) return sum
  }
  return toLong(BigInt(a) + BigInt(b))
}

/** Difference, or undefined on overflow. */
export function subtract(a: Long, b: Long): Long | undefined {
  if (typeof a === 'number' && typeof b === 'number') {
    const difference = a - b
    if (Number.isSafeInteger(difference)) return difference
  }
  return toLong(BigInt(a) - BigInt(b))
}

/** Product, or undefined on overflow. A rounded product is never a safe integer, so one that is safe is exact. */
export function multiply(a: Long, b: Long): Long | undefined {
  if (typeof a === 'number' && typeof b === 'number') {
    const product = a * b
    if (Number.isSafeInteger(product)) return product + 0
  }
  return toLong(BigInt(a) * BigInt(b))
}

/** Negation, or undefined on overflow (only the smallest Long has no opposite). */
export function negate(a: Long): Long | undefined {
  return typeof a === 'number' ? 0 - a : toLong(-a)
}

/** Quotient rounded towards zero; `divisor` is positive. */
export function divide(a: Long, divisor: number): Long {
  return typeof a === 'number' ? Math.trunc(a / divisor) + 0 : (toLong(a / BigInt(divisor)) ?? 0)
}

/** Remainder between 0 and `divisor` - 1; `divisor` is positive. */
export function modulo(a: Long, divisor: number): number {
  const remainder = typeof a === 'number' ? a % divisor : Number(a % BigInt(divisor))
  return remainder < 0 ? remainder + divisor : remainder + 0
}

/**
 * A Long from decimal digits with an optional sign, or undefined when it is too large. Leading zeros are allowed; cost
 * follows the length.
 */
export function parseLong(text: string): Long | undefined {
  const digits = text.replace(/^(-?)0+(?=\d)/, '$1')
  return digits.length > 20 ? undefined : toLong(BigInt(digits))
}
