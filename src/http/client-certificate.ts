import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'

// One handshake, many requests: the certificate of a connection never changes.
const KNOWN = new WeakMap<TLSSocket, string | undefined>()

/**
 * SHA-256 (lower-case hex) of the certificate that the client proved in the handshake.
 *
 * INVARIANT: undefined unless one of the listener's client authorities issued it; what a header says counts for nothing.
 */
export function clientCertificate({ socket }: Pick<IncomingMessage, 'socket'>): string | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined
  if (!KNOWN.has(socket)) {
    const { fingerprint256 } = socket.getPeerX509Certificate() ?? {}
    KNOWN.set(socket, fingerprint256?.replaceAll(':', '').toLowerCase())
  }
  return KNOWN.get(socket)
}
