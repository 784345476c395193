import { envoyHttp } from '#gateways/envoy-http.ts'
import { type CheckParts, createCheck, type NamedDialect } from './check.ts'
import { splitTarget } from './gateway-key.ts'
import type { Listener } from './port.ts'
import { createHttpListener, type HttpListener } from './server.ts'
import { countUnauthenticated } from './unauthenticated.ts'

const ENVOY: NamedDialect = { name: 'envoy-http', dialect: envoyHttp }

/** What the Envoy listener is made of. */
export interface ExtAuthzListenerParts extends Omit<CheckParts, 'onUnauthenticated' | 'isDraining'> {
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
      // With the key in a header a path that happens to begin with /g/ is the client's own.
      const hasKeyHeader = incoming.headers['x-warder-gateway-key'] !== undefined
      const target = hasKeyHeader ? { key: undefined, rawUrl } : splitTarget(rawUrl)
      void check(incoming, outgoing, ENVOY, target)
    },
    parts.limits,
    parts.metrics.clientError,
  )
  return {
    listen: listener.listen,
    async close(graceMilliseconds) {
      await listener.close(graceMilliseconds)
      unauthenticated.close()
    },
  }
}
