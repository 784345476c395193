import { type JsonFault, scanJson } from '#lib/json-scan.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Malformed } from '#model/request.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { isEncoded, onlyValue } from './headers.ts'
import type { WireRequest } from './wire.ts'

const JSON_MEDIA_TYPE = /^application\/json[\t ]*(?:;[\t ]*charset[\t ]*=[\t ]*"?utf-8"?[\t ]*)?;?$/i
// A byte order mark stays in the text and JSON.parse refuses it: one reading only.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The JSON object in a request body: media type, encoding, UTF-8, the scan of `lib/json-scan.ts` and the parse.
 * The size was bounded when the body was read.
 */
export function readJsonBody(wire: WireRequest): Result<JsonObject, Malformed> {
  const type = onlyValue(wire.rawHeaders, 'content-type')
  if (type === undefined || !JSON_MEDIA_TYPE.test(type.trim()))
    return refused('request.unsupported_media_type', 'send the body with `content-type: application/json`')
  if (isEncoded(wire.rawHeaders))
    return refused('request.unsupported_encoding', 'send the body without `content-encoding`')
  return parseJsonObject(wire.body)
}

/** The JSON object that `body` spells in strict UTF-8, with everything refused that readers could disagree about. */
export function parseJsonObject(body: Uint8Array): Result<JsonObject, Malformed> {
  if (body.length === 0)
    return refused('request.malformed_json', 'the body is empty; a JSON object is needed')
  const text = decode(body)
  if (text === undefined) return refused('request.invalid_unicode', 'the body is not valid UTF-8')
  const fault = scanJson(text)
  if (fault !== undefined) return failed(fromFault(fault))
  const value = parse(text)
  if (value === undefined) return refused('request.malformed_json', `the body is not valid JSON`)
  if (!isJsonObject(value)) return refused('request.wrong_type', 'the body must be a JSON object')
  return success(value)
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
