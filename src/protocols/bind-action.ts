import { failed, type Result, success } from '#lib/result.ts'
import type { Stop } from '#model/identity.ts'
import { REASONS } from '#model/reasons.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { TenantState } from '#model/state.ts'
import { readA2aCall } from './a2a.ts'
import { unreadable } from './json-rpc.ts'
import { type ProtocolCall, readMcpCall } from './mcp.ts'

/**
 * The request with the tool and the arguments that its message names, where its route is that of a registered MCP server or
 * A2A agent; any other request as it is.
 *
 * INVARIANT: on such a route nothing passes that could not be read as exactly one message of the protocol.
 */
export function bindAction(
  request: AuthorizationRequest,
  { id, registry }: TenantState,
): Result<AuthorizationRequest, Stop> {
  const { route } = request
  if (route === undefined || request.tool !== undefined) return success(request)
  const found = registry.matchServer(route.path)
  if (found === undefined) return success(request)
  // Ids with a slash would make the tools of one server look like those of another.
  if (found.server === '' || found.server.includes('/'))
    return unreadable('its endpoint does not belong to one server')
  const { body, headers = [] } = request.original ?? {}
  const wire = { method: route.method, body, headers }
  const call =
    found.protocol === 'mcp'
      ? readMcpCall(found.server, wire)
      : readA2aCall(found.server, { ...wire, rest: found.rest, query: route.query ?? '' })
  if (!call.ok) return call
  return bound(found.protocol === 'mcp' ? { ...request, protocol: 'mcp' } : request, call.value, id)
}

function bound(
  request: AuthorizationRequest,
  call: ProtocolCall,
  tenant: TenantState['id'],
): Result<AuthorizationRequest, Stop> {
  if (call.tenant !== undefined && call.tenant !== tenant)
    return failed({ code: 'tenant.unknown', message: REASONS['tenant.unknown'] })
  return success({
    ...request,
    tool: call.tool,
    arguments: call.arguments,
    ...(call.effect !== undefined && { protocolEffect: call.effect }),
    ...(call.argumentsUnknown === true && { argumentsUnknown: true }),
  })
}
