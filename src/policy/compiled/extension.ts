import type { ExtensionFunction } from '#model/value.ts'
import { parseDecimal } from './decimal.ts'
import { parseIp } from './ip.ts'
import { parseDatetime, parseDuration } from './time.ts'
import type { Extension, Outcome } from './value.ts'

const PARSERS: { readonly [fn in ExtensionFunction]: (text: string) => Extension | undefined } = {
  decimal: parseDecimal,
  ip: parseIp,
  datetime: parseDatetime,
  duration: parseDuration,
}

/** Texts that were read lately: the time of a request or an address is read by several policies. */
const CACHED_MAX = 512
const CHARACTERS_MAX = 64
const cached: { readonly [fn in ExtensionFunction]: Map<string, Extension> } = {
  decimal: new Map(),
  ip: new Map(),
  datetime: new Map(),
  duration: new Map(),
}

/** Reads an extension value from its text; undefined when the constructor refuses it. */
export function parseExtension(fn: ExtensionFunction, text: string): Extension | undefined {
  const known = cached[fn].get(text)
  if (known !== undefined) return known
  const parsed = PARSERS[fn](text)
  if (parsed === undefined || text.length > CHARACTERS_MAX) return parsed
  if (cached[fn].size >= CACHED_MAX) cached[fn].clear()
  cached[fn].set(text, parsed)
  return parsed
}

/**
 * The extension value that `value` is, or undefined when it is something else.
 *
 * @throws TypeError when the query itself holds an extension value whose text can not be read: that is no error of a
 * policy, and no decision can rest on such a query
 */
export function asExtension(value: Outcome): Extension | undefined {
  if (typeof value !== 'object') return undefined
  switch (value.kind) {
    case 'decimal':
    case 'ip':
    case 'datetime':
    case 'duration':
      return value
    case 'extension': {
      const parsed = parseExtension(value.fn, value.text)
      if (parsed === undefined) throw new TypeError(`a value of the query is not a valid ${value.fn}`)
      return parsed
    }
    default:
      return undefined
  }
}
