import type { GrpcDialect } from '#gateways/grpc.ts'
import { decodeMessage } from '#gateways/protobuf/read.ts'
import {
  denied,
  removedAuthorization,
  replacedAuthorization,
  statusAnswer,
  unsetHeaders,
} from '#gateways/status-answer.ts'
import type { Decision } from '#model/decision.ts'
import { type CheckAnswer, writeCheckResponse } from './answer.ts'
import { readCheckRequest, readExtensions } from './attributes.ts'
import { readAttributes } from './request.ts'

/**
 * Envoy's `ext_authz` over gRPC (also Istio, Envoy Gateway, agentgateway): one CheckRequest, one CheckResponse.
 *
 * INVARIANT: what a client can bring about (a message that can't be read, too many calls, a fault of ours) is answered with a
 * deny and not with a gRPC error, which a gateway may be set to ignore (`failure_mode_allow`).
 *
 * @see envoy/service/auth/v3/external_auth.proto
 */
export const envoyGrpc: GrpcDialect = {
  keyOf(message) {
    const extensions = decodeMessage(message, readExtensions)
    return extensions.ok ? extensions.value.get('x-warder-gateway-key') : undefined
  },
  read(message, gateway, now) {
    const attributes = decodeMessage(message, readCheckRequest)
    return attributes.ok ? readAttributes(attributes.value, gateway, now) : attributes
  },
  write(answers, decisions) {
    const refused = answers.find((answer) => 'malformed' in answer)
    const decision = decisions.find(({ effect }) => effect !== 'allow') ?? decisions[0]
    if (decision === undefined) return refusal('internal.fault', undefined, undefined)
    if (refused !== undefined) return refusal(refused.malformed.code, refused.malformed.message, decision.id)
    return writeCheckResponse(answerOf(decision))
  },
  refuse: ({ code, message }, decisionId) => refusal(code, message, decisionId),
}

function answerOf(decision: Decision): CheckAnswer {
  const answer = statusAnswer(
    decision,
    () => [['x-warder-revocation-epoch', String(decision.stateVersion)], ...replacedAuthorization(decision)],
    'all',
  )
  const isNonce = ([name]: readonly [string, string]): boolean => name === 'dpop-nonce'
  return {
    // Sent to the client below; the upstream has no use for it.
    answer: { ...answer, headers: answer.headers.filter((header) => !isNonce(header)) },
    decisionId: decision.id,
    removed: [...removedAuthorization(decision), ...unsetHeaders(decision)],
    toClient: answer.headers.filter(isNonce),
    metadata: {
      obligations: decision.obligations.map(({ type, properties }) => ({ type, properties })),
    },
  }
}

function refusal(code: string, message: string | undefined, decisionId: string | undefined): Uint8Array {
  const nothing = { removed: [], toClient: [], metadata: { obligations: [] } }
  return writeCheckResponse({ answer: denied(code, message), decisionId, ...nothing })
}
