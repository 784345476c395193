import { type JsonFault, scanJson } from '#lib/json-scan.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Malformed } from '#model/request.ts'
import type { Json, JsonObject } from '#model/value.ts'

// A byte order mark stays in the text and JSON.parse refuses it: one reading only.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The JSON value that `body` spells in strict UTF-8, with everything refused that readers could disagree about. */
export function parseJson(body: Uint8Array): Result<Json, Malformed> {
  const text = decode(body)
  if (text === undefined) return refused('request.invalid_unicode', 'the body is not valid UTF-8')
  const fault = scanJson(text)
  if (fault !== undefined) return failed(fromFault(fault))
  const value = parse(text)
  return value === undefined
    ? refused('request.malformed_json', 'the body is not valid JSON')
    : success(value)
}

/** Like `parseJson`, for a body that must be an object. */
export function parseJsonObject(body: Uint8Array): Result<JsonObject, Malformed> {
  if (body.length === 0)
    return refused('request.malformed_json', 'the body is empty; a JSON object is needed')
  const parsed = parseJson(body)
  if (!parsed.ok) return parsed
  return isJsonObject(parsed.value)
    ? success(parsed.value)
    : refused('request.wrong_type', 'the body must be a JSON object')
}

/** Whether `value` is an object and neither null nor an array. */
export function isJsonObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function decode(body: Uint8Array): string | undefined {
  try {
    return decoder.decode(body)
  } catch {
    return undefined
  }
}

/** INVARIANT: the parser's own message is dropped, because it quotes the body. */
function parse(text: string): Json | undefined {
  try {
    return JSON.parse(text) as Json
  } catch {
    return undefined
  }
}

function fromFault({ kind, message }: JsonFault): Malformed {
  return { code: `request.${kind}`, message }
}

function refused(code: Malformed['code'], message: string): Result<never, Malformed> {
  return failed({ code, message })
}
