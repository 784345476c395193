import { createHmac } from 'node:crypto'
import type { Json, JsonObject } from '#model/value.ts'
import { canonicalJson } from './chain.ts'
import { sortedNames } from './json-object.ts'
import { hasSecret, isSensitiveName, withoutSecrets } from './secrets.ts'

/** What masking did to one row, and how much room is left in it. */
export interface MaskReport {
  /** Paths of values that were masked, cut or left out: the row can't be replayed without them. At most 100. */
  readonly altered: string[]
  /** Characters of facts kept so far. */
  characters: number
}

/** Keeps secrets out of rows. */
export interface Mask {
  /** `value` as a row may hold it. `names` are further sensitive member names, compared exactly. */
  json(value: Json, path: string, report: MaskReport, names?: ReadonlySet<string>): Json
  /** `text` with everything that looks like a credential replaced, and safe for every database text type. */
  text(text: string): string
}

const FACT_CHARACTERS_MAX = 65_536
const STRING_CHARACTERS_MAX = 4_096
const ALTERED_MAX = 100
const NO_NAMES: ReadonlySet<string> = new Set()

/** A report for a new row. */
export function createMaskReport(): MaskReport {
  return { altered: [], characters: 0 }
}

/**
 * A mask whose digests are keyed with `key` (32 bytes or more): equal values have equal digests in one installation, and
 * nobody without the key can try guesses against them.
 *
 * A masked value becomes `{"masked":true,"digest":"..."}`, a string over 4,096 characters `{"truncated":characters,
 * "digest":"..."}`, and what exceeds 64 Ki characters of facts in one row `{"omitted":entries}`.
 */
export function createMask(key: Uint8Array): Mask {
  const digest = (value: Json) =>
    createHmac('sha256', key).update(canonicalJson(value)).digest('hex').slice(0, 32)
  return {
    json: (value, path, report, names = NO_NAMES) => maskValue(value, path, { report, names, digest }),
    text: (text) => withoutSecrets(storable(text)),
  }
}

interface Walk {
  readonly report: MaskReport
  readonly names: ReadonlySet<string>
  readonly digest: (value: Json) => string
}

function maskValue(value: Json, path: string, walk: Walk): Json {
  if (typeof value === 'string') return maskString(value, path, walk)
  if (typeof value !== 'object' || value === null) {
    walk.report.characters += 8
    return value
  }
  return isArray(value) ? maskArray(value, path, walk) : maskObject(value, path, walk)
}

function maskString(text: string, path: string, walk: Walk): Json {
  if (hasSecret(text)) return masked(text, path, walk)
  if (text.length > STRING_CHARACTERS_MAX) {
    note(path, walk.report)
    return { truncated: text.length, digest: walk.digest(text) }
  }
  walk.report.characters += text.length + 2
  const kept = storable(text)
  if (kept !== text) note(path, walk.report)
  return kept
}

function maskArray(items: readonly Json[], path: string, walk: Walk): Json {
  const kept: Json[] = []
  for (const [i, item] of items.entries()) {
    if (walk.report.characters > FACT_CHARACTERS_MAX) {
      note(path, walk.report)
      kept.push({ omitted: items.length - i })
      break
    }
    kept.push(maskValue(item, `${path}[${i}]`, walk))
  }
  return kept
}

function maskObject(object: JsonObject, path: string, walk: Walk): JsonObject {
  const kept: { [name: string]: Json } = {}
  const names = sortedNames(object)
  for (const [i, name] of names.entries()) {
    if (walk.report.characters > FACT_CHARACTERS_MAX) {
      note(path, walk.report)
      kept['omitted'] = names.length - i
      break
    }
    walk.report.characters += name.length + 4
    const value = object[name] ?? null
    const shown = shownName(name, path, walk.report)
    const at = `${path}.${shown}`
    const isSensitive = isSensitiveName(name, value) || walk.names.has(name)
    kept[shown] = isSensitive ? masked(value, at, walk) : maskValue(value, at, walk)
  }
  return kept
}

function masked(value: Json, path: string, walk: Walk): Json {
  note(path, walk.report)
  walk.report.characters += 64
  return { masked: true, digest: walk.digest(value) }
}

/** A member name can be a secret as well, as long as a document, or no ordinary member at all. */
function shownName(name: string, path: string, report: MaskReport): string {
  const shown =
    name === '__proto__' ? '[__proto__]' : withoutSecrets(storable(name)).slice(0, 256).toWellFormed()
  if (shown !== name) note(path, report)
  return shown
}

function note(path: string, report: MaskReport): void {
  if (report.altered.length < ALTERED_MAX) report.altered.push(path.slice(0, 512))
}

/** PostgreSQL stores neither NUL nor lone surrogates; one such string would fail a whole batch of rows. */
function storable(text: string): string {
  const wellFormed = text.toWellFormed()
  return wellFormed.includes('\u0000') ? wellFormed.replaceAll('\u0000', '\uFFFD') : wellFormed
}

function isArray(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}
