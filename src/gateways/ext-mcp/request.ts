import {
  checkHeaders,
  conflict,
  credentialsOf,
  headerMap,
  identityHeadersOf,
  requestIdOf,
  traceparentOf,
} from '#gateways/headers.ts'
import { type McpList, offeredCall, readMcpList, reduceList, TOOL_LIST } from '#gateways/mcp-list.ts'
import { proofsOf } from '#gateways/proof-headers.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import { type AuthorizationRequest, type Candidate, type Malformed, NOTHING_READ } from '#model/request.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { mcpCall } from '#protocols/mcp.ts'
import { isJsonObject } from '#protocols/strict-json.ts'
import type { McpMessage } from './message.ts'

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
 * The question of an answer. Of `tools/list`: which of its tools could be called, in one pass. Of `tools/call`: the tool that the
 * gateway's configuration names, because the answer does not say it.
 */
export function askAboutResult(
  message: McpMessage,
  now: EpochMilliseconds,
): Result<readonly AuthorizationRequest[], Malformed> {
  const { services, method, context } = message
  if (method === 'tools/list') return askAboutList(message, now)
  if (method !== 'tools/call') {
    const asked = services.map((service) => ({ service, method, params: {} }))
    return requestsOf(message, asked, now)
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

function askAboutList(
  message: McpMessage,
  now: EpochMilliseconds,
): Result<readonly AuthorizationRequest[], Malformed> {
  const list = readToolList(message)
  if (!list.ok) return list
  const base = baseOf(message, now)
  if (!base.ok) return base
  const [only, ...others] = message.services
  const tool = others.length === 0 ? { tool: `${only}/mcp:tools/list` } : {}
  const candidates = [...listingsOf(message), ...list.value.candidates]
  return success([{ ...base.value, ...tool, protocolEffect: 'read', candidates }])
}

/** The tools of a list that belong to one of the backends. */
export function readToolList({ services, content }: McpMessage): Result<McpList, Malformed> {
  return readMcpList(content, TOOL_LIST.member, (entry) => {
    const found = unmuxed(services, isJsonObject(entry) ? entry['name'] : undefined)
    return found && offeredCall(found.service, TOOL_LIST, found.name)
  })
}

/**
 * The list without the tools that may not be called, and without those of a backend that may not be listed.
 *
 * @param permitted positions among the candidates of the question: one for each backend, then one for each tool
 */
export function reduceToolList(
  { services }: McpMessage,
  list: McpList,
  permitted: ReadonlySet<number>,
): JsonObject {
  const isListed = (tool: string | undefined): boolean =>
    services.some((service, position) => permitted.has(position) && tool?.startsWith(`${service}/`) === true)
  const keeps = (position: number): boolean =>
    permitted.has(services.length + position) && isListed(list.candidates[position]?.tool)
  return reduceList(list, keeps).result
}

/** To list each backend is a call of its own, which may be denied where calling its tools is not. */
function listingsOf({ services }: McpMessage): readonly Candidate[] {
  return services.map((service) => ({
    tool: `${service}/mcp:tools/list`,
    arguments: {},
    protocolEffect: 'read',
  }))
}

/** A list of several backends has the backend before each name, and `_`. */
function unmuxed(
  services: readonly string[],
  name: Json | undefined,
): { readonly service: string; readonly name: string } | undefined {
  if (typeof name !== 'string') return undefined
  const [only] = services
  if (services.length === 1 && only !== undefined) return { service: only, name }
  const service = services
    .filter((each) => name.startsWith(`${each}_`))
    .toSorted((a, b) => b.length - a.length)[0]
  return service === undefined ? undefined : { service, name: name.slice(service.length + 1) }
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
    ...NOTHING_READ,
    dialect: 'ext-mcp',
    protocol: 'mcp',
    now,
    requestId: requestIdOf(raw),
    traceparent: traceparentOf(raw),
    tenant: typeof tenant === 'string' ? tenant : undefined,
    credentials: credentials.value,
    ...(proofs.value !== undefined && { proofs: proofs.value }),
    identityHeaders: identityHeadersOf(headers),
  })
}
