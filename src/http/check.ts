import type { IncomingMessage, ServerResponse } from 'node:http'
import { requestIdOf } from '#gateways/headers.ts'
import type { GatewayDialect, ReadRequest, WireRequest, WireResponse } from '#gateways/wire.ts'
import type { Clock } from '#lib/clock.ts'
import { type Result, success } from '#lib/result.ts'
import type { Decider } from '#model/decider.ts'
import type { Decision } from '#model/decision.ts'
import type { Gateway } from '#model/gateway.ts'
import { type AuthorizationRequest, type Dialect, isJsonDialect, type Malformed } from '#model/request.ts'
import { type Admission, createAdmission } from './admission.ts'
import { answerBatch } from './answer-batch.ts'
import { clientCertificate } from './client-certificate.ts'
import {
  type FindGateway,
  findPresented,
  type KeyedTarget,
  type KeySource,
  presentedBy,
} from './gateway-key.ts'
import { HTTP_ERRORS, type HttpErrorCode } from './http-error.ts'
import { type Attempt, createIdempotency, type Idempotency, repeatable } from './idempotency.ts'
import type { ListenerLimits, ListenerMetrics } from './port.ts'
import { readBody } from './read-body.ts'
import { send } from './send.ts'

/** What a listener needs to answer checks. */
export interface CheckParts {
  readonly decider: Decider
  readonly findGateway: FindGateway
  readonly clock: Clock
  readonly metrics: ListenerMetrics
  readonly limits: ListenerLimits
  /** Called for each request that proves no gateway. */
  readonly onUnauthenticated: () => void
  /** Whether the listener is stopping: then each answer is the last on its connection. */
  readonly isDraining: () => boolean
  /** Room that is shared with other roads into the same listener. Default: its own. */
  readonly admission?: Admission
}

/** Searches that are under way at once, in one process; one gateway has half of them. Each costs as much as many decisions. */
const SEARCHES_MAX = 4

/** A dialect with its name. */
export interface NamedDialect {
  readonly name: Dialect
  readonly dialect: GatewayDialect
  /** Where the gateway's key stands; `bearer` also means that only POST asks. Default: `bearer` in the JSON dialects. */
  readonly keySource?: KeySource
}

/** Answers one check. Never rejects. */
export type Check = (
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  route: NamedDialect,
  target: KeyedTarget,
) => Promise<void>

/**
 * The road of every check through HTTP: gateway key, method, room, body, dialect, decision, answer.
 *
 * INVARIANT: whatever goes wrong ends in `refuse` of the dialect or in an error that no gateway reads as allow.
 */
export function createCheck(parts: CheckParts): Check {
  const { metrics, limits } = parts
  const { admission = createAdmission(limits.requestsInFlightMax, (change) => metrics.inFlight(change)) } =
    parts
  const idempotency = createIdempotency()
  const searches = createAdmission(SEARCHES_MAX)
  return async (incoming, outgoing, route, target) => {
    const source = route.keySource ?? (isJsonDialect(route.name) ? 'bearer' : 'header')
    const presented = presentedBy(target.key, incoming.rawHeaders, source, clientCertificate(incoming))
    const authenticate = (): Gateway | undefined => {
      const found = presented && findPresented(presented, parts.findGateway)
      if (found !== undefined) return found
      metrics.unauthenticated()
      parts.onUnauthenticated()
      send(incoming, outgoing, httpError('http.unauthenticated', route.name))
      return undefined
    }
    const asking = authenticate()
    if (asking === undefined) return
    if (source === 'bearer' && incoming.method !== 'POST')
      return send(incoming, outgoing, httpError('http.method_not_allowed', route.name))
    const leave = admission.enter(asking.id)
    if (leave === undefined) {
      metrics.overloaded(route.name)
      return send(incoming, outgoing, httpError('http.overloaded', route.name))
    }
    try {
      await answerCheck(
        { ...parts, idempotency, searches },
        incoming,
        outgoing,
        route,
        target.rawUrl,
        authenticate,
      )
    } catch {
      metrics.fault(route.name)
      answerFault(incoming, outgoing, route, target.rawUrl)
    } finally {
      leave()
    }
  }
}

/** What answers a check, with the room that is left for searches. */
interface WholeParts extends CheckParts {
  readonly searches: Admission
}

async function answerCheck(
  parts: WholeParts & { readonly idempotency: Idempotency },
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  route: NamedDialect,
  rawUrl: string,
  authenticate: () => Gateway | undefined,
): Promise<void> {
  const startedAt = performance.now()
  const outcome = await readBody(incoming, parts.limits.bodyBytesMax)
  if (outcome.kind === 'aborted') return
  // INVARIANT: the gateway as it is now. A body can take seconds, and a key that was revoked meanwhile is worth nothing.
  const gateway = authenticate()
  if (gateway === undefined) return
  const wire = toWire(incoming, rawUrl, outcome.kind === 'read' ? outcome.body : new Uint8Array())
  const answer = async (attempt: Result<Attempt | undefined, Malformed>): Promise<void> => {
    // INVARIANT: nor is what it was while the request waited for the one that came before: not its key, not its settings.
    const current = attempt.ok && attempt.value !== undefined ? authenticate() : gateway
    if (current === undefined) return
    const read = () =>
      outcome.kind === 'read'
        ? route.dialect.read(wire, current, parts.clock())
        : tooLarge(parts.limits.bodyBytesMax)
    await answerRead(parts, { incoming, outgoing, route, wire, gateway: current, startedAt }, attempt, read)
  }
  // INVARIANT: only where the gateway writes the headers. Elsewhere the key is its client's, for the API behind.
  if (!isJsonDialect(route.name)) return await answer(success(undefined))
  await parts.idempotency.run({ gateway, wire, now: parts.clock() }, answer)
}

