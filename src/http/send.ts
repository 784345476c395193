import type { IncomingMessage, ServerResponse } from 'node:http'
import { requestIdOf } from '#gateways/headers.ts'
import type { WireResponse } from '#gateways/wire.ts'

/** Header with the ids of what was decided, in the order of the items. */
export const DECISION_ID_HEADER = 'x-decision-id'

/**
 * Writes a whole answer. `X-Request-ID` is echoed on every one; nothing may be cached on the way.
 *
 * @throws when a header value is not a legal one
 */
export function send(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { status, headers, body }: WireResponse,
  decisionIds: readonly string[] = [],
): void {
  const flat: string[] = []
  let hasCacheControl = false
  for (const [name, value] of headers) {
    flat.push(name, value)
    if (name === 'cache-control') hasCacheControl = true
  }
  if (!hasCacheControl) flat.push('cache-control', 'no-store')
  const requestId = requestIdOf(incoming.rawHeaders)
  if (requestId !== undefined) flat.push('x-request-id', requestId)
  if (decisionIds.length > 0) flat.push(DECISION_ID_HEADER, decisionIds.join(', '))
  flat.push('content-length', String(Buffer.byteLength(body)))
  // The rest of a body that nobody reads is not worth receiving.
  if (hasUnreadBody(incoming)) outgoing.shouldKeepAlive = false
  outgoing.writeHead(status, flat)
  outgoing.end(body)
}

function hasUnreadBody({ complete, headers }: IncomingMessage): boolean {
  if (complete) return false
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}
