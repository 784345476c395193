import { failed, type Result, success } from '#lib/result.ts'
import type { Malformed, PassedCertificate } from '#model/request.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { isJsonObject } from '#protocols/strict-json.ts'

/** The HTTP call in the `input` of a gateway that speaks to an Open Policy Agent. */
export interface OpaCall {
  readonly method: string
  /** Path, with its query where the gateway tells it. */
  readonly path: string
  readonly host: string | undefined
  /** Name, value, name, value, ...; a header that came twice is there twice. */
  readonly rawHeaders: readonly string[]
  readonly body: Uint8Array
  readonly certificate: PassedCertificate | undefined
}

const ENCODER = new TextEncoder()
const NO_BODY = new Uint8Array()

/**
 * Tells the three known inputs apart by what only one of them has: `attributes` (Envoy's plugin of OPA), `type: "http"` with
 * `request` (APISIX), `request.http` (Kong).
 */
export function readOpaInput(input: Json | undefined): Result<OpaCall, Malformed> {
  if (!isJsonObject(input)) return wrong('`input` must be an object')
  const { attributes, request, type } = input
  if (isJsonObject(attributes)) return fromEnvoy(input, attributes)
  if (!isJsonObject(request)) return wrong('`input` is none that Kong, APISIX or Envoy sends')
  if (type === 'http') return fromApisix(request)
  return isJsonObject(request['http'])
    ? fromKong(request['http'])
    : wrong('`input.request` is none that Kong or APISIX sends')
}

function fromKong(http: JsonObject): Result<OpaCall, Malformed> {
  return hasQuery(http) ?? callOf(http, http['body'], http['body_size'], undefined)
}

/** APISIX sends no body at all. */
function fromApisix(request: JsonObject): Result<OpaCall, Malformed> {
  return hasQuery(request) ?? callOf(request, undefined, undefined, undefined)
}

/** Their path is decoded and has no query: a `?` in it was `%3F`, and what follows belongs to the path of the upstream. */
function hasQuery({ path }: JsonObject): Result<never, Malformed> | undefined {
  return typeof path === 'string' && path.includes('?')
    ? failed({ code: 'request.path_ambiguous', message: 'the path has a decoded `?`' })
    : undefined
}

function fromEnvoy(input: JsonObject, attributes: JsonObject): Result<OpaCall, Malformed> {
  const { request, source } = attributes
  const http = isJsonObject(request) ? request['http'] : undefined
  if (!isJsonObject(http)) return wrong('`input.attributes.request.http` must be an object')
  if (input['truncated_body'] === true) return partial()
  const certificate = isJsonObject(source) ? source['certificate'] : undefined
  return callOf(http, http['body'], http['size'], certificate)
}

function callOf(
  http: JsonObject,
  body: Json | undefined,
  size: Json | undefined,
  certificate: Json | undefined,
): Result<OpaCall, Malformed> {
  const { method, path, host } = http
  if (typeof method !== 'string' || typeof path !== 'string')
    return failed({
      code: 'request.missing_field',
      message: '`method` and `path` of the request must be there',
    })
  const rawHeaders = headersOf(http['headers'])
  if (rawHeaders === undefined) return wrong('`headers` must be texts or lists of texts by name')
  if (body !== undefined && body !== null && typeof body !== 'string') return wrong('`body` must be a text')
  const bytes = typeof body === 'string' ? ENCODER.encode(body) : NO_BODY
  // What was cut off would reach the upstream unseen.
  if (bytes.length > 0 && size !== undefined && Number(size) !== bytes.length) return partial()
  return success({
    method,
    path,
    host: typeof host === 'string' ? host : undefined,
    rawHeaders,
    body: bytes,
    certificate:
      typeof certificate === 'string' && certificate !== ''
        ? { source: 'envoy', value: certificate }
        : undefined,
  })
}

function headersOf(headers: Json | undefined): readonly string[] | undefined {
  if (headers === undefined) return []
  if (!isJsonObject(headers)) return undefined
  const raw: string[] = []
  for (const [name, value] of Object.entries(headers)) {
    if (name.startsWith(':')) continue
    const values = Array.isArray(value) ? (value as readonly Json[]) : [value]
    for (const each of values) {
      if (typeof each !== 'string') return undefined
      raw.push(name, each)
    }
  }
  return raw
}

function partial(): Result<never, Malformed> {
  return failed({ code: 'request.too_large', message: 'the gateway sent only a part of the body' })
}

function wrong(message: string): Result<never, Malformed> {
  return failed({ code: 'request.wrong_type', message })
}
