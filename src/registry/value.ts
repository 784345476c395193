import { isIP } from 'node:net'
import type { Json, JsonObject } from '#model/value.ts'
import { type Problems, quote } from './problem.ts'
import { readUid } from './uid.ts'

/** Deepest nesting of sets and records in one attribute. */
const DEPTH_MAX = 16
/** Most characters of one string. */
const STRING_LENGTH_MAX = 65_536
/** Most values (leaves, sets, records) in the attributes of one entity. */
const VALUES_MAX = 10_000

const EXTENSIONS: { readonly [fn: string]: (argument: string) => boolean } = {
  ip: isIpRange,
  decimal: isDecimal,
  datetime: isDatetime,
  duration: (text) => text.length <= 64 && /^-?(?=\d)(\d+d)?(\d+h)?(\d+m(?!s))?(\d+s)?(\d+ms)?$/.test(text),
}

/** Whether `value` is a JSON object. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Checks that every value of `record` is one that Cedar can hold: booleans, strings of valid Unicode, safe integers,
 * sets, records, and the escapes `__entity` and `__extn` (`ip`, `decimal`, `datetime`, `duration`).
 */
export function checkRecord(record: JsonObject, path: string, problems: Problems): void {
  checkMembers(record, path, problems, { left: VALUES_MAX }, 0)
}

function checkMembers(
  record: JsonObject,
  path: string,
  problems: Problems,
  budget: { left: number },
  depth: number,
): void {
  for (const [key, value] of Object.entries(record)) {
    const at = `${path}.${key}`
    if (key.startsWith('__')) {
      problems.add(
        path,
        `the key ${quote(key)} is reserved`,
        'names that begin with `__` are for Cedar itself',
      )
    } else if (!key.isWellFormed() || key.length > 1024) {
      problems.add(path, 'a key is too long or not valid Unicode')
    } else check(value, at, problems, budget, depth)
    if (problems.full || budget.left < 0) return
  }
}

function check(value: Json, path: string, problems: Problems, budget: { left: number }, depth: number): void {
  budget.left -= 1
  if (budget.left === -1) problems.add(path, `the entity holds more than ${VALUES_MAX} values`)
  if (budget.left < 0 || problems.full) return
  const wrong = isContainer(value) ? wrongContainer(value, depth) : wrongScalar(value)
  if (wrong !== undefined) problems.add(`${path}${wrong.at ?? ''}`, wrong.message, wrong.help)
  else if (isObject(value)) {
    if ('__entity' in value) readUid(value, path, problems)
    else if (!('__extn' in value)) checkMembers(value, path, problems, budget, depth + 1)
  } else if (Array.isArray(value)) {
    for (const [i, element] of value.entries()) check(element, `${path}[${i}]`, problems, budget, depth + 1)
  }
}

interface Wrong {
  /** What to append to the path. */
  readonly at?: string
  readonly message: string
  readonly help?: string
}

function isContainer(value: Json): value is JsonObject | readonly Json[] {
  return typeof value === 'object' && value !== null
}

function wrongContainer(value: JsonObject | readonly Json[], depth: number): Wrong | undefined {
  if (depth >= DEPTH_MAX) return { message: `values are nested deeper than ${DEPTH_MAX}` }
  return isObject(value) ? wrongEscape(value) : undefined
}

function wrongScalar(value: Json): Wrong | undefined {
  if (value === null) return { message: 'null is not a Cedar value', help: 'leave the attribute out' }
  if (typeof value === 'string' && value.length > STRING_LENGTH_MAX) {
    return { message: `the text is longer than ${STRING_LENGTH_MAX} characters` }
  }
  if (typeof value === 'string') {
    return value.isWellFormed() ? undefined : { message: 'the text is not valid Unicode' }
  }
  if (typeof value !== 'number' || Number.isSafeInteger(value)) return undefined
  return Number.isInteger(value)
    ? { message: 'the number lies beyond 2^53 and would lose digits', help: 'send it as a string' }
    : {
        message: 'the number is not whole',
        help: 'write {"__extn":{"fn":"decimal","arg":"0.5"}}, with at most four digits',
      }
}

function wrongEscape(value: JsonObject): Wrong | undefined {
  const marker = ['__expr', '__extn', '__entity'].find((key) => Object.hasOwn(value, key))
  if (marker === '__expr') {
    return { message: 'expressions (`__expr`) are not accepted', help: 'use `__entity` or `__extn`' }
  }
  if (marker !== undefined && Object.keys(value).length > 1) {
    return { message: `an object with \`${marker}\` can have no other key` }
  }
  return marker === '__extn' ? wrongExtension(value['__extn'] ?? null) : undefined
}

function wrongExtension(call: Json): Wrong | undefined {
  const fn = isObject(call) ? call['fn'] : undefined
  const argument = isObject(call) ? call['arg'] : undefined
  if (
    !isObject(call) ||
    typeof fn !== 'string' ||
    typeof argument !== 'string' ||
    Object.keys(call).length !== 2
  ) {
    return { at: '.__extn', message: 'must be an object with the texts `fn` and `arg`' }
  }
  const accepts = Object.hasOwn(EXTENSIONS, fn) ? EXTENSIONS[fn] : undefined
  if (accepts === undefined) {
    return {
      at: '.__extn.fn',
      message: `${quote(fn)} is not a function that a value can use`,
      help: 'use `ip`, `decimal`, `datetime` or `duration`',
    }
  }
  return accepts(argument)
    ? undefined
    : { at: '.__extn.arg', message: `${quote(argument)} is not a valid ${fn}` }
}

function isDecimal(text: string): boolean {
  if (!/^-?\d{1,15}\.\d{1,4}$/.test(text)) return false
  const [whole = '', fraction = ''] = text.replace('-', '').split('.')
  const scaled = BigInt(whole) * 10_000n + BigInt(fraction.padEnd(4, '0'))
  return scaled <= (text.startsWith('-') ? 9_223_372_036_854_775_808n : 9_223_372_036_854_775_807n)
}

function isIpRange(text: string): boolean {
  const match = /^([0-9a-fA-F.:]+)(?:\/(0|[1-9]\d{0,2}))?$/.exec(text)
  const version = isIP(match?.[1] ?? '')
  // Cedar takes no IPv4 inside IPv6 (`::ffff:1.2.3.4`).
  if (version === 0 || (version === 6 && text.includes('.'))) return false
  return match?.[2] === undefined || Number(match[2]) <= (version === 4 ? 32 : 128)
}

const DATETIME = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d:\d\d)(?:\.\d{3})?(?:Z|[+-](?:[01]\d|2[0-3])[0-5]\d))?$/

function isDatetime(text: string): boolean {
  const match = DATETIME.exec(text)
  if (match === null) return false
  const instant = `${match[1]}T${match[2] ?? '00:00:00'}`
  const date = new Date(`${instant}Z`)
  // A round trip finds days that do not exist, which Date would move to the next month.
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(instant)
}
