import { failed, type Result, success } from '#lib/result.ts'
import type { Decision } from '#model/decision.ts'
import type { ObligationType } from '#model/obligation.ts'
import { REASONS } from '#model/reasons.ts'
import { type AuthorizationRequest, type Malformed, NOTHING_READ } from '#model/request.ts'
import type { JsonObject } from '#model/value.ts'
import { mcpCall, type ProtocolCall } from '#protocols/mcp.ts'
import { isJsonObject } from '#protocols/strict-json.ts'
import { requestIdOf, traceparentOf } from './headers.ts'
import { readJsonBody } from './json-body.ts'
import { redactedFields, redactResult } from './redact.ts'
import type { GatewayDialect, WireRequest, WireResponse } from './wire.ts'

const PARTY = /^[\x21-\x7e]{1,256}$/
/** An answer of this gateway's for which nothing takes the place of what it has. */
const PASS: WireResponse = { status: 200, headers: [], body: '' }
/** Obligations that Warder meets itself. */
const WARDERS_OWN: ReadonlySet<ObligationType> = new Set(['audit', 'max_age'])

/**
 * The interceptor of Docker's MCP gateway before a tool call: `POST /docker/before?server=NAME&agent=ID&user=ID`. The query is the
 * gateway's own configuration; it passes on nothing by which its client could be known.
 *
 * INVARIANT: an empty body is an allow to this gateway whatever the status is, so only an allow is empty; everything else, errors
 * included, has a result of a tool that says no. So has an allow with an obligation: this hook can change nothing of a call.
 *
 * @see docker/mcp-gateway pkg/interceptors
 */
export const dockerMcpBefore: GatewayDialect = dialect(
  (server, wire) => {
    const body = readJsonBody(wire)
    if (!body.ok) return body
    const { params } = body.value
    if (!isJsonObject(params))
      return failed({ code: 'request.missing_field', message: '`params` must be an object' })
    const call = mcpCall(server, 'tools/call', params)
    return call.ok ? call : failed({ code: 'request.wrong_type', message: call.failure.message })
  },
  ({ obligations }) => (obligations.every(({ type }) => WARDERS_OWN.has(type)) ? PASS : undefined),
)

/**
 * The interceptor after a tool call: `POST /docker/after` with the same query and the tool's result as the body. The result does not
 * say which tool it is of, so the question is about `SERVER/mcp:result`, whatever gave it.
 *
 * INVARIANT: what takes the place of a result is never empty, and a result passes as it is only when nothing had to be removed.
 */
export const dockerMcpAfter: GatewayDialect = dialect(
  (server, wire) => {
    const result = readResult(wire)
    return result.ok
      ? success({ tool: `${server}/mcp:result`, arguments: {}, effect: 'read' })
      : failed(result.failure)
  },
  ({ obligations }, wire) => {
    const result = readResult(wire)
    const others = obligations.filter(
      ({ type, properties }) =>
        !WARDERS_OWN.has(type) && !(type === 'redact' && properties['in'] === 'result'),
    )
    if (!result.ok || others.length > 0) return undefined
    const fields = redactedFields(obligations, 'result')
    const isWhole = fields.size === 0 || result.value === undefined
    return isWhole ? PASS : json(redactResult(result.value, fields), 200)
  },
)

/** The result of the tool; undefined when the call failed and there is none, which this gateway sends as `null`. */
function readResult(wire: WireRequest): Result<JsonObject | undefined, Malformed> {
  return new TextDecoder().decode(wire.body).trim() === 'null' ? success(undefined) : readJsonBody(wire)
}

type ReadCall = (server: string, wire: WireRequest) => Result<ProtocolCall, Malformed>
/** The answer of an allow; undefined when its obligations can't be met. */
type Pass = (decision: Decision, wire: WireRequest) => WireResponse | undefined

function dialect(readCall: ReadCall, pass: Pass): GatewayDialect {
  return {
    read(wire, _gateway, now) {
      const query = new URLSearchParams(wire.rawUrl.split('?')[1] ?? '')
      const objection = objectionTo(query)
      if (objection !== undefined) return failed(objection)
      const call = readCall(query.get('server') ?? '', wire)
      if (!call.ok) return call
      const request = { ...askedBy(query, wire), ...partsOf(call.value), now }
      return success({ requests: [request], semantic: 'single', itemErrors: new Map() })
    },
    write([answer], _asked, wire) {
      if (answer === undefined) return denied('internal.fault', undefined, 500)
      if ('malformed' in answer) return denied(answer.malformed.code, answer.malformed.message, 400)
      const { effect, reasons } = answer.decision
      if (effect !== 'allow') return denied(reasons[0]?.code ?? 'internal.fault', reasons[0]?.message, 200)
      const code = 'obligation.unsupported'
      return pass(answer.decision, wire) ?? denied(code, REASONS[code], 200)
    },
    refuse: ({ code, message }) => denied(code, message, 400),
  }
}

function partsOf({
  tool,
  arguments: input,
  effect,
}: ProtocolCall): Pick<AuthorizationRequest, 'tool' | 'arguments' | 'protocolEffect'> {
  return { tool, arguments: input, ...(effect !== undefined && { protocolEffect: effect }) }
}

function askedBy(query: URLSearchParams, wire: WireRequest): Omit<AuthorizationRequest, 'now'> {
  const claim = (name: string) =>
    query.has(name) ? { id: query.get(name) ?? '', properties: {} } : undefined
  return {
    ...NOTHING_READ,
    dialect: 'docker-mcp',
    protocol: 'mcp',
    requestId: requestIdOf(wire.rawHeaders),
    traceparent: traceparentOf(wire.rawHeaders),
    agent: claim('agent'),
    user: claim('user'),
  }
}

function objectionTo(query: URLSearchParams): Malformed | undefined {
  const names = [...query.keys()]
  if (new Set(names).size !== names.length)
    return { code: 'request.duplicate_key', message: 'the query names something twice' }
  if (!PARTY.test(query.get('server') ?? '') || query.get('server')?.includes('/') === true)
    return { code: 'request.missing_field', message: 'the query must name the `server`' }
  const wrong = names.find(
    (name) => name !== 'server' && !(isParty(name) && PARTY.test(query.get(name) ?? '')),
  )
  return wrong === undefined
    ? undefined
    : { code: 'request.unknown_field', message: 'the query may name `server`, `agent` and `user`' }
}

function isParty(name: string): boolean {
  return name === 'agent' || name === 'user'
}

/** A CallToolResult that takes the place of the call or of its result. */
function denied(code: string, message: string | undefined, status: number): WireResponse {
  const text = `denied: ${code}${message === undefined ? '' : ` (${message})`}`
  return json({ content: [{ type: 'text', text }], isError: true }, status)
}

function json(result: JsonObject, status: number): WireResponse {
  return { status, headers: [['content-type', 'application/json']], body: JSON.stringify(result) }
}
