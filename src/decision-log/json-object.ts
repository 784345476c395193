import type { Json, JsonObject } from '#model/value.ts'

type Storable = undefined | Json | readonly Storable[] | { readonly [name: string]: Storable }

/**
 * The members of `fields` that have a value, in canonical order, as the JSON object that a database gives back for them.
 *
 * @see canonicalJson, which writes what is in order at a fraction of the cost
 */
export function jsonObject(fields: { readonly [name: string]: unknown }): JsonObject {
  const kept: { [name: string]: Json } = {}
  for (const name of sortedNames(fields)) {
    const json = asJson(fields[name] as Storable)
    if (json !== undefined) kept[name] = json
  }
  return kept
}

/** `jsonObject` for members that are JSON already: they are not walked through again. */
export function jsonMembers(fields: { readonly [name: string]: Json | undefined }): JsonObject {
  const kept: { [name: string]: Json } = {}
  for (const name of sortedNames(fields)) {
    const json = fields[name]
    if (json !== undefined) kept[name] = json
  }
  return kept
}

const INSERTION_NAMES_MAX = 40

/** Names of the members by UTF-16 code unit. Insertion wins for the few and nearly sorted names of an ordinary object. */
export function sortedNames(fields: object): readonly string[] {
  const names = Object.keys(fields)
  if (names.length > INSERTION_NAMES_MAX) return names.toSorted((a, b) => (a < b ? -1 : Number(a > b)))
  for (let i = 1; i < names.length; i++) {
    const name = names[i] ?? ''
    let at = i
    for (let before = names[at - 1]; before !== undefined && before > name; before = names[at - 1]) {
      names[at] = before
      at -= 1
    }
    if (at !== i) names[at] = name
  }
  return names
}

function asJson(value: Storable): Json | undefined {
  if (value === undefined || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item: Storable) => asJson(item) ?? null)
  return jsonObject(value as { readonly [name: string]: unknown })
}
