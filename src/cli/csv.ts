const FORMULA_START = /^[=+\-@\t\r\uff0b\uff0d\uff1d\uff20]/
const NEEDS_QUOTES = /[",\r\n]/

/**
 * One line of CSV (RFC 4180, ends with CRLF). Null is an empty field, structures are JSON.
 *
 * INVARIANT: text that a spreadsheet would run as a formula gets a leading apostrophe; ids come from callers. Numbers of
 * our own stay as they are.
 */
export function csvLine(values: readonly unknown[]): string {
  return `${values.map(field).join(',')}\r\n`
}

function field(value: unknown): string {
  if (value === null || value === undefined) return ''
  if (typeof value === 'number' || typeof value === 'boolean') return `${value}`
  const text = typeof value === 'string' ? value : JSON.stringify(value)
  const safe = FORMULA_START.test(text) ? `'${text}` : text
  return NEEDS_QUOTES.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe
}
