import {
  checkHeaders,
  conflict,
  credentialsOf,
  headerMap,
  identityHeadersOf,
  requestIdOf,
  traceparentOf,
} from '#gateways/headers.ts'
import { proofsOf } from '#gateways/proof-headers.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { AuthorizationRequest, Malformed } from '#model/request.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { mcpCall } from '#protocols/mcp.ts'
import { isJsonObject } from '#protocols/strict-json.ts'
import type { McpMessage } from './message.ts'

const LISTED_TOOLS_MAX = 256

/** One question: the method on one backend, or a tool. */
interface Asked {
  readonly service: string
  readonly method: string
  readonly params: JsonObject
  readonly argumentsUnknown?: true
}

/** The questions of a call: its method and parameters, on each backend that it goes to. */
export function askAboutCall(
  message: McpMessage,
  now: EpochMilliseconds,
): Result<readonly AuthorizationRequest[], Malformed> {
  const { services, method, content: params } = message
  return requestsOf(
    message,
    services.map((service) => ({ service, method, params })),
    now,
  )
}

/**
 * The questions of an answer. Of `tools/list`: the list, then each tool in it. Of `tools/call`: the tool that the gateway's
 * configuration names, because the answer does not say it.
 */
export function askAboutResult(
  message: McpMessage,
  now: EpochMilliseconds,
): Result<readonly AuthorizationRequest[], Malformed> {
  const { services, method, context } = message
  if (method !== 'tools/call') {
    const tools = method === 'tools/list' ? listedTools(message) : []
    if (tools.length > LISTED_TOOLS_MAX)
      return failed({ code: 'request.batch_too_large', message: `a list may have ${LISTED_TOOLS_MAX} tools` })
    const lists = services.map((service) => ({ service, method, params: {} }))
    return requestsOf(message, [...lists, ...tools.flatMap(({ asked }) => asked ?? [])], now)
  }
  const [service = ''] = services
  const { tool: name, arguments: input } = context
  if (typeof name !== 'string')
    return failed({
      code: 'request.missing_field',
      message: 'the metadata must name the `tool` of the answer',
    })
  const params = { name, ...(input !== undefined && { arguments: input }) }
  return requestsOf(
    message,
    [{ service, method, params, ...(input === undefined && { argumentsUnknown: true }) }],
    now,
  )
}

/** Each tool of a list as it stands there, with its question; undefined where it belongs to no backend. */
export function listedTools({ services, content }: McpMessage): readonly ListedTool[] {
  const { tools } = content
  if (!isList(tools)) return []
  return tools.map((tool) => {
    const name = isJsonObject(tool) ? tool['name'] : undefined
    const found = typeof name === 'string' ? unmuxed(services, name) : undefined
    return { tool, asked: found && { ...found, method: 'tools/call', argumentsUnknown: true } }
  })
}

interface ListedTool {
  readonly tool: Json
  readonly asked: Asked | undefined
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value)
}

/** A list of several backends has the backend before each name, and `_`. */
function unmuxed(services: readonly string[], name: string): Pick<Asked, 'service' | 'params'> | undefined {
  const [only] = services
  if (services.length === 1 && only !== undefined) return { service: only, params: { name } }
  const service = services
    .filter((each) => name.startsWith(`${each}_`))
    .toSorted((a, b) => b.length - a.length)[0]
  return service === undefined ? undefined : { service, params: { name: name.slice(service.length + 1) } }
}

function requestsOf(
  message: McpMessage,
  asked: readonly Asked[],
  now: EpochMilliseconds,
): Result<readonly AuthorizationRequest[], Malformed> {
  const base = baseOf(message, now)
  if (!base.ok) return base
  const requests: AuthorizationRequest[] = []
  for (const { service, method, params, argumentsUnknown } of asked) {
    const call = mcpCall(service, method, params)
    if (!call.ok) return failed({ code: 'request.wrong_type', message: call.failure.message })
    requests.push({
      ...base.value,
      tool: call.value.tool,
      arguments: call.value.arguments,
      ...(call.value.effect !== undefined && { protocolEffect: call.value.effect }),
      ...(argumentsUnknown === true && { argumentsUnknown }),
    })
  }
  return success(requests)
}

/** Who asks: from the client's headers, and where none come from `authorization` and `tenant` of the gateway's metadata. */
function baseOf(
  { rawHeaders, context }: McpMessage,
  now: EpochMilliseconds,
): Result<AuthorizationRequest, Malformed> {
  const { authorization, tenant } = context
  const sent = headerMap(rawHeaders)
  if (
    typeof authorization === 'string' &&
    (sent.get('authorization') ?? [authorization])[0] !== authorization
  )
    return failed(conflict('headers and metadata carry different credentials'))
  const raw =
    typeof authorization === 'string' && !sent.has('authorization')
      ? [...rawHeaders, 'authorization', authorization]
      : rawHeaders
  const headers = headerMap(raw)
  const objection = checkHeaders(headers)
  if (objection !== undefined) return failed(objection)
  const credentials = credentialsOf(headers)
  if (!credentials.ok) return credentials
  const proofs = proofsOf(headers, raw)
  if (!proofs.ok) return proofs
  return success({
    dialect: 'ext-mcp',
    now,
    requestId: requestIdOf(raw),
    traceparent: traceparentOf(raw),
    tenant: typeof tenant === 'string' ? tenant : undefined,
    agent: undefined,
    user: undefined,
    subject: undefined,
    credentials: credentials.value,
    ...(proofs.value !== undefined && { proofs: proofs.value }),
    identityHeaders: identityHeadersOf(headers),
    tool: undefined,
    route: undefined,
    action: undefined,
    resource: undefined,
    arguments: undefined,
    session: undefined,
    risk: undefined,
    context: {},
    declared: {},
    supportedObligations: undefined,
  })
}
