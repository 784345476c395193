import type { Obligation } from '#model/obligation.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { isJsonObject } from '#protocols/strict-json.ts'

const REMOVED = '[removed]'
/** Deepest level that is read, counting a string that is JSON as one; what is deeper is removed. */
const DEPTH_MAX = 64

/** Names of the fields that obligations want removed from `where`. */
export function redactedFields(
  obligations: readonly Obligation[],
  where: 'arguments' | 'result',
): ReadonlySet<string> {
  const fields = obligations
    .filter(({ type, properties }) => type === 'redact' && properties['in'] === where)
    .flatMap(({ properties }) => properties['fields'] ?? [])
  return new Set(fields.map(String))
}

/** The object without members of these names, at every depth, in strings that are JSON too. */
export function withoutFields(object: JsonObject, fields: ReadonlySet<string>): JsonObject {
  return membersOf(object, { fields, hides: () => false }, 0)
}

/**
 * The result of a tool without these fields: in what is structured, and in text that is JSON.
 *
 * INVARIANT: text that is no JSON could hold the fields in any form, so it is removed as a whole; so is what is no text. Beside it
 * `structuredContent`, in which servers repeat their text, is left out, and so is any other string that names a field.
 */
export function redactResult(result: JsonObject, fields: ReadonlySet<string>): JsonObject {
  const { content, ...others } = result
  const plan = { fields, hides: namesOneOf(fields) }
  if (!Array.isArray(content)) return membersOf(others, plan, 0)
  const items = content.map((item: Json) => redactItem(item, plan))
  const { structuredContent: _repeated, ...rest } = others
  return { ...membersOf(items.includes(REMOVED) ? rest : others, plan, 0), content: items.map(textItem) }
}

interface Plan {
  readonly fields: ReadonlySet<string>
  /** Whether a string that is no JSON can't stay. */
  readonly hides: (text: string) => boolean
}

function redactItem(item: Json, plan: Plan): string {
  const text = isJsonObject(item) && item['type'] === 'text' ? item['text'] : undefined
  const parsed = typeof text === 'string' ? parse(text) : undefined
  return parsed === undefined ? REMOVED : JSON.stringify(strip(parsed, plan, 0))
}

function textItem(text: string): JsonObject {
  return { type: 'text', text }
}

function membersOf(object: JsonObject, plan: Plan, depth: number): JsonObject {
  return Object.fromEntries(
    Object.entries(object).flatMap(([name, value]) =>
      plan.fields.has(name) ? [] : [[name, strip(value, plan, depth + 1)]],
    ),
  )
}

function strip(value: Json, plan: Plan, depth: number): Json {
  if (depth > DEPTH_MAX) return REMOVED
  if (isList(value)) return value.map((item) => strip(item, plan, depth + 1))
  if (isJsonObject(value)) return membersOf(value, plan, depth)
  if (typeof value !== 'string') return value
  const parsed = parse(value)
  if (parsed !== undefined) return JSON.stringify(strip(parsed, plan, depth + 1))
  return plan.hides(value) ? REMOVED : value
}

/** Whether a text has one of the names as a word of its own, also behind an escape, or begins as JSON does and is none. */
function namesOneOf(fields: ReadonlySet<string>): Plan['hides'] {
  const names = [...fields].map((name) => name.replace(/[\\^$.*+?()[\]{}|/]/g, '\\$&')).join('|')
  const named = new RegExp(`(?:(?<![\\p{L}\\p{N}])|\\\\[bfnrt])(?:${names})(?![\\p{L}\\p{N}])`, 'iu')
  return (text) => /^\s*["[{]/.test(text) || named.test(text)
}

/** Only objects and lists have fields that can be told from the rest. */
function parse(text: string): Json | undefined {
  try {
    const value = JSON.parse(text) as Json
    return typeof value === 'object' && value !== null ? value : undefined
  } catch {
    return undefined
  }
}

function isList(value: Json): value is readonly Json[] {
  return Array.isArray(value)
}
