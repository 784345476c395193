import { isSettableHeader } from '#lib/header-name.ts'
import { type Challenge, challengeFor, statusOf } from '#model/challenge.ts'
import type { Decision } from '#model/decision.ts'
import { stripsCredentials } from '#model/obligation.ts'
import { REASONS, type ReasonCode } from '#model/reasons.ts'
import type { JsonObject } from '#model/value.ts'
import { challengeHeader } from './challenge.ts'
import { headerJson, headerSafe, NONE } from './header-safe.ts'
import type { WireResponse } from './wire.ts'

type Header = readonly [string, string]

// Response headers of 4 KiB in all are what the smallest default buffer of a gateway takes (nginx, proxy_buffer_size).
const OBLIGATIONS_LENGTH_MAX = 2_048
const HEADER_VALUE = /^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/

/**
 * Statuses that a gateway passes on as a denial. `few`: 401 and 403, such as nginx. `client`: 400 too; a 5xx would be an error that
 * the gateway may be set to ignore, such as Envoy over HTTP. `all`: 503 too.
 */
export type Statuses = 'few' | 'client' | 'all'

/**
 * A decision as status and headers. Allow is 200 and nothing else; deny is 401 where a better credential may help, else 403.
 *
 * On every allow, never empty: `X-Warder-Agent`, `-User`, `-Tenant`, `-Obligations` (JSON), `-Reason`, and
 * `X-Warder-Authorization`, `keep` or `strip`: whether the agent's `Authorization` may reach the upstream. The token itself is
 * never repeated. In nginx:
 *
 *     map $warder_authorization $upstream_authorization { keep $http_authorization; default ""; }
 *     auth_request_set $warder_authorization $upstream_http_x_warder_authorization;
 *     proxy_set_header Authorization $upstream_authorization;
 *
 * @param extra more headers on an allow
 */
export function statusAnswer(
  decision: Decision,
  extra: (decision: Decision) => readonly Header[],
  statuses: Statuses = 'few',
): WireResponse {
  const code = decision.reasons[0]?.code ?? 'internal.fault'
  const { challenge, retryAfterSeconds, proofNonce: nonce, capabilities } = decision
  if (decision.effect !== 'allow')
    return denied(code, decision.reasons[0]?.message, { statuses, challenge, retryAfterSeconds, nonce })
  const set = setHeaders(decision)
  const obligations = headerJson(decision.obligations.map(({ type, properties }) => ({ type, properties })))
  if (set === undefined || obligations.length > OBLIGATIONS_LENGTH_MAX)
    return denied('obligation.unsupported', undefined)
  return {
    status: 200,
    headers: [
      ...set,
      ['x-warder-agent', headerSafe(decision.identity.agent)],
      ['x-warder-user', headerSafe(decision.identity.user)],
      ['x-warder-tenant', headerSafe(decision.tenant)],
      ['x-warder-obligations', decision.obligations.length === 0 ? NONE : obligations],
      ['x-warder-authorization', isStripped(decision) ? 'strip' : 'keep'],
      ['x-warder-reason', code],
      ...(nonce === undefined ? [] : [['dpop-nonce', nonce] as const]),
      ...(capabilities === undefined ? [] : [['x-mcp-authorized', capabilities.reveal()] as const]),
      ...extra(decision),
    ],
    body: '',
  }
}

/** What a deny says beside its code. */
export interface DenialParts {
  /** Default `few`. */
  readonly statuses?: Statuses
  /** What the client must bring. Default: what the code says. */
  readonly challenge?: Challenge | undefined
  readonly retryAfterSeconds?: number | undefined
  /** For the client's next proof. */
  readonly nonce?: string | undefined
}

