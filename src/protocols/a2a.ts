import { failed, type Result, success } from '#lib/result.ts'
import type { Stop } from '#model/identity.ts'
import { REASONS } from '#model/reasons.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { readRpcMessage, unreadable } from './json-rpc.ts'
import type { ProtocolCall } from './mcp.ts'
import type { Headers } from './mirrored-headers.ts'
import { isJsonObject, parseJson } from './strict-json.ts'

/** Methods of A2A 1.0 by what they do; policies see these names for both versions. */
const METHODS: { readonly [method: string]: 'read' | 'write' } = {
  SendMessage: 'write',
  SendStreamingMessage: 'write',
  GetTask: 'read',
  ListTasks: 'read',
  CancelTask: 'write',
  SubscribeToTask: 'read',
  CreateTaskPushNotificationConfig: 'write',
  GetTaskPushNotificationConfig: 'read',
  ListTaskPushNotificationConfigs: 'read',
  DeleteTaskPushNotificationConfig: 'write',
  GetExtendedAgentCard: 'read',
}
/** Names of A2A 0.3. */
const NAMES_0_3: { readonly [method: string]: string } = {
  'message/send': 'SendMessage',
  'message/stream': 'SendStreamingMessage',
  'tasks/get': 'GetTask',
  'tasks/list': 'ListTasks',
  'tasks/cancel': 'CancelTask',
  'tasks/resubscribe': 'SubscribeToTask',
  'tasks/pushNotificationConfig/set': 'CreateTaskPushNotificationConfig',
  'tasks/pushNotificationConfig/get': 'GetTaskPushNotificationConfig',
  'tasks/pushNotificationConfig/list': 'ListTaskPushNotificationConfigs',
  'tasks/pushNotificationConfig/delete': 'DeleteTaskPushNotificationConfig',
  'agent/getAuthenticatedExtendedCard': 'GetExtendedAgentCard',
}

/** One REST binding of A2A 1.0: what follows the agent's URL and an optional tenant segment. */
const REST: readonly { readonly method: string; readonly path: RegExp; readonly call: string }[] = [
  { method: 'POST', path: /^(?:\/(?<tenant>[^/:]+))?\/message:send$/, call: 'SendMessage' },
  { method: 'POST', path: /^(?:\/(?<tenant>[^/:]+))?\/message:stream$/, call: 'SendStreamingMessage' },
  { method: 'GET', path: /^(?:\/(?<tenant>[^/:]+))?\/tasks$/, call: 'ListTasks' },
  { method: 'GET', path: /^(?:\/(?<tenant>[^/:]+))?\/tasks\/(?<id>[^/:]+)$/, call: 'GetTask' },
  { method: 'POST', path: /^(?:\/(?<tenant>[^/:]+))?\/tasks\/(?<id>[^/:]+):cancel$/, call: 'CancelTask' },
  {
    method: 'POST',
    path: /^(?:\/(?<tenant>[^/:]+))?\/tasks\/(?<id>[^/:]+):subscribe$/,
    call: 'SubscribeToTask',
  },
  {
    method: 'GET',
    path: /^(?:\/(?<tenant>[^/:]+))?\/tasks\/(?<id>[^/:]+):subscribe$/,
    call: 'SubscribeToTask',
  },
  { method: 'GET', path: /^(?:\/(?<tenant>[^/:]+))?\/extendedAgentCard$/, call: 'GetExtendedAgentCard' },
]

/**
 * What an HTTP call to an A2A agent asks for (versions 0.3 and 1.0, JSON-RPC and the REST binding).
 *
 * INVARIANT: the tenant of a message is the client's claim; it becomes the claim of the request and must be the tenant that
 * decides.
 *
 * @param rest path behind the pattern of the agent's route, with a leading slash; empty for the agent's own URL
 */
export function readA2aCall(
  server: string,
  {
    method,
    rest,
    query,
    body,
    headers,
  }: {
    readonly method: string
    readonly rest: string
    readonly query: string
    readonly body: Uint8Array | undefined
    readonly headers: Headers
  },
): Result<ProtocolCall, Stop> {
  const version = versionOf(headers, query)
  if (version === undefined) return failed({ code: 'a2a.version', message: REASONS['a2a.version'] })
  if (rest !== '') return fromRest(server, { method, rest, query, body })
  if (method !== 'POST' || body === undefined) return unreadable('a call of A2A is a POST with a body')
  const message = readRpcMessage(body)
  if (!message.ok) return message
  const { kind, params } = message.value
  if (kind === 'response') return unreadable('an A2A client sends no responses')
  const name = version === '0.3' ? own(NAMES_0_3, message.value.method) : message.value.method
  return called(server, name, params)
}

/**
 * INVARIANT: what path, body and query say twice must agree. Arguments in a body that was not seen, or in a query whose types nobody
 * tells, are unknown; a path with escapes, which a server could decode into another method, is none.
 */
function fromRest(
  server: string,
  wire: {
    readonly method: string
    readonly rest: string
    readonly query: string
    readonly body: Uint8Array | undefined
  },
): Result<ProtocolCall, Stop> {
  const { method, rest, body } = wire
  const binding = REST.find((each) => each.method === method && each.path.test(rest))
  if (binding === undefined || rest.includes('%')) return unreadable('the path is none of A2A')
  const parsed = body === undefined ? success({}) : parseJson(body)
  if (!parsed.ok) return failed({ code: parsed.failure.code, message: parsed.failure.message })
  if (!isJsonObject(parsed.value)) return unreadable('the body is not an object')
  const query = [...new URLSearchParams(wire.query)].filter(([name]) => name.toLowerCase() !== 'a2a-version')
  const told = [
    ...Object.entries(binding.path.exec(rest)?.groups ?? {}).filter(([, value]) => value !== undefined),
    ...query.filter(([name]) => name === 'tenant' || name === 'id'),
  ]
  const params: { [name: string]: Json } = { ...parsed.value }
  for (const [name, value] of told) {
    params[name] ??= value
    if (params[name] !== value) return unreadable(`\`${name}\` is told twice, differently`)
  }
  const call = called(server, binding.call, params)
  const isUnseen = (body === undefined && method === 'POST') || query.length > 0
  return call.ok && isUnseen ? success({ ...call.value, argumentsUnknown: true }) : call
}

function called(server: string, name: string | undefined, params: JsonObject): Result<ProtocolCall, Stop> {
  const effect = name === undefined ? undefined : own(METHODS, name)
  if (name === undefined || effect === undefined) return unreadable('the method is none of A2A')
  const { tenant, ...rest } = params
  if (tenant !== undefined && typeof tenant !== 'string') return unreadable('`tenant` is not a text')
  const call = { tool: `${server}/a2a:${name}`, arguments: rest, effect }
  return success(tenant === undefined || tenant === '' ? call : { ...call, tenant })
}

/** `A2A-Version` as header or query parameter; absent means 0.3. Undefined: repeated, contradictory, or not one that is read. */
function versionOf(headers: Headers, query: string): '0.3' | '1.0' | undefined {
  const told = headers
    .filter(([name]) => name.replaceAll('_', '-') === 'a2a-version')
    .map(([, value]) => value.trim())
  const asked = [...new URLSearchParams(query)].filter(([name]) => name.toLowerCase() === 'a2a-version')
  const values = [...told, ...asked.map(([, value]) => value)]
  if (values.length > 1) return undefined
  const [version = '0.3'] = values
  return version === '0.3' || version === '1.0' ? version : undefined
}

function own<T>(record: { readonly [name: string]: T }, name: string): T | undefined {
  return Object.hasOwn(record, name) ? record[name] : undefined
}
