import { hash } from 'node:crypto'
import type { CacheStats } from '#lib/cache-stats.ts'
import { type EpochMilliseconds, type EpochSeconds, toSeconds } from '#lib/clock.ts'
import type { Hidden } from '#lib/hidden.ts'
import { failed, type Result, success } from '#lib/result.ts'
import type { Stop } from '#model/identity.ts'
import type { TenantId } from '#model/ids.ts'
import type { Dependency } from '#model/revocation.ts'
import { createCircuits } from './circuit.ts'
import { stop } from './stop.ts'
import {
  askForToken,
  askToRevoke,
  type ExchangeCallParts,
  type ExchangeServer,
  type ExchangeTarget,
  type IssuedToken,
  ServerFault,
} from './token-exchange-call.ts'

/** One token to be exchanged, for one call. */
export interface ExchangeQuestion extends ExchangeServer, ExchangeTarget {
  /** The access token that was verified. */
  readonly subject: Hidden
  readonly subjectExpiresAt: EpochSeconds
  readonly subjectIssuedAt: EpochSeconds | undefined
  /** What the new token ends with: whatever of it is revoked, the token is ended too. */
  readonly dependencies: readonly Dependency[]
  /** Other tenants that sent an agent of the call: what they revoke ends the token too. */
  readonly crossings: readonly TenantId[]
  /** When a grant or federation that it rests on ends by itself. */
  readonly endsAt: EpochSeconds | undefined
  readonly now: EpochMilliseconds
}

/** The token for the upstream. */
export interface ExchangedToken extends IssuedToken {
  /** Whether it was issued for an earlier call. */
  readonly cached: boolean
}

/** A token to be remembered so that it can be ended. */
export interface KeptToken {
  readonly tenant: TenantId
  readonly issuer: string
  readonly token: Hidden
  readonly dependencies: readonly Dependency[]
  readonly crossings: readonly TenantId[]
  readonly subjectIssuedAt: EpochSeconds | undefined
  /** When the token is worth nothing any more. */
  readonly expiresAt: EpochSeconds
  /** When it is to be ended though nothing was revoked. */
  readonly endsAt: EpochSeconds | undefined
}

/** Remembers a token durably. */
export type KeepToken = (kept: KeptToken) => Promise<void>

/** What exchanging takes. */
export interface ExchangerParts extends ExchangeCallParts {
  readonly keep: KeepToken
  readonly onFault: (issuer: string, cause: string) => void
  /** How long the server may take. Default 1,500. */
  readonly millisecondsMax?: number
}

/** Exchanges tokens; a denial is a value. */
export interface TokenExchanger {
  /** Never rejects. */
  exchange(question: ExchangeQuestion): Promise<Result<ExchangedToken, Stop>>
  /** Forgets every token that hangs on one of these. `tenant` null: in all tenants. */
  forget(tenant: TenantId | null, dependencies: readonly Dependency[]): void
  /** Forgets every token of `tenant` that hangs on something of which `isStopped` holds. */
  forgetStopped(tenant: TenantId, isStopped: (dependency: Dependency) => boolean): void
  forgetAll(): void
  stats(): CacheStats
}

const ENTRIES_MAX = 10_000
const NEGATIVE_SECONDS = 5
/** A token is not handed out so shortly before its end, or it would end under way. */
const EARLY_SECONDS = 5
/** Shorter than gateways wait for a decision. */
const MILLISECONDS_MAX = 1_500

type Outcome = Result<IssuedToken, Stop>

interface Entry {
  /** Whose revocations end it. */
  readonly tenants: readonly TenantId[]
  readonly outcome: Outcome
  readonly until: EpochSeconds
  readonly dependencies: ReadonlyMap<string, Dependency>
}

/**
 * Token exchange with a cache and a circuit breaker.
 *
 * INVARIANT: a token is found again only for exactly the same subject token, target, issuer and dependencies, so none that was
 * issued under one session or task is handed out under another; and it outlives neither of the two tokens.
 *
 * INVARIANT: no token is handed out before it is remembered, where the server can end it.
 */
export function createTokenExchanger(parts: ExchangerParts): TokenExchanger {
  const entries = new Map<string, Entry>()
  const underWay = new Map<string, Promise<Outcome>>()
  const ask = createAsk(parts)
  let [hits, misses, forgotten] = [0, 0, 0]

  async function askOnce(slot: string, question: ExchangeQuestion): Promise<Outcome> {
    const known = underWay.get(slot)
    if (known !== undefined) return await known
    const before = forgotten
    const asked = ask(question).finally(() => underWay.delete(slot))
    underWay.set(slot, asked)
    const outcome = await asked
    const until = untilOf(outcome, question)
    // INVARIANT: what something was revoked under meanwhile is not kept.
    if (until === undefined || before !== forgotten) return outcome
    const oldest = entries.keys().next().value
    if (entries.size >= ENTRIES_MAX && oldest !== undefined) entries.delete(oldest)
    const dependencies = new Map(question.dependencies.map((each) => [keyOf(each), each]))
    const tenants = [question.tenant, ...question.crossings]
    entries.set(slot, { tenants, outcome, until, dependencies })
    return outcome
  }

  return {
    async exchange(question) {
      const slot = slotOf(question)
      const known = entries.get(slot)
      if (known !== undefined && toSeconds(question.now) < known.until) {
        hits += 1
        return known.outcome.ok ? success({ ...known.outcome.value, cached: true }) : known.outcome
      }
      entries.delete(slot)
      misses += 1
      const outcome = await askOnce(slot, question)
      return outcome.ok ? success({ ...outcome.value, cached: false }) : outcome
    },
    forget(tenant, dependencies) {
      forgotten += 1
      const keys = dependencies.map(keyOf)
      for (const [slot, entry] of entries) {
        const isOurs = tenant === null || entry.tenants.includes(tenant)
        if (isOurs && keys.some((key) => entry.dependencies.has(key))) entries.delete(slot)
      }
    },
    forgetStopped(tenant, isStopped) {
      forgotten += 1
      for (const [slot, { tenants, dependencies }] of entries)
        if (tenants.includes(tenant) && [...dependencies.values()].some(isStopped)) entries.delete(slot)
    },
    forgetAll() {
      forgotten += 1
      entries.clear()
    },
    stats: () => ({ hits, misses, entries: entries.size }),
  }
}

