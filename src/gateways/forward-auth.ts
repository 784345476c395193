import { failed, type Result, success } from '#lib/result.ts'
import type { Decision } from '#model/decision.ts'
import type { Malformed } from '#model/request.ts'
import { type OriginalCall, readHeaderRequest } from './header-request.ts'
import { NONE } from './header-safe.ts'
import { conflict, type HeaderMap, headerMap } from './headers.ts'
import { denied, replacedAuthorization, statusAnswer, unsetHeaders } from './status-answer.ts'
import type { GatewayDialect, WireRequest, WireResponse } from './wire.ts'

const FORWARDED = ['x-forwarded-method', 'x-forwarded-uri'] as const
const ORIGINAL = ['x-original-method', 'x-original-uri', 'x-original-url'] as const
const ABSOLUTE = /^https?:\/\/([^/?#]*)(\/.*)$/i

/**
 * The forward-auth dialect of nginx `auth_request`, Traefik, Caddy, HAProxy and APISIX: a fixed URL, any method, the
 * original call in `X-Forwarded-Method` and `X-Forwarded-Uri` or in `X-Original-Method` and `X-Original-URI` or
 * `X-Original-URL`. Exactly one of these families: a second one could come from the client.
 *
 * With `?deny=403` in the fixed URL a deny is never 401, for gateways that send their users to a sign-in page then.
 *
 * INVARIANT: the status is the decision. 200 is allow; everything else, faults included, is 401 or 403: never another 2xx,
 * never a redirect, never a 5xx that a gateway may be set to ignore.
 */
export const forwardAuth: GatewayDialect = {
  read(wire, _gateway, now) {
    const headers = headerMap(wire.rawHeaders)
    if (!isWhole(headers, wire.body.length))
      return failed({ code: 'request.too_large', message: 'the gateway sent only a part of the body' })
    const call = originalCall(headers)
    return call.ok ? readHeaderRequest('forward-auth', wire, headers, call.value, now) : call
  },
  write([answer], _asked, wire) {
    if (answer === undefined) return clamped(denied('internal.fault', undefined), wire)
    if ('malformed' in answer) return clamped(denied(answer.malformed.code, answer.malformed.message), wire)
    // A gateway that copies headers needs one to copy; where none comes, some let the client's own pass.
    const extra = (decision: Decision) => [
      ...unsetHeaders(decision).map((name) => [name, NONE] as const),
      ...replacedAuthorization(decision),
    ]
    return clamped(statusAnswer(answer.decision, extra), wire)
  },
  refuse: ({ code, message }, wire) => clamped(denied(code, message), wire),
}

/** Whether the body is as long as the gateway says that the client's was, where it says so. */
function isWhole(headers: HeaderMap, length: number): boolean {
  const told = headers.get('x-original-content-length') ?? []
  return length === 0 || told.every((value) => value.trim() === String(length))
}

function clamped(answer: WireResponse, { rawUrl }: WireRequest): WireResponse {
  const isClamped = answer.status === 401 && /\?(?:.*&)?deny=403(?:&|$)/.test(rawUrl)
  return isClamped ? { ...answer, status: 403 } : answer
}

function originalCall(headers: HeaderMap): Result<OriginalCall, Malformed> {
  const names = [...FORWARDED, ...ORIGINAL, 'x-forwarded-host', 'x-forwarded-proto']
  const repeated = names.find((name) => (headers.get(name)?.length ?? 0) > 1)
  if (repeated !== undefined) return failed(conflict(`the header \`${repeated}\` occurs more than once`))
  const isForwarded = FORWARDED.some((name) => headers.has(name))
  const isOriginal = ORIGINAL.some((name) => headers.has(name))
  if (isForwarded && isOriginal)
    return failed(conflict('both `x-forwarded-*` and `x-original-*` name the original request'))
  return isOriginal ? fromOriginal(headers) : fromForwarded(headers)
}

function fromForwarded(headers: HeaderMap): Result<OriginalCall, Malformed> {
  const method = headers.get('x-forwarded-method')?.[0]
  const rawTarget = headers.get('x-forwarded-uri')?.[0]
  if (method === undefined || rawTarget === undefined)
    return missing('`x-forwarded-method` and `x-forwarded-uri` must name the original request')
  return success({ method, rawTarget, host: headers.get('x-forwarded-host')?.[0] })
}

function fromOriginal(headers: HeaderMap): Result<OriginalCall, Malformed> {
  const method = headers.get('x-original-method')?.[0]
  const target = headers.get('x-original-uri')?.[0]
  const url = headers.get('x-original-url')?.[0]
  if (target !== undefined && url !== undefined)
    return failed(conflict('both `x-original-uri` and `x-original-url` are there'))
  if (method === undefined || (target ?? url) === undefined)
    return missing('`x-original-method` and `x-original-uri` must name the original request')
  const forwardedHost = headers.get('x-forwarded-host')?.[0]
  if (target !== undefined) return success({ method, rawTarget: target, host: forwardedHost })
  const [, host, rawTarget] = ABSOLUTE.exec(url ?? '') ?? []
  if (rawTarget === undefined) return success({ method, rawTarget: url ?? '', host: forwardedHost })
  return success({ method, rawTarget, host })
}

function missing(message: string): Result<never, Malformed> {
  return failed({ code: 'request.missing_field', message })
}
