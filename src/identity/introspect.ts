import { createHash } from 'node:crypto'
import { type EpochMilliseconds, type EpochSeconds, toSeconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Stop } from '#model/identity.ts'
import type { Introspection, Issuer } from '#model/issuer.ts'
import type { TenantState } from '#model/state.ts'
import type { JsonObject } from '#model/value.ts'
import { createCircuits } from './circuit.ts'
import { askIssuer, type IntrospectionParts, type Question } from './introspection-call.ts'
import { UnreadableAnswer } from './outbound.ts'
import { stop } from './stop.ts'
import { judgeClaims, type TokenClaims } from './token-claims.ts'

/** Verifies an opaque token by asking its issuer; a denial is a value. Never rejects. */
export type Introspect = (
  token: string,
  tenant: TenantState,
  now: EpochMilliseconds,
) => Promise<Result<TokenClaims, Stop>>

/** RFC 6750 section 2.1, and shorter than anything that only costs the issuer work. */
const TOKEN_SHAPE = /^[A-Za-z0-9._~+/-]{16,4096}=*$/
const ENTRIES_MAX = 10_000
const NEGATIVE_SECONDS = 5
/** RFC 7662 section 2.2; a refresh token that is active is still none that a call may carry. */
const TOKEN_TYPES: readonly unknown[] = [undefined, 'bearer', 'dpop', 'n_a']

interface Entry {
  readonly outcome: Result<TokenClaims, Stop>
  readonly until: EpochSeconds
}

/**
 * Introspection with a cache and a circuit breaker. What is cached is the issuer's answer; revocation, audience of the gateway
 * and binding are judged for each request. An inactive token is remembered for at most 5 seconds.
 *
 * INVARIANT: the cache is keyed by a digest of the exact token, and no answer outlives the token or the configured bound.
 */
export function createIntrospect(
  parts: IntrospectionParts & { readonly onFault: (issuer: string, cause: string) => void },
): Introspect {
  const entries = new Map<string, Entry>()
  const circuits = createCircuits()
  const underWay = new Map<string, Promise<Result<TokenClaims, Stop>>>()

  async function ask(question: Question): Promise<Result<TokenClaims, Stop>> {
    const { issuer, now } = question
    const slot = JSON.stringify([question.tenant, issuer.issuer, question.introspection.url])
    const openFor = circuits.openFor(slot, now)
    if (openFor > 0) return unavailable(openFor / 1000)
    try {
      const answer = await askIssuer(parts, question)
      circuits.succeeded(slot)
      return judgeAnswer(answer, question, toSeconds(now))
    } catch (fault) {
      // INVARIANT: an answer about one token that is too long or no text keeps nobody else from being asked about.
      if (!(fault instanceof UnreadableAnswer)) circuits.failed(slot, now)
      parts.onFault(issuer.issuer, fault instanceof Error ? fault.message : 'unknown fault')
      return unavailable(1)
    }
  }

  async function askOnce(slot: string, question: Question): Promise<Result<TokenClaims, Stop>> {
    const known = underWay.get(slot)
    if (known !== undefined) return await known
    const asked = ask(question).finally(() => underWay.delete(slot))
    underWay.set(slot, asked)
    const outcome = await asked
    const until = untilOf(outcome, question.introspection, toSeconds(question.now))
    const oldest = entries.keys().next().value
    if (entries.size >= ENTRIES_MAX && oldest !== undefined) entries.delete(oldest)
    if (until !== undefined) entries.set(slot, { outcome, until })
    return outcome
  }

  return async (token, tenant, now) => {
    const issuer = introspectedIssuer(tenant)
    if (!issuer.ok) return issuer
    const { introspection } = issuer.value
    if (introspection === undefined || !TOKEN_SHAPE.test(token)) return failed(stop('token.malformed'))
    // The whole configuration is part of the slot: an issuer that changed is asked anew.
    const slot = JSON.stringify([tenant.id, digestOf(token), issuer.value])
    const known = entries.get(slot)
    if (known !== undefined && toSeconds(now) < known.until) return known.outcome
    entries.delete(slot)
    return await askOnce(slot, { tenant: tenant.id, issuer: issuer.value, introspection, token, now })
  }
}

/** INVARIANT: a token is shown to one issuer only, and to none where it is not clear to which. */
function introspectedIssuer({ issuers }: TenantState): Result<Issuer, Stop> {
  const [only, second] = issuers.filter((each) => each.introspection !== undefined)
  if (only === undefined) return failed(stop('token.malformed', 'no issuer of the tenant has introspection'))
  return second === undefined
    ? success(only)
    : failed(stop('token.issuer_unknown', 'several issuers of the tenant have introspection'))
}

/** RFC 7662 section 2.2: then the same rules as for any other token. */
function judgeAnswer(
  answer: JsonObject,
  { issuer, token }: Question,
  now: EpochSeconds,
): Result<TokenClaims, Stop> {
  // INVARIANT: exactly true; a text or a number that looks like it is not.
  if (answer['active'] !== true) return failed(stop('token.inactive'))
  const { iss, token_type: type, chain_complete: isComplete, active: _, ...payload } = answer
  if (iss !== undefined && iss !== issuer.issuer) return failed(stop('token.issuer_unknown'))
  if (!TOKEN_TYPES.includes(typeof type === 'string' ? type.toLowerCase() : type))
    return failed(stop('token.type', 'not an access token'))
  // Every hop can deny, so a chain that is cut short can't be judged.
  if (isComplete !== undefined && isComplete !== true)
    return failed(stop('token.claim_invalid', '`chain_complete`'))
  const fingerprint = digestOf(token)
  const claims: JsonObject = {
    // Where the id of a token is the token itself, its issuer does not repeat it.
    [issuer.claims.id ?? 'jti']: `sha256:${fingerprint}`,
    // Without `sub` no resource owner is involved (RFC 7662 section 2.2): the token speaks for its client.
    ...(payload['client_id'] !== undefined && { sub: payload['client_id'] }),
    ...payload,
    iss: issuer.issuer,
  }
  return judgeClaims(claims, issuer, { typ: '', keyId: undefined, fingerprint }, now)
}

function digestOf(token: string): string {
  return createHash('sha256').update(token).digest('base64url')
}

function untilOf(
  outcome: Result<TokenClaims, Stop>,
  { cacheSecondsMax }: Introspection,
  now: EpochSeconds,
): EpochSeconds | undefined {
  if (outcome.ok) {
    const end = Math.min(outcome.value.expiresAt, outcome.value.usableUntil, now + cacheSecondsMax)
    return end as EpochSeconds
  }
  const isAnswer = outcome.failure.code !== 'token.introspection_unavailable'
  return isAnswer ? ((now + Math.min(NEGATIVE_SECONDS, cacheSecondsMax)) as EpochSeconds) : undefined
}

function unavailable(seconds: number): Result<never, Stop> {
  const retryAfterSeconds = Math.max(1, Math.ceil(seconds))
  return failed({ ...stop('token.introspection_unavailable'), retryAfterSeconds })
}
