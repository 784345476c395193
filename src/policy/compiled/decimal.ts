import { type Long, toLong } from './long.ts'

/** A decimal with four places, as a number of ten-thousandths. */
export interface Decimal {
  readonly kind: 'decimal'
  readonly units: Long
}

const DECIMAL = /^(-?)0*(\d+)\.(\d{1,4})$/
/** Digits of the largest whole part, 922337203685477, with room to spare. */
const DIGITS_MAX = 19

/** Reads what Cedar's `decimal` accepts; undefined for other text and for what 64 bits can not hold. */
export function parseDecimal(text: string): Decimal | undefined {
  const match = DECIMAL.exec(text)
  if (match === null) return undefined
  const [, sign = '', whole = '', fraction = ''] = match
  if (whole.length > DIGITS_MAX) return undefined
  const magnitude = BigInt(`${whole}${fraction.padEnd(4, '0')}`)
  const units = toLong(sign === '-' ? -magnitude : magnitude)
  return units === undefined ? undefined : { kind: 'decimal', units }
}
