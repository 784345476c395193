import type { Obligation } from '#model/obligation.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { isJsonObject } from '#protocols/strict-json.ts'

const REMOVED = '[removed]'

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

/** The object without members of these names, at every depth. */
export function withoutFields(object: JsonObject, fields: ReadonlySet<string>): JsonObject {
  return Object.fromEntries(
    Object.entries(object).flatMap(([name, value]) =>
      fields.has(name) ? [] : [[name, strip(value, fields)]],
    ),
  )
}

/**
 * The result of a tool without these fields: in what is structured, and in text that is JSON.
 *
 * INVARIANT: text that is no JSON could hold the fields in any form, so it is removed as a whole; so is what is no text.
 */
export function redactResult(result: JsonObject, fields: ReadonlySet<string>): JsonObject {
  const { content, ...rest } = result
  const plain = withoutFields(rest, fields)
  return Array.isArray(content)
    ? { ...plain, content: content.map((item: Json) => redactItem(item, fields)) }
    : plain
}

function redactItem(item: Json, fields: ReadonlySet<string>): Json {
  const text = isJsonObject(item) && item['type'] === 'text' ? item['text'] : undefined
  const parsed = typeof text === 'string' ? parse(text) : undefined
  const kept = parsed === undefined ? REMOVED : JSON.stringify(strip(parsed, fields))
  return { type: 'text', text: kept }
}

function strip(value: Json, fields: ReadonlySet<string>): Json {
  if (isList(value)) return value.map((item) => strip(item, fields))
  return isJsonObject(value) ? withoutFields(value, fields) : value
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
