import { isWholeBody } from '#gateways/envoy-body.ts'
import { readHeaderRequest } from '#gateways/header-request.ts'
import { NONE } from '#gateways/header-safe.ts'
import { headerMap } from '#gateways/headers.ts'
import { readJsonBody } from '#gateways/json-body.ts'
import { denied, isStripped, statusAnswer, unsetHeaders } from '#gateways/status-answer.ts'
import type { GatewayDialect, WireRequest, WireResponse } from '#gateways/wire.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Malformed, Proofs } from '#model/request.ts'
import type { Json } from '#model/value.ts'
import { readOpaInput } from './input.ts'

const NO_PROOFS: Proofs = {
  dpop: [],
  certificates: [],
  workloadToken: [],
  workloadProof: [],
  transactionToken: [],
}

/**
 * The Data API of the Open Policy Agent as gateways use it: Kong's `opa`, APISIX' `opa`, and what reads like opa-envoy. The path
 * behind `/v1/data` means nothing here.
 *
 * INVARIANT: the decision is a real boolean in an object, in every answer, errors included; `null`, `"false"` and an absent
 * `allow` are an allow to some reader. What the headers in the input say is the client's, as in the other header dialects.
 *
 * @see https://www.openpolicyagent.org/docs/rest-api
 */
export const opa: GatewayDialect = {
  read(wire, _gateway, now) {
    const input = inputOf(wire)
    if (!input.ok) return input
    const call = readOpaInput(input.value)
    if (!call.ok) return call
    const { method, path, host, rawHeaders, body, certificate } = call.value
    const headers = headerMap(rawHeaders)
    if (!isWholeBody(headers))
      return failed({ code: 'request.too_large', message: 'the gateway sent only a part of the body' })
    const inner: WireRequest = { method, rawUrl: path, rawHeaders, body, peer: wire.peer }
    const read = readHeaderRequest('opa', inner, headers, { method, rawTarget: path, host }, now)
    if (!read.ok || certificate === undefined) return read
    const requests = read.value.requests.map((request) => {
      const proofs = request.proofs ?? NO_PROOFS
      return { ...request, proofs: { ...proofs, certificates: [...proofs.certificates, certificate] } }
    })
    return success({ ...read.value, requests })
  },
  write([answer], _asked, wire) {
    if (answer === undefined) return result(wire, denied('internal.fault', undefined))
    if ('malformed' in answer)
      return result(wire, denied(answer.malformed.code, answer.malformed.message), 200)
    const { decision } = answer
    // A header that is not set stays the client's: these gateways can overwrite, and not remove.
    const overwritten = [...unsetHeaders(decision), ...(isStripped(decision) ? ['authorization'] : [])]
    const status = statusAnswer(decision, () => overwritten.map((name) => [name, NONE]))
    return result(wire, status, 200, decision.id)
  },
  refuse: ({ code, message }, wire) => result(wire, denied(code, message)),
}

/** `/v1` wraps the input, `/v0` and `/` do not. A body of `/v1` without `input` is a mistake, and no empty input. */
function inputOf(wire: WireRequest): Result<Json, Malformed> {
  const body = readJsonBody(wire)
  if (!body.ok || !wire.rawUrl.startsWith('/v1/')) return body
  const { input } = body.value
  return input === undefined
    ? failed({ code: 'request.missing_field', message: 'the body must have `input`' })
    : success(input)
}

/** Every word for the decision that some reader looks for, all saying the same. */
function result(
  { rawUrl }: WireRequest,
  { status, headers, body }: WireResponse,
  httpStatus: number = status,
  decisionId?: string,
): WireResponse {
  const isAllowed = status === 200
  const message: Json = body === '' ? {} : (JSON.parse(body) as Json)
  const shown = headers.filter(([name]) => name !== 'content-type')
  const told: { readonly [name: string]: Json } = {
    allow: isAllowed,
    allowed: isAllowed,
    status,
    status_code: status,
    http_status: status,
    headers: Object.fromEntries([
      ...shown,
      ...(decisionId === undefined ? [] : [['x-decision-id', decisionId] as const]),
    ]),
    ...(!isAllowed && { message, reason: message, body }),
  }
  const answer = rawUrl.startsWith('/v1/')
    ? { result: told, ...(decisionId !== undefined && { decision_id: decisionId }) }
    : told
  return { status: httpStatus, headers: [['content-type', 'application/json']], body: JSON.stringify(answer) }
}
