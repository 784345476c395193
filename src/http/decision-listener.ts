import type { IncomingMessage, ServerResponse } from 'node:http'
import { authzen } from '#gateways/authzen.ts'
import { authzenMetadata } from '#gateways/authzen-metadata.ts'
import { authzenSearch } from '#gateways/authzen-search.ts'
import { dockerMcpAfter, dockerMcpBefore } from '#gateways/docker-mcp.ts'
import { explain } from '#gateways/explain.ts'
import { forwardAuth } from '#gateways/forward-auth.ts'
import { mcpFilter } from '#gateways/mcp-filter.ts'
import { native } from '#gateways/native.ts'
import { opa } from '#gateways/opa/opa.ts'
import type { WireResponse } from '#gateways/wire.ts'
import type { RevocationEvents } from '#revocation/events.ts'
import type { ReceiveSet } from '#signals/receive.ts'
import type { Transmitter } from '#signals/transmitter.ts'
import { type CheckParts, createCheck, httpError, type NamedDialect } from './check.ts'
import { splitTarget } from './gateway-key.ts'
import { openApiDocument } from './openapi.ts'
import type { Listener } from './port.ts'
import { createRevocationStreams, REVOCATION_STREAM } from './revocation-stream.ts'
import { send } from './send.ts'
import { createHttpListener, type HttpListener } from './server.ts'
import { createAnswerPush, SIGNAL_KEYS, SIGNALS_PREFIX } from './signals.ts'
import { createAnswerSsf } from './ssf.ts'
import type { Tls } from './tls.ts'
import { countUnauthenticated } from './unauthenticated.ts'

const NATIVE: NamedDialect = { name: 'native', dialect: native }
const EXPLAIN: NamedDialect = { name: 'native', dialect: explain }
const MCP_FILTER: NamedDialect = { name: 'native', dialect: mcpFilter }
const FORWARD_AUTH: NamedDialect = { name: 'forward-auth', dialect: forwardAuth }
const OPA: NamedDialect = { name: 'opa', dialect: opa, keySource: 'bearer' }
const AUTHZEN: NamedDialect = { name: 'authzen', dialect: authzen }
const AUTHZEN_SEARCH: NamedDialect = { name: 'authzen', dialect: authzenSearch }

// Matched against the raw path, byte for byte: nothing is decoded, so nothing can be reached by another spelling.
const CHECKS: ReadonlyMap<string, NamedDialect> = new Map([
  ['/v1/decide', NATIVE],
  ['/v1/decide/batch', NATIVE],
  ['/v1/explain', EXPLAIN],
  ['/v1/mcp/filter', MCP_FILTER],
  ['/access/v1/evaluation', AUTHZEN],
  ['/access/v1/evaluations', AUTHZEN],
  ['/access/v1/search/subject', AUTHZEN_SEARCH],
  ['/access/v1/search/resource', AUTHZEN_SEARCH],
  ['/access/v1/search/action', AUTHZEN_SEARCH],
  ['/forward-auth', FORWARD_AUTH],
  ['/docker/before', { name: 'docker-mcp', dialect: dockerMcpBefore, keySource: 'bearer' }],
  ['/docker/after', { name: 'docker-mcp', dialect: dockerMcpAfter, keySource: 'bearer' }],
])

/** The Data API of OPA: the policy behind the prefix is the gateway's own word. `/` asks where a key precedes it. */
const OPA_PATH = /^\/v[01]\/data\/./

function routeOf(path: string, hasPathKey: boolean): NamedDialect | undefined {
  return CHECKS.get(path) ?? (OPA_PATH.test(path) || (hasPathKey && path === '/') ? OPA : undefined)
}

