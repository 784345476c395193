import type { GrpcDialect, GrpcRefusal } from '#gateways/grpc.ts'
import { permittedIn } from '#gateways/mcp-list.ts'
import { writeStruct } from '#gateways/protobuf/struct.ts'
import { bytes, integer, join, message, text } from '#gateways/protobuf/write.ts'
import { redactedFields, redactResult, withoutFields } from '#gateways/redact.ts'
import { isStripped, statusAnswer, unsetHeaders } from '#gateways/status-answer.ts'
import type { WireResponse } from '#gateways/wire.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import { type Result, success } from '#lib/result.ts'
import type { Decision } from '#model/decision.ts'
import { REASONS } from '#model/reasons.ts'
import type { AuthorizationRequest, Malformed } from '#model/request.ts'
import type { JsonObject } from '#model/value.ts'
import { isJsonObject } from '#protocols/strict-json.ts'
import { keyOfMcpMessage, type McpMessage, readMcpMessage } from './message.ts'
import { askAboutCall, askAboutResult, readToolList, reduceToolList } from './request.ts'

type Ask = (message: McpMessage, now: EpochMilliseconds) => Result<readonly AuthorizationRequest[], Malformed>
type Write = (decisions: readonly Decision[], message: McpMessage) => Uint8Array

const ENCODER = new TextEncoder()
const PASS = message(1)
const PERMISSION_DENIED = { code: 1, rpc: -32001 }
const RESOURCE_EXHAUSTED = { code: 2, rpc: -32003 }
const INVALID = { code: 3, rpc: -32602 }
/** A client's copies of these reach the server in no case: no answer sets them. */
const NEVER_UPSTREAM = ['x-warder-gateway-key', 'x-warder-subject']

/**
 * agentgateway's hook before an MCP message goes to its server: the call as it is, without redacted arguments, or an error.
 *
 * INVARIANT: one of `pass`, `mutated` and `error` is always set; nothing set is left to the gateway's failure mode.
 *
 * @see agentgateway crates/protos/proto/ext_mcp.proto ExtMcp.CheckRequest
 */
export const extMcpRequest: GrpcDialect = dialect(askAboutCall, (decisions, { content }) => {
  const [first, ...others] = decisions
  if (first === undefined) return error(PERMISSION_DENIED, 'internal.fault', '')
  // One call to several backends leaves once, with one set of headers.
  const wanted = JSON.stringify(demandsOf(first))
  if (others.some((other) => JSON.stringify(demandsOf(other)) !== wanted))
    return error(PERMISSION_DENIED, 'obligation.conflict', REASONS['obligation.conflict'], first.id)
  const { status, headers } = statusAnswer(first, () => [])
  if (status !== 200)
    return error(PERMISSION_DENIED, 'obligation.unsupported', REASONS['obligation.unsupported'], first.id)
  const fields = redactedFields(first.obligations, 'arguments')
  const { arguments: input } = content
  const result =
    fields.size > 0 && isJsonObject(input)
      ? bytes(2, jsonBytes({ ...content, arguments: withoutFields(input, fields) }))
      : PASS
  return join(result, ...mutations(first, headers))
})

/**
 * agentgateway's hook before the answer of an MCP server goes to the client: lists lose the tools that may not be called,
 * results their redacted fields.
 *
 * @see agentgateway crates/protos/proto/ext_mcp.proto ExtMcp.CheckResponse
 */
export const extMcpResponse: GrpcDialect = dialect(askAboutResult, (decisions, received) => {
  const { method, content } = received
  if (method === 'tools/list') {
    const list = readToolList(received)
    const [decision] = decisions
    if (!list.ok || decision === undefined) return error(PERMISSION_DENIED, 'internal.fault', '')
    return bytes(2, jsonBytes(reduceToolList(received, list.value, permittedIn(decision))))
  }
  const fields = redactedFields(
    decisions.flatMap(({ obligations }) => obligations),
    'result',
  )
  return fields.size === 0 ? PASS : bytes(2, jsonBytes(redactResult(content, fields)))
})

function dialect(ask: Ask, write: Write): GrpcDialect {
  const refuse = ({ code, message: why }: GrpcRefusal, decisionId: string | undefined): Uint8Array =>
    error(code === 'http.overloaded' ? RESOURCE_EXHAUSTED : INVALID, code, why, decisionId)
  return {
    keyOf: keyOfMcpMessage,
    read(encoded, _gateway, now) {
      const received = readMcpMessage(encoded)
      if (!received.ok) return received
      const requests = ask(received.value, now)
      if (!requests.ok) return requests
      return success({ requests: requests.value, semantic: 'execute_all', itemErrors: new Map() })
    },
    write(_answers, decisions, encoded) {
      const received = readMcpMessage(encoded)
      if (!received.ok) return refuse(received.failure, undefined)
      const denying = decisions.find(({ effect }) => effect !== 'allow')
      if (denying !== undefined) return denied(denying)
      return decisions.length === 0
        ? error(PERMISSION_DENIED, 'internal.fault', '')
        : write(decisions, received.value)
    },
    refuse,
  }
}

function denied({ id, reasons, retryAfterSeconds }: Decision): Uint8Array {
  const { code = 'internal.fault', message: why = '' } = reasons[0] ?? {}
  const kind = retryAfterSeconds === undefined ? PERMISSION_DENIED : RESOURCE_EXHAUSTED
  return error(kind, code, why, id, retryAfterSeconds)
}

/** `error` with the JSON-RPC error that the client gets. */
function error(
  kind: { readonly code: number; readonly rpc: number },
  reason: string,
  why: string,
  decisionId?: string,
  retryAfterSeconds?: number,
): Uint8Array {
  const data = {
    reason,
    ...(decisionId !== undefined && { decision_id: decisionId }),
    ...(retryAfterSeconds !== undefined && { retry_after: retryAfterSeconds }),
  }
  const rpcError = jsonBytes({ code: kind.rpc, message: why === '' ? 'denied' : why, data })
  return message(3, integer(1, kind.code), text(2, reason), bytes(3, rpcError))
}

function demandsOf({ obligations, upstreamHeaders, identity }: Decision): unknown {
  return [obligations.map(({ type, properties }) => [type, properties]), upstreamHeaders, identity]
}

/** What the request to the server gets and loses, and what later filters may read. */
function mutations(decision: Decision, headers: WireResponse['headers']): readonly Uint8Array[] {
  const set = [...headers.filter(([name]) => name !== 'dpop-nonce'), ['x-decision-id', decision.id] as const]
  const removed = [
    ...NEVER_UPSTREAM,
    ...(isStripped(decision) ? ['authorization'] : []),
    ...unsetHeaders(decision),
  ]
  const mutation = message(
    4,
    ...set.map(([name, value]) => message(1, text(1, name), bytes(2, ENCODER.encode(value)))),
    ...removed.map((name) => text(2, name)),
  )
  const told = { decision_id: decision.id, reason: decision.reasons[0]?.code ?? 'policy.permit' }
  return [mutation, message(5, writeStruct(told))]
}

function jsonBytes(value: JsonObject): Uint8Array {
  return ENCODER.encode(JSON.stringify(value))
}
