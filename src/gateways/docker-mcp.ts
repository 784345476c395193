import { failed, success } from '#lib/result.ts'
import type { AuthorizationRequest, Malformed } from '#model/request.ts'
import { mcpCall } from '#protocols/mcp.ts'
import { isJsonObject } from '#protocols/strict-json.ts'
import { requestIdOf, traceparentOf } from './headers.ts'
import { readJsonBody } from './json-body.ts'
import type { GatewayDialect, WireRequest, WireResponse } from './wire.ts'

const PARTY = /^[\x21-\x7e]{1,256}$/

/**
 * The interceptor of Docker's MCP gateway before a tool call: `POST /docker/before?server=NAME&agent=ID&user=ID`. The query is the
 * gateway's own configuration; it passes on nothing by which its client could be known.
 *
 * INVARIANT: an empty body is an allow to this gateway whatever the status is, so only an allow is empty; everything else, errors
 * included, has a result of a tool that says no.
 *
 * @see docker/mcp-gateway pkg/interceptors
 */
export const dockerMcp: GatewayDialect = {
  read(wire, _gateway, now) {
    const query = new URLSearchParams(wire.rawUrl.split('?')[1] ?? '')
    const objection = objectionTo(query)
    if (objection !== undefined) return failed(objection)
    const body = readJsonBody(wire)
    if (!body.ok) return body
    const { params } = body.value
    if (!isJsonObject(params))
      return failed({ code: 'request.missing_field', message: '`params` must be an object' })
    const call = mcpCall(query.get('server') ?? '', 'tools/call', params)
    if (!call.ok) return failed({ code: 'request.wrong_type', message: call.failure.message })
    const claim = (name: string) =>
      query.has(name) ? { id: query.get(name) ?? '', properties: {} } : undefined
    const request: AuthorizationRequest = {
      dialect: 'docker-mcp',
      now,
      requestId: requestIdOf(wire.rawHeaders),
      traceparent: traceparentOf(wire.rawHeaders),
      tenant: undefined,
      agent: claim('agent'),
      user: claim('user'),
      subject: undefined,
      credentials: [],
      identityHeaders: [],
      tool: call.value.tool,
      route: undefined,
      action: undefined,
      resource: undefined,
      arguments: call.value.arguments,
      session: undefined,
      risk: undefined,
      context: {},
      declared: {},
      supportedObligations: undefined,
    }
    return success({ requests: [request], semantic: 'single', itemErrors: new Map() })
  },
  write([answer]) {
    if (answer === undefined) return denied('internal.fault', undefined, 500)
    if ('malformed' in answer) return denied(answer.malformed.code, answer.malformed.message, 400)
    const { effect, reasons } = answer.decision
    if (effect === 'allow') return { status: 200, headers: [], body: '' }
    return denied(reasons[0]?.code ?? 'internal.fault', reasons[0]?.message, 200)
  },
  refuse: ({ code, message }: { code: string; message: string }, _wire: WireRequest) =>
    denied(code, message, 400),
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

/** A CallToolResult that takes the place of the call. */
function denied(code: string, message: string | undefined, status: number): WireResponse {
  const text = `denied: ${code}${message === undefined ? '' : ` (${message})`}`
  const body = JSON.stringify({ content: [{ type: 'text', text }], isError: true })
  return { status, headers: [['content-type', 'application/json']], body }
}
