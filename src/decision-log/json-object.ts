import type { Json, JsonObject } from '#model/value.ts'

type Storable = undefined | Json | readonly Storable[] | { readonly [name: string]: Storable }

/** The members of `fields` that have a value, as the JSON object that a database gives back for them. */
export function jsonObject(fields: { readonly [name: string]: unknown }): JsonObject {
  const kept: { [name: string]: Json } = {}
  for (const name of Object.keys(fields)) {
    const json = asJson(fields[name] as Storable)
    if (json !== undefined) kept[name] = json
  }
  return kept
}

function asJson(value: Storable): Json | undefined {
  if (value === undefined || typeof value !== 'object' || value === null) return value
  if (Array.isArray(value)) return value.map((item: Storable) => asJson(item) ?? null)
  return jsonObject(value as { readonly [name: string]: unknown })
}
