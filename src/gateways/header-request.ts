import type { EpochMilliseconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { AuthorizationRequest, Malformed } from '#model/request.ts'
import type { JsonObject } from '#model/value.ts'
import {
  checkHeaders,
  checkOverrides,
  credentialsOf,
  type HeaderMap,
  identityHeadersOf,
  isEncoded,
  requestIdOf,
  traceparentOf,
} from './headers.ts'
import { readRawPath } from './raw-path.ts'
import type { ReadRequest, WireRequest } from './wire.ts'

/** The HTTP call that stands before a gateway, as the gateway told it. */
export interface OriginalCall {
  readonly method: string
  /** Path and query as the client sent them. */
  readonly rawTarget: string
  readonly host: string | undefined
}

const METHOD = /^[A-Z][A-Z0-9_-]{0,31}$/
const HOST = /^[A-Za-z0-9.:_[\]-]{1,255}$/
const NOTHING: JsonObject = {}

/** Reads what both header dialects share: the call, the credential, the identity headers. Nothing is believed yet. */
export function readHeaderRequest(
  dialect: 'forward-auth' | 'envoy-http',
  wire: WireRequest,
  headers: HeaderMap,
  call: OriginalCall,
  now: EpochMilliseconds,
): Result<ReadRequest, Malformed> {
  const told = dialect === 'forward-auth' ? ['x-original-url'] : []
  const objection =
    checkHeaders(headers) ?? checkBody(wire) ?? checkCall(call) ?? checkOverrides(headers, call.method, told)
  if (objection !== undefined) return failed(objection)
  const path = readRawPath(call.rawTarget)
  if (!path.ok) return path
  const credentials = credentialsOf(headers)
  if (!credentials.ok) return credentials
  const request: AuthorizationRequest = {
    dialect,
    now,
    requestId: requestIdOf(wire.rawHeaders),
    traceparent: traceparentOf(wire.rawHeaders),
    tenant: undefined,
    agent: undefined,
    user: undefined,
    subject: undefined,
    credentials: credentials.value,
    identityHeaders: identityHeadersOf(headers),
    tool: undefined,
    route: { method: call.method, path: path.value, host: call.host?.toLowerCase() },
    action: undefined,
    resource: undefined,
    arguments: undefined,
    session: undefined,
    risk: undefined,
    context: NOTHING,
    declared: NOTHING,
    supportedObligations: undefined,
  }
  return success({ requests: [request], semantic: 'single', itemErrors: new Map() })
}

function checkCall({ method, host }: OriginalCall): Malformed | undefined {
  if (!METHOD.test(method))
    return {
      code: 'request.wrong_type',
      message: 'the method of the original request is not one in upper case',
    }
  if (host !== undefined && !HOST.test(host))
    return { code: 'request.wrong_type', message: 'the host of the original request is not a host name' }
  return undefined
}

/** A body that is not plain can't be what the upstream will see. */
function checkBody({ body, rawHeaders }: WireRequest): Malformed | undefined {
  if (body.length === 0 || !isEncoded(rawHeaders)) return undefined
  return { code: 'request.unsupported_encoding', message: 'the body has a content encoding' }
}
