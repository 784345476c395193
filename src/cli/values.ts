import { InvalidArgumentError } from 'commander'

const UNIT_SECONDS: ReadonlyMap<string, number> = new Map([
  ['s', 1],
  ['m', 60],
  ['h', 3600],
  ['d', 86_400],
])

/** Reads a list separated by commas; `none` is the empty list. */
export function commaList(text: string): readonly string[] {
  if (text === 'none') return []
  return text
    .split(',')
    .map((word) => word.trim())
    .filter((word) => word !== '')
}

/** Reads a whole number of at least 0. */
export function wholeNumber(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It must be a whole number.')
  return Number(text)
}

/** Reads a limit: a whole number of at least 1. */
export function positiveNumber(text: string): number {
  const value = wholeNumber(text)
  if (value === 0) throw new InvalidArgumentError('It must be at least 1.')
  return value
}

/** Collects an option that may be given more than once. */
export function repeated(text: string, before: readonly string[] | undefined): readonly string[] {
  return [...(before ?? []), text]
}

/** Reads a duration such as `30m`, `12h` or `30d`; gives seconds. */
export function seconds(text: string): number {
  const [, number, unit = ''] = /^(\d{1,6})([smhd])$/.exec(text) ?? []
  const scale = UNIT_SECONDS.get(unit)
  if (scale === undefined) throw new InvalidArgumentError('Write a duration such as 30m, 12h or 30d.')
  return Number(number) * scale
}

/** Reads an RFC 3339 time or date, or `15m`, `2h`, `7d` before now; gives RFC 3339 in UTC. */
export function instant(text: string): string {
  if (/^\d{1,6}[smhd]$/.test(text)) return new Date(Date.now() - seconds(text) * 1000).toISOString()
  const date = /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d))?$/.test(text)
    ? new Date(text)
    : undefined
  if (date === undefined || Number.isNaN(date.getTime())) {
    throw new InvalidArgumentError('Write a time such as 2026-11-21T23:00:00Z, a date, or 15m, 2h, 7d.')
  }
  return date.toISOString()
}
