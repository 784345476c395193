/** An integer beyond 2^53 keeps its digits: here as a raw part of JSON text, which is written as it was read. */
export type RawNumber = object

interface RawJson {
  rawJSON(text: string): RawNumber
  isRawJSON(value: unknown): boolean
}

// In Node since 22; the types of the language do not know it yet.
const raw = JSON as unknown as RawJson

/** Reads JSON so that writing it again gives the same integers, however large. */
export function parseLossless(text: string): unknown {
  const reviver = (_key: string, value: unknown, context?: { readonly source?: string }): unknown =>
    typeof value === 'number' && !Number.isSafeInteger(value) && context?.source !== undefined
      ? raw.rawJSON(context.source)
      : value
  return JSON.parse(text, reviver)
}

/** Whether a part of what was read is a number that JavaScript can not hold. */
export function isRawNumber(value: unknown): boolean {
  return raw.isRawJSON(value)
}
