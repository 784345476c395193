import { failed, type Result } from '#lib/result.ts'
import type { Malformed } from '#model/request.ts'
import type { JsonObject } from '#model/value.ts'
import { parseJsonObject } from '#protocols/strict-json.ts'
import { isEncoded, onlyValue } from './headers.ts'
import type { WireRequest } from './wire.ts'

const JSON_MEDIA_TYPE = /^application\/json[\t ]*(?:;[\t ]*charset[\t ]*=[\t ]*"?utf-8"?[\t ]*)?;?$/i

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

function refused(code: Malformed['code'], message: string): Result<never, Malformed> {
  return failed({ code, message })
}
