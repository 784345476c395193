import type { ClaimType } from '#model/issuer.ts'
import type { Json, JsonObject } from '#model/value.ts'

/** The claim at a dotted path; the whole path is tried as one name first, since claim names may contain dots. */
export function claimAt(payload: JsonObject, path: string): Json | undefined {
  if (Object.hasOwn(payload, path)) return payload[path]
  let at: Json | undefined = payload
  for (const name of path.split('.')) {
    if (!isObject(at) || !Object.hasOwn(at, name)) return undefined
    at = at[name]
  }
  return at
}

/** Whether a claim has the type that an issuer demands. */
export function hasType(value: Json, type: ClaimType): boolean {
  switch (type) {
    case 'string':
      return typeof value === 'string' && value !== ''
    case 'number':
      return typeof value === 'number'
    case 'boolean':
      return typeof value === 'boolean'
    case 'strings':
      return Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === 'string')
    case 'object':
      return isObject(value)
  }
}

/** Whether `value` is a JSON object. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
