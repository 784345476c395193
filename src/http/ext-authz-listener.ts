import { envoyGrpc } from '#gateways/envoy-grpc/envoy-grpc.ts'
import { envoyHttp } from '#gateways/envoy-http.ts'
import { extMcpRequest, extMcpResponse } from '#gateways/ext-mcp/ext-mcp.ts'
import { createAdmission } from './admission.ts'
import { type CheckParts, createCheck, type NamedDialect } from './check.ts'
import { type KeyedTarget, splitTarget } from './gateway-key.ts'
import { isGrpcCall, replyOn } from './grpc.ts'
import { createGrpcCheck, type NamedGrpcDialect } from './grpc-check.ts'
import { createGrpcHealth } from './grpc-health.ts'
import { createHttp2Side, type HandleStream } from './h2.ts'
import type { Listener } from './port.ts'
import { createHttpListener, type HttpListener } from './server.ts'
import type { Tls } from './tls.ts'
import { countUnauthenticated } from './unauthenticated.ts'

/** How a path with a gateway's key begins (admin/keys.ts). */
const KEYED_PATH = '/g/wgk_'
const ENVOY: NamedDialect = { name: 'envoy-http', dialect: envoyHttp }

const HEALTH = '/grpc.health.v1.Health/'
const GRPC_CHECKS: ReadonlyMap<string, NamedGrpcDialect> = new Map([
  ['/envoy.service.auth.v3.Authorization/Check', { name: 'envoy-grpc', dialect: envoyGrpc }],
  ['/agentgateway.dev.ext_mcp.ExtMcp/CheckRequest', { name: 'ext-mcp', dialect: extMcpRequest }],
  ['/agentgateway.dev.ext_mcp.ExtMcp/CheckResponse', { name: 'ext-mcp', dialect: extMcpResponse }],
])
const SERVICES = new Set([...GRPC_CHECKS.keys()].map((path) => path.slice(1, path.lastIndexOf('/'))))

/** What the Envoy listener is made of. */
export interface ExtAuthzListenerParts extends Omit<CheckParts, 'onUnauthenticated' | 'isDraining'> {
  readonly tls?: Tls | undefined
  /** What the health service of gRPC says while the listener is open. Default: serving. */
  readonly isReady?: () => boolean
  /** Gets the number of requests that proved no gateway, at most every ten seconds. */
  readonly onUnauthenticated: (count: number) => void
}

/**
 * The listener for Envoy, over HTTP/1.1 and gRPC on one port. Over HTTP the gateway's key is in `X-Warder-Gateway-Key`, or else
 * it is the path prefix `/g/KEY`; over gRPC it is in the metadata, or in the message.
 *
 * INVARIANT: every path is a check. Anything else that answers 200 here could be reached by a path that the client chose. Over
 * HTTP/2 there is gRPC and nothing else.
 */
export function createExtAuthzListener(parts: ExtAuthzListenerParts): Listener {
  const { limits, metrics, isReady = () => true } = parts
  const unauthenticated = countUnauthenticated(parts.onUnauthenticated)
  const checkParts = {
    ...parts,
    admission: createAdmission(limits.requestsInFlightMax, (change) => metrics.inFlight(change)),
    onUnauthenticated: () => unauthenticated.add(),
    isDraining: () => listener.isDraining(),
  }
  const check = createCheck(checkParts)
  const grpcCheck = createGrpcCheck(checkParts)
  const health = createGrpcHealth(isReady, SERVICES)
  const handleStream: HandleStream = (stream, headers, rawHeaders, socket) => {
    const path = headers[':path'] ?? ''
    const route = GRPC_CHECKS.get(path)
    // Nobody who asks over plain HTTP takes 415 for an allow (and gRPC says 415 too).
    if (!isGrpcCall(headers)) stream.respond({ ':status': 415 }, { endStream: true })
    else if (route !== undefined) void grpcCheck({ stream, headers, rawHeaders, socket }, route)
    else if (path === `${HEALTH}Check`) void health.check(stream)
    else if (path === `${HEALTH}Watch`) void health.watch(stream)
    else replyOn(stream).status('UNIMPLEMENTED', 'there is no such method')
  }
  const listener: HttpListener = createHttpListener(
    (incoming, outgoing) => {
      const rawUrl = incoming.url ?? ''
      const hasKeyHeader = incoming.headers['x-warder-gateway-key'] !== undefined
      void check(incoming, outgoing, ENVOY, hasKeyHeader ? besideKeyHeader(rawUrl) : splitTarget(rawUrl))
    },
    limits,
    metrics.clientError,
    parts.tls,
    createHttp2Side(handleStream, limits, metrics.clientError),
  )
  return {
    listen: listener.listen,
    async close(graceMilliseconds) {
      health.close()
      await listener.close(graceMilliseconds)
      unauthenticated.close()
    },
  }
}

/**
 * The target of a request whose header holds a key: a path that happens to begin with /g/ is the client's own.
 *
 * INVARIANT: a gateway key in the path too, whatever its state, proves nothing. The header may be the client's, with the key of a
 * gateway of its own: that gateway's policies would decide, and its tenant's log would hold the other gateway's key.
 */
function besideKeyHeader(rawUrl: string): KeyedTarget {
  return { key: rawUrl.startsWith(KEYED_PATH) ? '' : undefined, rawUrl }
}