/** A deny: 401 where a better credential may help, 403 for everything else, faults included. The body may reach the client. */
export function denied(code: string, message: string | undefined, parts: DenialParts = {}): WireResponse {
  const { statuses = 'few', challenge = challengeFor(code), retryAfterSeconds } = parts
  const nonce = parts.nonce ?? challenge?.nonce
  const headers: Header[] = [
    ['content-type', 'application/json'],
    ['x-warder-reason', code],
  ]
  if (challenge !== undefined) headers.push(['www-authenticate', challengeHeader(challenge)])
  if (nonce !== undefined) headers.push(['dpop-nonce', headerSafe(nonce)])
  if (retryAfterSeconds !== undefined) headers.push(['retry-after', String(Math.ceil(retryAfterSeconds))])
  const text = message ?? (isReason(code) ? REASONS[code] : 'the request was denied')
  return {
    status: clamp(statusOf(code, challenge), statuses, challenge),
    headers,
    body: JSON.stringify(denialBody(code, text)),
  }
}

/** What MCP clients must be told as an error of JSON-RPC (MCP 2026-07-28, Streamable HTTP). */
const RPC_ERRORS: ReadonlyMap<string, number> = new Map([['mcp.header_mismatch', -32_020]])

/** The id of a message that contradicts itself is told to nobody (JSON-RPC 2.0 section 5). */
function denialBody(code: string, message: string): JsonObject {
  const rpc = RPC_ERRORS.get(code)
  return rpc === undefined
    ? { decision: 'deny', error: { code, message } }
    : { jsonrpc: '2.0', id: null, error: { code: rpc, message, data: { reason: code } } }
}

/** INVARIANT: never a 2xx, and never a status that this gateway does not take for a denial. */
function clamp(
  status: ReturnType<typeof statusOf>,
  statuses: Statuses,
  challenge: Challenge | undefined,
): number {
  if (status === 503) return statuses === 'all' ? 503 : 403
  if (status !== 400 || statuses !== 'few') return status
  // A 401 always comes with a challenge (RFC 9110 section 15.5.2).
  return challenge === undefined ? 403 : 401
}

/** Whether the agent's credential must not reach the upstream. */
export function isStripped({ obligations }: Decision): boolean {
  return stripsCredentials(obligations)
}

/**
 * What takes the place of the call's `Authorization`: the token that Warder has exchanged the agent's for. A gateway that does not
 * replace the header is not registered for `token_exchange`.
 */
export function replacedAuthorization({ upstreamToken }: Decision): readonly Header[] {
  return upstreamToken === undefined ? [] : [['authorization', `Bearer ${upstreamToken.reveal()}`]]
}

/**
 * The header that the gateway must take from the call. INVARIANT: Envoy removes after it has set, so a header is never in both.
 */
export function removedAuthorization(decision: Decision): readonly string[] {
  return isStripped(decision) && decision.upstreamToken === undefined ? ['authorization'] : []
}

/**
 * Headers that the upstream may get from Warder or not at all, and that this decision does not set: what a client sent under such a
 * name must not reach it as if Warder had said it, and no API key where the credential is stripped.
 */
export function unsetHeaders({ upstreamHeaders, obligations }: Decision): readonly string[] {
  const set = new Set(
    obligations.map(({ type, properties }) =>
      type === 'set_header' ? String(properties['name']).toLowerCase() : '',
    ),
  )
  return upstreamHeaders.filter((name) => !set.has(name))
}

/** Headers that obligations set; undefined when one can't be set: then the obligation is not met and the call must not pass. */
function setHeaders({ obligations }: Decision): readonly Header[] | undefined {
  const set = new Map<string, string>()
  for (const { type, properties } of obligations) {
    if (type !== 'set_header') continue
    const { name, value } = properties
    if (typeof name !== 'string' || typeof value !== 'string') return undefined
    const key = name.toLowerCase()
    if (!isSettableHeader(name) || set.has(key)) return undefined
    set.set(key, HEADER_VALUE.test(value) ? value : headerSafe(value))
  }
  return [...set]
}

function isReason(code: string): code is ReasonCode {
  return Object.hasOwn(REASONS, code)
}
