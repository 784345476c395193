import { isWholeBody } from '#gateways/envoy-body.ts'
import { readHeaderRequest } from '#gateways/header-request.ts'
import { conflict, headerMap } from '#gateways/headers.ts'
import type { ReadRequest } from '#gateways/wire.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Gateway } from '#model/gateway.ts'
import type { AuthorizationRequest, Malformed, PartyClaim, Proofs } from '#model/request.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { isJsonObject } from '#protocols/strict-json.ts'
import type { CheckAttributes } from './attributes.ts'

const JWT_AUTHN = 'envoy.filters.http.jwt_authn'
/** Envoy's MCP filter has written under both names. */
const MCP_FILTERS = ['mcp_proxy', 'envoy.filters.http.mcp'] as const
const NO_PROOFS: Proofs = {
  dpop: [],
  certificates: [],
  workloadToken: [],
  workloadProof: [],
  transactionToken: [],
}
const ENCODER = new TextEncoder()

/**
 * The request in Envoy's attributes. What the configuration says (`context_extensions`: `tenant`, `tool`) is a claim of the
 * gateway; headers are the client's, as in the dialect over HTTP.
 *
 * INVARIANT: metadata of `jwt_authn` counts only from a gateway that may assert identity, and only where no token came along
 * that we can verify ourselves; what a client says of itself beside it is not added to it. A tool that the MCP filter names has
 * unknown arguments.
 */
export function readAttributes(
  attributes: CheckAttributes,
  gateway: Gateway,
  now: EpochMilliseconds,
): Result<ReadRequest, Malformed> {
  const headers = headerMap(attributes.rawHeaders)
  const { body, size, method, path, host, rawHeaders } = attributes
  if (!isWholeBody(headers) || (body.length > 0 && size !== BigInt(body.length)))
    return failed({ code: 'request.too_large', message: 'the gateway sent only a part of the body' })
  const wire = { method, rawUrl: path, rawHeaders, body, peer: '' }
  const read = readHeaderRequest('envoy-grpc', wire, headers, { method, rawTarget: path, host }, now)
  if (!read.ok) return read
  const mcp = messageOf(attributes)
  if (mcp === 'two') return failed(conflict('two filters name a message of MCP'))
  if (read.value.requests.some((request) => isNamedTwice(request, attributes, gateway)))
    return failed(conflict('identity headers came beside a token that the gateway has verified'))
  const requests = read.value.requests.map((request) => ({
    ...request,
    ...withParties(request, attributes, gateway),
    ...withCertificate(request, attributes),
    ...(mcp !== undefined && body.length === 0 && withMessage(request, mcp)),
    tenant: attributes.extensions.get('tenant'),
    tool: attributes.extensions.get('tool'),
  }))
  return success({ ...read.value, requests })
}

function withCertificate(
  { proofs }: AuthorizationRequest,
  { certificate }: CheckAttributes,
): Partial<AuthorizationRequest> {
  if (certificate === undefined) return {}
  const known = proofs ?? NO_PROOFS
  return {
    proofs: { ...known, certificates: [...known.certificates, { source: 'envoy', value: certificate }] },
  }
}

/** The claims of a token that Envoy verified, where they count. */
function payloadOf(
  { credentials }: AuthorizationRequest,
  { metadata }: CheckAttributes,
  gateway: Gateway,
): JsonObject | undefined {
  if (gateway.asserts?.has('identity') !== true || credentials.length > 0) return undefined
  return objectOf(metadata.get(JWT_AUTHN)?.['jwt_payload'])
}

/** Whether a client could add a user to the agent that its token names: Envoy passes every header on. */
function isNamedTwice(request: AuthorizationRequest, attributes: CheckAttributes, gateway: Gateway): boolean {
  return request.identityHeaders.length > 0 && payloadOf(request, attributes, gateway) !== undefined
}

/** The parties of a token that Envoy verified: `act.sub`, else the client, acts for `sub`. */
function withParties(
  request: AuthorizationRequest,
  attributes: CheckAttributes,
  gateway: Gateway,
): Partial<AuthorizationRequest> {
  const payload = payloadOf(request, attributes, gateway)
  if (payload === undefined) return {}
  const subject = textOf(payload['sub'])
  const agent =
    textOf(objectOf(payload['act'])?.['sub']) ?? textOf(payload['client_id']) ?? textOf(payload['azp'])
  return {
    agent: claim(agent ?? subject),
    user: agent === undefined || agent === subject ? undefined : claim(subject),
  }
}

/** What the MCP filter read of the body, or `two` when two filters say something. */
function messageOf({ metadata }: CheckAttributes): JsonObject | 'two' | undefined {
  const found = MCP_FILTERS.map((name) => metadata.get(name)).filter((each) => each !== undefined)
  if (found.length > 1) return 'two'
  return found[0] !== undefined && typeof found[0]['method'] === 'string' ? found[0] : undefined
}

/** The message as its reader expects it; the filter keeps only what it is configured to keep of the parameters. */
function withMessage(
  { original }: AuthorizationRequest,
  { method, params }: JsonObject,
): Partial<AuthorizationRequest> {
  const message = {
    jsonrpc: '2.0',
    ...(!String(method).startsWith('notifications/') && { id: 0 }),
    method,
    params: objectOf(params) ?? {},
  }
  const body = ENCODER.encode(JSON.stringify(message))
  return { original: { headers: original?.headers ?? [], body }, argumentsUnknown: true }
}

function claim(id: string | undefined): PartyClaim | undefined {
  return id === undefined ? undefined : { id, properties: {} }
}

function textOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined
}

function objectOf(value: Json | undefined): JsonObject | undefined {
  return isJsonObject(value) ? value : undefined
}
