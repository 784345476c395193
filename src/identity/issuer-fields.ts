import { nearest } from '#lib/nearest.ts'
import { isLoopbackHost } from './loopback.ts'

/** One thing wrong with an issuer file. `path` is dotted; empty for the document itself. */
export interface IssuerProblem {
  readonly path: string
  readonly message: string
}

/** A JSON object whose members were not looked at yet. */
export type Fields = { readonly [name: string]: unknown }
/** Notes a problem; gives undefined, so that a reader can return it. */
export type Report = (path: string, message: string) => undefined

const STATUS_LISTS_MAX = 16
const TEXT = /^[^\p{Cc}]{1,200}$/u

/** Whether `value` is a JSON object. */
export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A required text of 1 to 200 printable characters. */
export function readText(value: unknown, path: string, report: Report): string | undefined {
  if (value === undefined) return report(path, 'is required')
  if (typeof value === 'string' && TEXT.test(value)) return value
  return report(path, 'must be a string of 1 to 200 printable characters')
}

/** A required text or a list of at least one; the problems are those of `readText`. */
export function readTexts(value: unknown, path: string, report: Report): readonly string[] | undefined {
  if (value === undefined) return report(path, 'is required')
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (list.length === 0) return report(path, 'must not be empty')
  const texts = list.map((item, i) => readText(item, Array.isArray(value) ? `${path}[${i}]` : path, report))
  return texts.filter((text) => text !== undefined)
}

/** An optional whole number; undefined when it is absent or wrong. */
export function readNumber(
  json: Fields,
  path: string,
  [min, max]: readonly [number, number],
  report: Report,
): number | undefined {
  const value = json[path]
  if (value === undefined) return undefined
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
  return report(path, `must be a whole number from ${min} to ${max}`)
}

/** An optional yes or no. Default false. */
export function readFlag(json: Fields, path: string, report: Report): boolean {
  const value = json[path] ?? false
  return typeof value === 'boolean' ? value : (report(path, 'must be true or false') ?? false)
}

/** An https URL without credentials and fragment; `http` on this machine only. */
export function readUrl(url: unknown, path: string, report: Report): string | undefined {
  const parsed = typeof url === 'string' ? URL.parse(url) : null
  if (parsed === null) return report(path, 'must be a URL')
  if (parsed.username !== '' || parsed.password !== '' || parsed.hash !== '')
    return report(path, 'must have neither credentials nor a fragment')
  const isSafe =
    parsed.protocol === 'https:' || (parsed.protocol === 'http:' && isLoopbackHost(parsed.hostname))
  return isSafe ? parsed.href : report(path, 'must be an https URL')
}

/** URLs of status lists; those that end in a slash stand for all that begin with them. Undefined: none. */
export function readStatusLists(value: unknown, report: Report): readonly string[] | undefined {
  if (value === undefined) return undefined
  const list: readonly unknown[] = Array.isArray(value) ? value : [value]
  if (list.length === 0 || list.length > STATUS_LISTS_MAX)
    return report('status_lists', `must be 1 to ${STATUS_LISTS_MAX} URLs`)
  const urls = list.map((url, i) =>
    readUrl(url, Array.isArray(value) ? `status_lists[${i}]` : 'status_lists', report),
  )
  return urls.filter((url) => url !== undefined)
}

/** Reports every member that is not `known`. */
export function refuseUnknown(
  fields: Fields,
  known: readonly string[],
  prefix: string,
  report: Report,
): void {
  for (const name of Object.keys(fields))
    if (!known.includes(name)) {
      const near = nearest(name, known)
      report(
        `${prefix}${name}`,
        near === undefined ? 'unknown field' : `unknown field; did you mean \`${near}\`?`,
      )
    }
}