interface WholeRequest {
  readonly incoming: IncomingMessage
  readonly outgoing: ServerResponse
  readonly route: NamedDialect
  readonly wire: WireRequest
  readonly gateway: Gateway
  readonly startedAt: number
}

/** Decides what was asked, and answers. A request that came before has no second effect. */
async function answerRead(
  { decider, metrics, isDraining, searches }: WholeParts,
  { incoming, outgoing, route: { name, dialect }, wire, gateway, startedAt }: WholeRequest,
  attempt: Result<Attempt | undefined, Malformed>,
  readRequest: () => Result<ReadRequest, Malformed>,
): Promise<void> {
  const before = new Set(attempt.ok ? attempt.value?.decided.values() : [])
  const items = repeatable(attempt.ok ? attempt.value : undefined, {
    decide: (request, earlier) => decider.decide(whileOpen(request, outgoing), gateway, earlier),
    async refuse(malformed) {
      metrics.malformed(name, malformed.code)
      return await decider.refuse(malformed, gateway, name, requestIdOf(incoming.rawHeaders))
    },
  })
  const read = attempt.ok ? readRequest() : attempt
  if (!read.ok) {
    const { id } = await items.refuse(read.failure, 0)
    return send(incoming, outgoing, dialect.refuse(read.failure, wire), [id])
  }
  const { requests } = read.value
  const leave = requests.some(isSearch) ? searches.enter(gateway.id) : NO_PLACE
  if (leave === undefined) {
    metrics.overloaded(name)
    return send(incoming, outgoing, httpError('http.overloaded', name))
  }
  const { answers, decisions } = await answerBatch(read.value, items).finally(leave)
  if (isDraining()) outgoing.shouldKeepAlive = false
  const ids = decisions.map(({ id }) => id)
  // INVARIANT: an explained decision carries nothing that an allow carries.
  const usable = requests.some(({ explain }) => explain !== undefined) ? [] : decisions
  send(incoming, outgoing, withEpoch(dialect.write(answers, read.value, wire), usable), ids)
  const seconds = (performance.now() - startedAt) / 1000
  for (const decision of decisions) if (!before.has(decision)) metrics.decided(name, decision, seconds)
}

const NO_PLACE = (): void => undefined

function isSearch({ search }: AuthorizationRequest): boolean {
  return search !== undefined
}

/** A search goes on while its client is there to be answered. */
function whileOpen(request: AuthorizationRequest, outgoing: ServerResponse): AuthorizationRequest {
  const { search } = request
  if (search === undefined) return request
  return { ...request, search: { ...search, isWanted: () => !outgoing.destroyed } }
}

/** State version that the allows of an answer rest on; what was revoked later ends them (docs/revocation.md). */
const EPOCH_HEADER = 'x-warder-revocation-epoch'

function withEpoch(answer: WireResponse, decisions: readonly Decision[]): WireResponse {
  const allows = decisions.filter(({ effect }) => effect === 'allow')
  if (allows.length === 0) return answer
  const oldest = Math.min(...allows.map(({ stateVersion }) => stateVersion))
  return { ...answer, headers: [...answer.headers, [EPOCH_HEADER, String(oldest)]] }
}

function answerFault(
  incoming: IncomingMessage,
  outgoing: ServerResponse,
  { dialect }: NamedDialect,
  rawUrl: string,
): void {
  if (outgoing.headersSent) {
    outgoing.destroy()
    return
  }
  const fault = { code: 'internal.fault', message: 'the request could not be answered' } as const
  send(incoming, outgoing, dialect.refuse(fault, toWire(incoming, rawUrl, new Uint8Array())))
}

function toWire(incoming: IncomingMessage, rawUrl: string, body: Uint8Array): WireRequest {
  return {
    method: incoming.method ?? '',
    rawUrl,
    rawHeaders: incoming.rawHeaders,
    body,
    peer: incoming.socket.remoteAddress ?? '',
  }
}

function tooLarge(bodyBytesMax: number): { readonly ok: false; readonly failure: Malformed } {
  return {
    ok: false,
    failure: { code: 'request.too_large', message: `the body may have ${bodyBytesMax} bytes` },
  }
}

/**
 * An error of the HTTP layer in the form of a dialect: AuthZEN bodies are one JSON string; where the status is the
 * decision, overload is 403, because some gateways let a call pass on 5xx.
 */
export function httpError(code: HttpErrorCode, name: Dialect): WireResponse {
  const { status, message } = HTTP_ERRORS[code]
  const body = name === 'authzen' ? `${code}: ${message}` : { decision: 'deny', error: { code, message } }
  const headers: [string, string][] = [['content-type', 'application/json']]
  if (status === 401) headers.push(['www-authenticate', 'Bearer realm="warder"'])
  if (!isJsonDialect(name)) headers.push(['x-warder-reason', code])
  if (status === 405) headers.push(['allow', 'POST'])
  if (status === 503 && isJsonDialect(name)) headers.push(['retry-after', '1'])
  return {
    status: status === 503 && !isJsonDialect(name) ? 403 : status,
    headers,
    body: JSON.stringify(body),
  }
}
