import type { EpochMilliseconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { AuthorizationRequest, HeaderDialect, Malformed } from '#model/request.ts'
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
import { proofsOf } from './proof-headers.ts'
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

/** Reads what the header dialects share: the call, the credential, the identity headers. Nothing is believed yet. */
export function readHeaderRequest(
  dialect: HeaderDialect,
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
  const proofs = proofsOf(headers, wire.rawHeaders)
  if (!proofs.ok) return proofs
  const query = call.rawTarget.slice(path.value.length)
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
    ...(proofs.value !== undefined && { proofs: proofs.value }),
    identityHeaders: identityHeadersOf(headers),
    tool: undefined,
    route: {
      method: call.method,
      path: path.value,
      host: call.host?.toLowerCase(),
      ...(query !== '' && { query }),
    },
    original: { body: wire.body.length === 0 ? undefined : wire.body, headers: protocolHeaders(wire) },
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

/** Headers that repeat what a message of MCP or A2A says; aliases with `_` too, since some servers read them as these. */
function protocolHeaders({ rawHeaders }: WireRequest): readonly (readonly [string, string])[] {
  const found: (readonly [string, string])[] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = (rawHeaders[i] ?? '').toLowerCase()
    if (/^(?:mcp|a2a)[-_]/.test(name)) found.push([name, rawHeaders[i + 1] ?? ''])
  }
  return found
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