/** What the decision listener is made of. */
export interface DecisionListenerParts extends Omit<CheckParts, 'onUnauthenticated' | 'isDraining'> {
  /** URL under which gateways reach this listener; without one there is no AuthZEN metadata. */
  readonly publicUrl?: string
  readonly tls?: Tls | undefined
  /** Undefined: there is no stream of revocations. */
  readonly events?: RevocationEvents
  /** Undefined: no security events are received. */
  readonly receiveSet?: ReceiveSet
  /** The keys that security events of ours are signed with. */
  readonly signalKeys?: () => Promise<object>
  /** Undefined: receivers of our events neither fetch nor manage their streams here. */
  readonly transmitter?: Transmitter
  /** Gets the number of requests that proved no gateway, at most every ten seconds. */
  readonly onUnauthenticated: (count: number) => void
}

/** The listener for decisions: native, AuthZEN, forward-auth, metadata, OpenAPI. */
export function createDecisionListener(parts: DecisionListenerParts): Listener {
  const unauthenticated = countUnauthenticated(parts.onUnauthenticated)
  const check = createCheck({
    ...parts,
    onUnauthenticated: () => unauthenticated.add(),
    isDraining: () => listener.isDraining(),
  })
  const streams =
    parts.events &&
    createRevocationStreams(parts.events, parts.findGateway, () => {
      parts.metrics.unauthenticated()
      unauthenticated.add()
    })
  const answerSignals = createAnswerSignals(parts)
  const ssf =
    parts.transmitter &&
    createAnswerSsf(parts.transmitter, {
      onUnauthenticated: () => {
        parts.metrics.unauthenticated()
        unauthenticated.add()
      },
      onFault: () => parts.metrics.fault('native'),
    })
  const documents = documentsOf(parts.publicUrl)
  const listener: HttpListener = createHttpListener(
    (incoming, outgoing) => {
      const target = splitTarget(incoming.url ?? '')
      const path = target.rawUrl.split('?', 1)[0] ?? ''
      const route = routeOf(path, target.key !== undefined)
      if (route !== undefined) void check(incoming, outgoing, route, target)
      else if (path === REVOCATION_STREAM && streams !== undefined) streams.open(incoming, outgoing, target)
      else if (target.key !== undefined) answerDocument(incoming, outgoing, undefined)
      else if (!ssf?.answer(incoming, outgoing, path) && !answerSignals(incoming, outgoing, path))
        answerDocument(incoming, outgoing, documents.get(path))
    },
    parts.limits,
    parts.metrics.clientError,
    parts.tls,
  )
  return {
    listen: listener.listen,
    async close(graceMilliseconds) {
      streams?.close()
      ssf?.close()
      await listener.close(graceMilliseconds)
      unauthenticated.close()
    },
  }
}

/** Answers what concerns signals; false for any other path. */
function createAnswerSignals({
  receiveSet,
  signalKeys,
}: Pick<DecisionListenerParts, 'receiveSet' | 'signalKeys'>): (
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  path: string,
) => boolean {
  const push = receiveSet && createAnswerPush(receiveSet)
  return (incoming, outgoing, path) => {
    if (push !== undefined && path.startsWith(SIGNALS_PREFIX)) void push(incoming, outgoing, path)
    else if (signalKeys !== undefined && path === SIGNAL_KEYS)
      void signalKeys()
        .then(document, () => httpError('http.overloaded', 'native'))
        .then((found) => answerDocument(incoming, outgoing, found))
    else return false
    return true
  }
}

function documentsOf(publicUrl: string | undefined): ReadonlyMap<string, WireResponse> {
  const documents = new Map([['/openapi.json', document(openApiDocument())]])
  if (publicUrl !== undefined) {
    const metadata = authzenMetadata(publicUrl)
    documents.set(metadata.path, document(metadata.document))
  }
  return documents
}

function document(value: unknown): WireResponse {
  const headers = [
    ['content-type', 'application/json'],
    ['cache-control', 'public, max-age=3600'],
  ] as const
  return { status: 200, headers, body: JSON.stringify(value) }
}

function answerDocument(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  found: WireResponse | undefined,
): void {
  if (found === undefined) send(incoming, outgoing, httpError('http.not_found', 'native'))
  else if (incoming.method === 'GET' || incoming.method === 'HEAD') send(incoming, outgoing, found)
  else send(incoming, outgoing, httpError('http.method_not_allowed', 'native'))
}
