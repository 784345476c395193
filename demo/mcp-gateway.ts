import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Decide } from './decide.ts'
import { isObject, type Json, type JsonObject, parseJson, textOf } from './json.ts'
import { type Approve, dutiesOf, withoutFields } from './obligations.ts'
import { SERVER } from './tools.ts'

/** The gateway: the only way to the MCP server. */
export interface McpGateway {
  readonly port: number
  close(): Promise<void>
}

/** What it works with. */
export interface McpGatewayParts {
  readonly upstreamPort: number
  readonly decide: Decide
  readonly approve: Approve
  /** Whether nothing in front has asked yet if this token may speak to the MCP server at all. */
  readonly isFirst: boolean
}

const BODY_BYTES_MAX = 1_048_576
/** Methods that call nothing; every other method but `tools/call` is refused. */
const HARMLESS = ['initialize', 'notifications/initialized', 'ping', 'tools/list']
/** Outside the range that JSON-RPC reserves. */
const DENIED = 403

/**
 * A policy enforcement point for MCP over streamable HTTP: reads the JSON-RPC body, asks Warder about every
 * `tools/call`, carries out the obligations and passes on what it has read, never the bytes that came.
 */
export async function startMcpGateway(parts: McpGatewayParts): Promise<McpGateway> {
  const server = createServer((incoming, outgoing) => {
    handle(incoming, outgoing, parts).catch(() => {
      if (outgoing.headersSent) outgoing.destroy()
      else answer(outgoing, 502, { error: 'the call failed' })
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no TCP address')
  return {
    port: address.port,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

async function handle(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  parts: McpGatewayParts,
): Promise<void> {
  if (incoming.method !== 'POST' || incoming.url !== '/mcp')
    return answer(outgoing, 405, { error: 'only POST /mcp' })
  const token = bearerOf(incoming)
  if (token === undefined) return answer(outgoing, 401, { error: 'one bearer token is needed' })
  if (parts.isFirst) {
    const tool = { server: 'mcp', name: 'connect' }
    const verdict = await parts.decide({ tool, arguments: {}, accessToken: token })
    if (!verdict.allowed) return answer(outgoing, 403, { error: verdict.code })
  }
  const message = messageOf(await readBody(incoming))
  // A list could hide a call behind a harmless one (and MCP has no batches any more).
  if (!isObject(message)) return answer(outgoing, 400, { error: 'one JSON-RPC message is needed' })
  const method = textOf(message['method'])
  if (HARMLESS.includes(method)) return await pass(message, outgoing, parts, [])
  if (method !== 'tools/call')
    return deny(outgoing, message, 'gateway.method', 'this method is not let through')
  await callTool(message, token, outgoing, parts)
}

async function callTool(
  message: JsonObject,
  accessToken: string,
  outgoing: ServerResponse,
  parts: McpGatewayParts,
): Promise<void> {
  const params = isObject(message['params']) ? message['params'] : {}
  const { name, arguments: given = {} } = params
  // What is decided about must be all that there is.
  if (typeof name !== 'string' || !isObject(given))
    return answer(outgoing, 400, { error: 'a call has a name and arguments' })
  const tool = { server: SERVER, name }
  const verdict = await parts.decide({ tool, arguments: given, accessToken })
  if (!verdict.allowed) return deny(outgoing, message, verdict.code, verdict.message, verdict.decisionId)
  const duties = dutiesOf(verdict.obligations)
  if (duties.unknown.length > 0)
    return deny(outgoing, message, 'gateway.obligation', 'an obligation is not known', verdict.decisionId)
  for (const { approvers, timeoutSeconds } of duties.approvals) {
    const call = `${name} ${JSON.stringify(given)}`
    if (!(await parts.approve(call, approvers, timeoutSeconds)))
      return deny(outgoing, message, 'gateway.not_approved', 'nobody approved this call', verdict.decisionId)
  }
  await pass(message, outgoing, parts, duties.redact)
}

/** Sends the message as it was understood, without the agent's credentials, and gives back the redacted answer. */
async function pass(
  message: JsonObject,
  outgoing: ServerResponse,
  { upstreamPort }: McpGatewayParts,
  redact: readonly string[],
): Promise<void> {
  const response = await fetch(`http://127.0.0.1:${upstreamPort}/mcp`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify(message),
  })
  const text = await response.text()
  if (text === '') return void outgoing.writeHead(response.status).end()
  const body = parseJson(text)
  answer(outgoing, response.status, redact.length === 0 ? body : withoutFields(body, redact))
}

function deny(
  outgoing: ServerResponse,
  { id = null }: JsonObject,
  reason: string,
  message: string,
  decisionId?: string,
): void {
  const data = { reason, ...(decisionId !== undefined && { decision_id: decisionId }) }
  answer(outgoing, 200, { jsonrpc: '2.0', id, error: { code: DENIED, message, data } })
}

function answer(outgoing: ServerResponse, status: number, body: Json): void {
  outgoing.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
}

/** The token of the only Authorization header; undefined where there is none or more than one. */
function bearerOf(incoming: IncomingMessage): string | undefined {
  const given = incoming.headersDistinct['authorization'] ?? []
  return given.length === 1 ? /^Bearer ([\w.~+/-]+=*)$/i.exec(given[0] ?? '')?.[1] : undefined
}

function messageOf(body: string): Json | undefined {
  try {
    return parseJson(body)
  } catch {
    return undefined
  }
}

async function readBody(incoming: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of incoming) {
    if (!Buffer.isBuffer(chunk)) throw new Error('bytes were expected')
    bytes += chunk.length
    if (bytes > BODY_BYTES_MAX) throw new Error('the body is too long')
    chunks.push(chunk)
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(chunks))
}
