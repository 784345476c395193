/** What JSON can spell. */
export type Json = string | number | boolean | null | readonly Json[] | JsonObject

/** A JSON object. */
export interface JsonObject {
  readonly [name: string]: Json
}

/** @throws SyntaxError when `text` is not JSON */
export function parseJson(text: string): Json {
  return JSON.parse(text) as Json
}

/** Whether `value` is an object: neither null nor a list. */
export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `value` when it is a text, else an empty one. */
export function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : ''
}
