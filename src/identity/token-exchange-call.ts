import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'
import { toSeconds } from '#lib/clock.ts'
import { Hidden } from '#lib/hidden.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer, TokenExchange } from '#model/issuer.ts'
import type { JsonObject } from '#model/value.ts'
import { authenticated, type Post } from './client-authentication.ts'
import { type OutboundAnswer, type SendOutbound, UnreadableAnswer } from './outbound.ts'
import { parseStrictObject } from './strict-json.ts'

/** The secret that proves us to the issuer; undefined when it is not there. */
export type OpenExchangeSecret = (tenant: TenantId, issuer: Issuer) => string | undefined

/** The server can't be reached, does not answer, or says that it can't just now: a fault whoever asks would meet. */
export class ServerFault extends Error {}

/** What calling the server takes. */
export interface ExchangeCallParts {
  readonly send: SendOutbound
  readonly openSecret: OpenExchangeSecret
}

/** The issuer whose token is exchanged, and how. */
export interface ExchangeServer {
  readonly tenant: TenantId
  readonly issuer: Issuer
  readonly exchange: TokenExchange
}

/** What the new token is to be good for. */
export interface ExchangeTarget {
  readonly audience: string
  /** Scopes, separated by spaces. */
  readonly scope?: string
  readonly resource?: string
}

/** A token that the server issued. */
export interface IssuedToken {
  readonly token: Hidden
  /** Undefined where the server does not say. */
  readonly expiresAt: EpochSeconds | undefined
}

const GRANT = 'urn:ietf:params:oauth:grant-type:token-exchange'
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token'
/** RFC 6750 section 2.1; what is longer fits into the headers of no gateway. */
const BEARER_TOKEN = /^[A-Za-z0-9._~+/-]{1,6144}=*$/
const LIFETIME_SECONDS_MAX = 31_536_000
const ERROR_CODE = /^[a-z_]{1,64}$/
/** RFC 6749 section 5.2: the request was understood, and the answer is no. */
const REFUSALS = [400, 401, 403]

/**
 * Exchanges a token (RFC 8693 section 2.1). A failure is the server's refusal, as its error code.
 *
 * @throws ServerFault when there was no answer, or a 5xx or 429
 * @throws when the answer is not usable; no message holds a token or secret
 */
export async function askForToken(
  parts: ExchangeCallParts,
  server: ExchangeServer,
  subject: Hidden,
  target: ExchangeTarget,
  { now, signal }: { readonly now: EpochMilliseconds; readonly signal: AbortSignal },
): Promise<Result<IssuedToken, string>> {
  const { exchange } = server
  const form = {
    grant_type: GRANT,
    subject_token: subject.reveal(),
    subject_token_type: ACCESS_TOKEN,
    requested_token_type: ACCESS_TOKEN,
    ...target,
    ...(exchange.actorToken && { actor_token: subject.reveal(), actor_token_type: ACCESS_TOKEN }),
  }
  const answer = await post(
    parts,
    server,
    { url: exchange.url, form, accept: 'application/json' },
    now,
    signal,
  )
  const json = answer.contentType === 'application/json' ? parseStrictObject(answer.body) : undefined
  if (REFUSALS.includes(answer.status)) return failed(errorOf(json))
  const { status } = answer
  if (status !== 200) {
    const Fault = status >= 500 || status === 429 ? ServerFault : Error
    throw new Fault(`the token exchange answered ${status}`)
  }
  if (json === undefined) throw new Error('the token exchange answered with no strict JSON object')
  return success(issuedIn(json, subject, target, toSeconds(now)))
}

/**
 * Ends a token at the server that issued it (RFC 7009 section 2.1). The server also says yes to one that it does not know.
 *
 * @throws when the server did not say that it is ended; the message holds no token and no secret
 */
export async function askToRevoke(
  parts: ExchangeCallParts,
  server: ExchangeServer,
  token: Hidden,
  now: EpochMilliseconds,
): Promise<void> {
  const url = server.exchange.revocationUrl
  if (url === undefined) throw new Error('the issuer has no `revocation_url`')
  const form = { token: token.reveal(), token_type_hint: 'access_token' }
  const { status } = await post(parts, server, { url, form, accept: 'application/json' }, now)
  if (status !== 200) throw new Error(`the revocation of a token answered ${status}`)
}

async function post(
  { send, openSecret }: ExchangeCallParts,
  { tenant, issuer, exchange }: ExchangeServer,
  form: Post,
  now: EpochMilliseconds,
  signal?: AbortSignal,
): Promise<OutboundAnswer> {
  const secret = openSecret(tenant, issuer)
  if (secret === undefined) throw new Error('the secret of token exchanges can not be opened')
  const request = await authenticated(form, exchange, secret, issuer, now)
  return await send({ ...request, ...(signal !== undefined && { signal }) }).catch((fault: unknown) => {
    if (fault instanceof UnreadableAnswer) throw fault
    throw new ServerFault(fault instanceof Error ? fault.message : 'unknown fault')
  })
}

/** RFC 6749 section 5.2. INVARIANT: the server's own words stay out; they may repeat the token. */
function errorOf(json: JsonObject | undefined): string {
  const code = json?.['error']
  return typeof code === 'string' && ERROR_CODE.test(code) ? code : 'no error code'
}

/**
 * RFC 8693 section 2.2.1.
 *
 * INVARIANT: only an access token that anyone may carry, that is not the one which was exchanged, and that says no more than
 * was asked for.
 */
function issuedIn(
  json: JsonObject,
  subject: Hidden,
  { scope }: ExchangeTarget,
  now: EpochSeconds,
): IssuedToken {
  const { access_token: token, issued_token_type: issued, token_type: type, expires_in: seconds } = json
  if (issued !== ACCESS_TOKEN) throw new Error('the exchanged token has another `issued_token_type`')
  if (typeof type !== 'string' || type.toLowerCase() !== 'bearer')
    throw new Error('the exchanged token has a `token_type` that is not Bearer')
  if (typeof token !== 'string' || !BEARER_TOKEN.test(token))
    throw new Error('the exchanged token is none that a header can carry')
  if (token === subject.reveal()) throw new Error('the exchanged token is the one that was exchanged')
  if (scope !== undefined && !isWithin(json['scope'], scope))
    throw new Error('the exchanged token has more scopes than were asked for')
  return { token: new Hidden(token), expiresAt: endOf(seconds, now) }
}

/** Absent: the same scopes as were asked for (RFC 8693 section 2.2.1). */
function isWithin(granted: unknown, asked: string): boolean {
  if (granted === undefined) return true
  if (typeof granted !== 'string') return false
  const known = new Set(asked.split(' '))
  return granted.split(' ').every((scope) => scope === '' || known.has(scope))
}

function endOf(seconds: unknown, now: EpochSeconds): EpochSeconds | undefined {
  if (seconds === undefined) return undefined
  const isFine =
    typeof seconds === 'number' &&
    Number.isInteger(seconds) &&
    seconds >= 1 &&
    seconds <= LIFETIME_SECONDS_MAX
  if (!isFine) throw new Error('the exchanged token has an unusable `expires_in`')
  return (now + seconds) as EpochSeconds
}