/** Asks the server, unless it was left alone, and remembers what it issued. */
function createAsk(parts: ExchangerParts): (question: ExchangeQuestion) => Promise<Outcome> {
  const circuits = createCircuits()
  return async (question) => {
    const { tenant, issuer, exchange, now } = question
    const endpoint = JSON.stringify([tenant, issuer.issuer, exchange.url])
    const openFor = circuits.openFor(endpoint, now)
    if (openFor > 0) return unavailable(openFor / 1000)
    const signal = AbortSignal.timeout(parts.millisecondsMax ?? MILLISECONDS_MAX)
    try {
      const issued = await askForToken(parts, question, question.subject, targetOf(question), { now, signal })
      circuits.succeeded(endpoint)
      if (!issued.ok) return failed(stop('exchange.refused', issued.failure))
      return (await remember(parts, question, issued.value, signal)) ?? issued
    } catch (fault) {
      // INVARIANT: an answer about one token, however odd, leaves nobody else without exchanges.
      if (fault instanceof ServerFault) circuits.failed(endpoint, now)
      parts.onFault(issuer.issuer, fault instanceof Error ? fault.message : 'unknown fault')
      return unavailable(1)
    }
  }
}

/** Undefined where the token may be handed out. */
async function remember(
  parts: ExchangerParts,
  question: ExchangeQuestion,
  { token, expiresAt }: IssuedToken,
  signal: AbortSignal,
): Promise<Result<never, Stop> | undefined> {
  const { tenant, issuer, exchange, dependencies, crossings, subjectIssuedAt, endsAt, now } = question
  if (exchange.revocationUrl === undefined) return undefined
  // Nobody would end it later.
  const end = (): void => {
    askToRevoke(parts, question, token, now).catch((error: unknown) =>
      parts.onFault(issuer.issuer, messageOf(error)),
    )
  }
  // INVARIANT: what is remembered has an end of its own, and serves more than one call: no row for each call.
  if (expiresAt === undefined) {
    end()
    return failed(stop('exchange.refused', 'no `expires_in`, which `revocation_url` demands of the issuer'))
  }
  try {
    const under = { tenant, issuer: issuer.issuer, dependencies, crossings, subjectIssuedAt }
    await within(signal, parts.keep({ ...under, token, expiresAt, endsAt }))
    return undefined
  } catch (fault) {
    parts.onFault(issuer.issuer, `a token could not be remembered: ${messageOf(fault)}`)
    end()
    return unavailable(1)
  }
}

/** A digest; the whole configuration is part of it: an issuer that changed is asked anew. */
function slotOf(question: ExchangeQuestion): string {
  const { tenant, issuer, subject, audience, scope = null, resource = null } = question
  const dependencies = question.dependencies.map(keyOf).sort()
  const crossings = question.crossings.toSorted()
  const whole = [tenant, subject.reveal(), audience, scope, resource, dependencies, crossings, issuer]
  return hash('sha256', JSON.stringify(whole), 'base64url')
}

function targetOf({ audience, scope, resource }: ExchangeTarget): ExchangeTarget {
  return { audience, ...(scope !== undefined && { scope }), ...(resource !== undefined && { resource }) }
}

function untilOf(outcome: Outcome, question: ExchangeQuestion): EpochSeconds | undefined {
  const now = toSeconds(question.now)
  if (!outcome.ok) {
    const isAnswer = outcome.failure.code === 'exchange.refused'
    return isAnswer ? ((now + NEGATIVE_SECONDS) as EpochSeconds) : undefined
  }
  const { expiresAt } = outcome.value
  // How long it lives is not known, so it serves this call alone.
  if (expiresAt === undefined) return undefined
  const ends = [expiresAt - EARLY_SECONDS, question.subjectExpiresAt, question.endsAt ?? expiresAt]
  return Math.min(...ends) as EpochSeconds
}

/** The result of `work`, if it comes before `signal`. */
async function within<T>(signal: AbortSignal, work: Promise<T>): Promise<T> {
  const late = new Promise<never>((_, reject) => {
    const end = (): void => reject(new Error('it took too long'))
    if (signal.aborted) end()
    else signal.addEventListener('abort', end, { once: true })
  })
  return await Promise.race([work, late])
}

/** A kind has no blank in it, so no id can spell the key of another kind. */
function keyOf({ kind, id }: Dependency): string {
  return `${kind} ${id}`
}

function messageOf(fault: unknown): string {
  return fault instanceof Error ? fault.message : 'unknown fault'
}

function unavailable(seconds: number): Result<never, Stop> {
  const retryAfterSeconds = Math.max(1, Math.ceil(seconds))
  return failed({ ...stop('exchange.unavailable'), retryAfterSeconds })
}
