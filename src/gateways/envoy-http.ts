import { failed } from '#lib/result.ts'
import type { Decision } from '#model/decision.ts'
import { isWholeBody } from './envoy-body.ts'
import { readHeaderRequest } from './header-request.ts'
import { conflict, headerMap } from './headers.ts'
import {
  denied,
  removedAuthorization,
  replacedAuthorization,
  statusAnswer,
  unsetHeaders,
} from './status-answer.ts'
import type { GatewayDialect } from './wire.ts'

/**
 * Envoy's `ext_authz` over HTTP (also Istio, Envoy Gateway, Gateway API): method, path and host of the check are those of
 * the original request, so every path is a check and the listener serves nothing else.
 *
 * INVARIANT: exactly 200 is allow. A partial body denies, because what was cut off would reach the upstream unseen.
 *
 * @see envoy/extensions/filters/http/ext_authz/v3/ext_authz.proto
 */
export const envoyHttp: GatewayDialect = {
  read(wire, _gateway, now) {
    const headers = headerMap(wire.rawHeaders)
    if (!isWholeBody(headers))
      return failed({ code: 'request.too_large', message: 'the gateway sent only a part of the body' })
    const hosts = headers.get('host') ?? []
    if (hosts.length > 1) return failed(conflict('the header `host` occurs more than once'))
    const call = { method: wire.method, rawTarget: wire.rawUrl, host: hosts[0] }
    return readHeaderRequest('envoy-http', wire, headers, call, now)
  },
  write([answer]) {
    if (answer === undefined) return denied('internal.fault', undefined)
    if ('malformed' in answer) return denied(answer.malformed.code, answer.malformed.message)
    const extra = (decision: Decision): readonly (readonly [string, string])[] => {
      const removed = [...removedAuthorization(decision), ...unsetHeaders(decision)]
      return [
        ...replacedAuthorization(decision),
        ...(removed.length === 0 ? [] : [['x-envoy-auth-headers-to-remove', removed.join(', ')] as const]),
      ]
    }
    return statusAnswer(answer.decision, extra, 'client')
  },
  refuse: ({ code, message }) => denied(code, message),
}
