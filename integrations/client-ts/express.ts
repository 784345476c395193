import type { IncomingMessage, ServerResponse } from 'node:http'
import type { CallAnswer, Warder } from './client.ts'
import { UNAVAILABLE } from './http-call.ts'

/** What was decided about a request that runs. */
const DECIDED = new WeakMap<IncomingMessage, Extract<CallAnswer, { allowed: true }>>()

/** Who calls, as Warder verified it; undefined before the middleware has run. */
export function decidedOf(request: IncomingMessage): Extract<CallAnswer, { allowed: true }> | undefined {
  return DECIDED.get(request)
}

/**
 * Middleware for Express, Connect and plain `node:http`: runs what comes behind it only for calls that Warder allows. With
 * `warder.follow()` an answer that is still being written is cut as soon as its allow may no longer hold.
 *
 * @param externalUrl scheme and host under which clients know this service, when a proxy stands before it
 */
export function warderForExpress(warder: Warder, externalUrl?: string) {
  const external = externalUrl === undefined ? undefined : new URL(externalUrl)
  return (request: IncomingMessage, response: ServerResponse, next: () => void): void => {
    void answer(warder, external, request, response).then(
      (isAllowed) => isAllowed && next(),
      () => response.destroy(),
    )
  }
}

/** Gives whether the request may run; it is answered where it may not. */
async function answer(
  warder: Warder,
  external: URL | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<boolean> {
  const { signal, release } = warder.hold()
  response.once('close', release)
  const isEncrypted = 'encrypted' in request.socket && request.socket.encrypted === true
  const decided = await warder.check({
    method: request.method ?? '',
    target: targetOf(request),
    host: external?.host ?? request.headers.host,
    scheme: external?.protocol === 'https:' || (external === undefined && isEncrypted) ? 'https' : 'http',
    headers: pairsOf(request.rawHeaders),
  })
  if (!decided.allowed || signal.aborted) {
    const { status, headers, body } = decided.allowed ? UNAVAILABLE : decided
    response.writeHead(status, [...headers.flat(), 'cache-control', 'no-store'])
    response.end(body)
    return false
  }
  apply(request, decided.headers)
  DECIDED.set(request, decided)
  signal.addEventListener('abort', () => response.destroy(), { once: true })
  return true
}

/** A router may have cut the mount path off `url`; Warder is asked about what the client sent. */
function targetOf(request: IncomingMessage): string {
  const original = 'originalUrl' in request ? request.originalUrl : undefined
  return typeof original === 'string' ? original : (request.url ?? '')
}

/** Every reader of the headers sees the same: Node.js keeps them in two forms. */
function apply(request: IncomingMessage, changes: ReadonlyMap<string, string | undefined>): void {
  const kept = pairsOf(request.rawHeaders).filter(([name]) => !changes.has(name.toLowerCase()))
  for (const [name, value] of changes) {
    if (value === undefined) delete request.headers[name]
    else {
      request.headers[name] = value
      kept.push([name, value])
    }
  }
  request.rawHeaders = kept.flat()
}

function pairsOf(rawHeaders: readonly string[]): [string, string][] {
  const pairs: [string, string][] = []
  for (let i = 0; i + 1 < rawHeaders.length; i += 2)
    pairs.push([rawHeaders[i] ?? '', rawHeaders[i + 1] ?? ''])
  return pairs
}
