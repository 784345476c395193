import { native } from '#gateways/native.ts'
import type { GatewayDialect, ReadRequest } from '#gateways/wire.ts'
import type { Result } from '#lib/result.ts'
import type { Decision } from '#model/decision.ts'
import type { Gateway } from '#model/gateway.ts'
import type { GatewayId, TenantId } from '#model/ids.ts'
import type { AuthorizationRequest, Malformed } from '#model/request.ts'
import type { Json } from '#model/value.ts'
import { NOON, type World } from './world.ts'

const ANYONE: Gateway = {
  id: 'g' as GatewayId,
  name: 'g',
  tenant: 'acme' as TenantId,
  asserts: undefined,
  userOnly: false,
  obligations: undefined,
}

/** Reads a body as `dialect` would from the wire. */
export function readWith(
  dialect: GatewayDialect,
  rawUrl: string,
  body: Json | undefined,
  headers: readonly string[] = ['content-type', 'application/json'],
): Result<ReadRequest, Malformed> {
  const bytes = new TextEncoder().encode(body === undefined ? '' : JSON.stringify(body))
  return dialect.read({ method: 'POST', rawUrl, rawHeaders: headers, body: bytes, peer: '' }, ANYONE, NOON)
}

/** The one request of a native body; throws when it can't be read. */
export function nativeRequest(body: Json): AuthorizationRequest {
  const read = readWith(native, '/v1/decide', body)
  if (!read.ok) throw new Error(read.failure.message)
  const request = read.value.requests[0]
  if (request === undefined) throw new Error('nothing was read')
  return request
}

/** Asks a world in the native dialect. */
export async function askWorld(world: World, body: Json): Promise<Decision> {
  return await world.decider.decide(nativeRequest(body), world.gateway)
}
