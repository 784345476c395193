import { failed, type Result, success } from '#lib/result.ts'
import type { Stop } from '#model/identity.ts'
import { REASONS } from '#model/reasons.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { type RpcMessage, readRpcMessage, unreadable } from './json-rpc.ts'
import {
  contradicts,
  type Headers,
  type MirroredHeaders,
  mismatch,
  readMirroredHeaders,
} from './mirrored-headers.ts'
import { isJsonObject } from './strict-json.ts'

/** What a protocol message asks for, in the words of policies. */
export interface ProtocolCall {
  /** Tool id `server/name`; protocol methods are `server/mcp:METHOD` or `server/a2a:METHOD`. */
  readonly tool: string
  readonly arguments: JsonObject
  /** What a protocol method does that is registered nowhere; undefined for a tool. */
  readonly effect?: 'read' | 'write'
  /** Only headers were seen: the arguments that will run are not known. */
  readonly argumentsUnknown?: true
  /** Tenant that the message names (A2A); a claim like any other. */
  readonly tenant?: string
}

/** Revisions that are read; a header that names another one denies. */
const VERSIONS = new Set(['2025-03-26', '2025-06-18', '2025-11-25', '2026-07-28'])
/** First revision whose servers must compare headers with the body, so that headers alone can be believed. */
const MIRRORED_SINCE = '2026-07-28'
const VERSION_MEMBER = 'io.modelcontextprotocol/protocolVersion'
const TOOL_NAME = /^[\x21-\x7e\u{a0}-\u{10ffff}]{1,256}$/u

/** Methods that change nothing at the server, beside every notification. Everything else that is no tool counts as a write. */
const READS = new Set([
  'initialize',
  'ping',
  'server/discover',
  'tools/list',
  'prompts/list',
  'prompts/get',
  'resources/list',
  'resources/templates/list',
  'resources/read',
  'resources/subscribe',
  'resources/unsubscribe',
  'subscriptions/listen',
  'completion/complete',
  'logging/setLevel',
])
/** Where a method names its object, which `Mcp-Name` repeats. */
const NAMED_BY: { readonly [method: string]: 'name' | 'uri' } = {
  'tools/call': 'name',
  'prompts/get': 'name',
  'resources/read': 'uri',
  'resources/subscribe': 'uri',
  'resources/unsubscribe': 'uri',
}

/**
 * What an HTTP call to an MCP server asks for (Streamable HTTP, revisions 2025-03-26 to 2026-07-28).
 *
 * With a body the body counts, and headers that repeat it must agree. Without one, headers count only from a client of
 * 2026-07-28 on, where the server itself refuses a body that says something else; an older version denies, because its
 * servers ignore these headers.
 */
export function readMcpCall(
  server: string,
  {
    method,
    body,
    headers,
  }: { readonly method: string; readonly body: Uint8Array | undefined; readonly headers: Headers },
): Result<ProtocolCall, Stop> {
  const mirrored = readMirroredHeaders(headers)
  if (!mirrored.ok) return mirrored
  const { version } = mirrored.value
  if (version !== undefined && !VERSIONS.has(version)) return versionRefused()
  if (method === 'POST') {
    if (body === undefined) return fromHeaders(server, mirrored.value)
    const message = readRpcMessage(body)
    return message.ok ? fromMessage(server, message.value, mirrored.value) : message
  }
  // Before 2026-07-28: GET opens the server's stream, DELETE ends the session.
  if (body !== undefined) return unreadable('only a POST carries a message')
  if (method === 'GET') return success({ tool: `${server}/mcp:stream`, arguments: {}, effect: 'read' })
  if (method === 'DELETE') return success({ tool: `${server}/mcp:end`, arguments: {}, effect: 'read' })
  return unreadable('the method is none of MCP')
}

/** What a message says that some other reader already took apart (agentgateway, the filter of lists). */
export function mcpCall(server: string, method: string, params: JsonObject): Result<ProtocolCall, Stop> {
  if (method !== 'tools/call') {
    const rest = Object.fromEntries(Object.entries(params).filter(([name]) => name !== '_meta'))
    const effect = READS.has(method) || method.startsWith('notifications/') ? 'read' : 'write'
    return success({ tool: `${server}/mcp:${method}`, arguments: rest, effect })
  }
  const { name, arguments: input = {} } = params
  if (typeof name !== 'string') return unreadable('`params.name` is not a text')
  if (!isJsonObject(input)) return unreadable('`params.arguments` is not an object')
  const tool = toolId(server, name)
  return tool === undefined
    ? unreadable('`params.name` is not the name of a tool')
    : success({ tool, arguments: input })
}

/** Id of a server's tool; undefined for a name that could be another server's tool or a protocol method. */
export function toolId(server: string, name: string): string | undefined {
  const isPlain = TOOL_NAME.test(name) && name.isWellFormed() && !name.includes('/')
  return isPlain && !/^(?:mcp|a2a):/i.test(name) ? `${server}/${name}` : undefined
}

function fromMessage(
  server: string,
  { kind, method, params }: RpcMessage,
  mirrored: MirroredHeaders,
): Result<ProtocolCall, Stop> {
  if (kind === 'response')
    return mirrored.method === undefined
      ? success({ tool: `${server}/mcp:response`, arguments: {}, effect: 'write' })
      : mismatch('a response has no method')
  if (mirrored.method !== undefined && mirrored.method !== method) return mismatch('the method differs')
  const member = NAMED_BY[method]
  const named = member === undefined ? undefined : params[member]
  if (mirrored.name !== undefined && mirrored.name !== (named ?? params['name'] ?? params['uri']))
    return mismatch('the name differs')
  const told = metaVersion(params)
  if (told !== undefined && told !== mirrored.version) return mismatch('the protocol version differs')
  const call = mcpCall(server, method, params)
  if (!call.ok) return call
  return method === 'tools/call' && contradicts(mirrored, call.value.arguments)
    ? mismatch('a parameter differs')
    : call
}

function fromHeaders(server: string, { version, method, name }: MirroredHeaders): Result<ProtocolCall, Stop> {
  if (version === undefined || version < MIRRORED_SINCE) return versionRefused()
  if (method === undefined) return unreadable('neither a body nor `Mcp-Method` says what is called')
  const member = NAMED_BY[method]
  if (member !== undefined && name === undefined) return unreadable('`Mcp-Name` is missing')
  const call = mcpCall(server, method, member === undefined || name === undefined ? {} : { [member]: name })
  return call.ok ? success({ ...call.value, argumentsUnknown: true }) : call
}

function metaVersion(params: JsonObject): Json | undefined {
  const meta = params['_meta']
  return isJsonObject(meta) && Object.hasOwn(meta, VERSION_MEMBER) ? meta[VERSION_MEMBER] : undefined
}

function versionRefused(): Result<never, Stop> {
  return failed({ code: 'mcp.version', message: REASONS['mcp.version'] })
}
