import { LONG_MAX, LONG_MIN, type Long, modulo, subtract, toLong } from './long.ts'

/** A point in time in milliseconds since 1970, without leap seconds. */
export interface Datetime {
  readonly kind: 'datetime'
  readonly milliseconds: Long
}

/** A span of time in milliseconds, possibly negative. */
export interface Duration {
  readonly kind: 'duration'
  readonly milliseconds: Long
}

const DAY = 86_400_000

const DATETIME = /^(\d{4})-(\d\d)-(\d\d)(?:T(\d\d):(\d\d):(\d\d)(?:\.(\d{3}))?(?:Z|([+-])(\d\d)(\d\d)))?$/
const DURATION = /^(-?)(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?(?:(\d+)ms)?$/
const UNITS: readonly bigint[] = [86_400_000n, 3_600_000n, 60_000n, 1_000n]

/** A datetime of so many milliseconds. */
export function datetime(milliseconds: Long): Datetime {
  return { kind: 'datetime', milliseconds }
}

/** A duration of so many milliseconds. */
export function duration(milliseconds: Long): Duration {
  return { kind: 'duration', milliseconds }
}

/** Reads what Cedar's `datetime` accepts: a date, or a date and time with `Z` or an offset. */
export function parseDatetime(text: string): Datetime | undefined {
  const match = DATETIME.exec(text)
  if (match === null) return undefined
  const at = (group: number): number => Number(match[group] ?? 0)
  const [year, month, day] = [at(1), at(2), at(3)]
  if (month < 1 || month > 12 || day < 1 || day > daysIn(year, month)) return undefined
  const [hour, minute, second] = [at(4), at(5), at(6)]
  const [offsetHour, offsetMinute] = [at(9), at(10)]
  if (hour > 23 || minute > 59 || second > 59 || offsetHour > 23 || offsetMinute > 59) return undefined
  const offset = (offsetHour * 60 + offsetMinute) * (match[8] === '-' ? -60_000 : 60_000)
  const time = ((hour * 60 + minute) * 60 + second) * 1_000 + at(7)
  return datetime(daysSince1970(year, month, day) * DAY + time - offset)
}

/** Reads what Cedar's `duration` accepts: quantities of d, h, m, s and ms in this order, at least one. */
export function parseDuration(text: string): Duration | undefined {
  const match = DURATION.exec(text)
  if (match === null || text === '' || text === '-') return undefined
  const negative = match[1] === '-'
  let total = quantity(match[6])
  // The smallest Long can be written in milliseconds alone: there the sign counts first.
  if (total > (negative ? -LONG_MIN : LONG_MAX)) return undefined
  for (const [i, unit] of UNITS.entries()) {
    const part = quantity(match[i + 2]) * unit
    if (part > LONG_MAX) return undefined
    total += part
  }
  const milliseconds = toLong(negative ? -total : total)
  return milliseconds === undefined ? undefined : duration(milliseconds)
}

/** Midnight of the day; undefined where 64 bits can not hold it. */
export function toDate({ milliseconds }: Datetime): Datetime | undefined {
  const midnight = subtract(milliseconds, modulo(milliseconds, DAY))
  return midnight === undefined ? undefined : datetime(midnight)
}

/** Time since midnight. */
export function toTime({ milliseconds }: Datetime): Duration {
  return duration(modulo(milliseconds, DAY))
}

/** Digits as a number; more than 20 of them stand for something too large. */
function quantity(digits: string | undefined): bigint {
  const significant = (digits ?? '0').replace(/^0+(?=\d)/, '')
  return significant.length > 20 ? 2n ** 64n : BigInt(significant)
}

function daysIn(year: number, month: number): number {
  if (month === 2) return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
  return [4, 6, 9, 11].includes(month) ? 30 : 31
}

/** Days of the Gregorian calendar, also before it was used; `Date.UTC` takes the years before 100 for others. */
function daysSince1970(year: number, month: number, day: number): number {
  const shifted = new Date(0)
  shifted.setUTCFullYear(year, month - 1, day)
  return shifted.getTime() / DAY
}
