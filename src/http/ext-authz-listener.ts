import { envoyHttp } from '#gateways/envoy-http.ts'
import { type CheckParts, createCheck, type NamedDialect } from './check.ts'
import { type KeyedTarget, splitTarget } from './gateway-key.ts'
import type { Listener } from './port.ts'
import { createHttpListener, type HttpListener } from './server.ts'
import type { Tls } from './tls.ts'
import { countUnauthenticated } from './unauthenticated.ts'

/** How a path with a gateway's key begins (admin/keys.ts). */
const KEYED_PATH = '/g/wgk_'
const ENVOY: NamedDialect = { name: 'envoy-http', dialect: envoyHttp }

/** What the Envoy listener is made of. */
export interface ExtAuthzListenerParts extends Omit<CheckParts, 'onUnauthenticated' | 'isDraining'> {
  readonly tls?: Tls | undefined
  /** Gets the number of requests that proved no gateway, at most every ten seconds. */
  readonly onUnauthenticated: (count: number) => void
}

/**
 * The catch-all listener for Envoy. The gateway's key is in `X-Warder-Gateway-Key`, or else it is the path prefix `/g/KEY`.
 *
 * INVARIANT: every path is a check. Anything else that answers 200 here could be reached by a path that the client chose.
 */
export function createExtAuthzListener(parts: ExtAuthzListenerParts): Listener {
  const unauthenticated = countUnauthenticated(parts.onUnauthenticated)
  const check = createCheck({
    ...parts,
    onUnauthenticated: () => unauthenticated.add(),
    isDraining: () => listener.isDraining(),
  })
  const listener: HttpListener = createHttpListener(
    (incoming, outgoing) => {
      const rawUrl = incoming.url ?? ''
      const hasKeyHeader = incoming.headers['x-warder-gateway-key'] !== undefined
      void check(incoming, outgoing, ENVOY, hasKeyHeader ? besideKeyHeader(rawUrl) : splitTarget(rawUrl))
    },
    parts.limits,
    parts.metrics.clientError,
    parts.tls,
  )
  return {
    listen: listener.listen,
    async close(graceMilliseconds) {
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
