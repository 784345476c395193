import type { ExchangeQuestion, TokenExchanger } from '#identity/token-exchange.ts'
import type { ExchangeTarget, IssuedToken } from '#identity/token-exchange-call.ts'
import { Hidden } from '#lib/hidden.ts'
import type { Stop } from '#model/identity.ts'
import type { Obligation } from '#model/obligation.ts'
import { REASONS } from '#model/reasons.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import { canReplaceAuthorization } from '#policy/obligations.ts'
import { dependenciesOf } from '#revocation/dependencies.ts'
import type { Caller } from './call.ts'
import { type Judged, stopped } from './judged.ts'

/** What exchanging tokens takes; undefined: gateways do that themselves. */
export interface ExchangeSteps {
  readonly exchanger?: Pick<TokenExchanger, 'exchange'>
}

/**
 * The `token_exchange` of an allow that Warder carries out itself: where the gateway can replace the header of the call, and an
 * issuer of the tenant says how. Undefined: nothing is to be exchanged here.
 */
export function exchangeToDo(
  { exchanger }: ExchangeSteps,
  { judgement }: Judged,
  { dialect, explain }: AuthorizationRequest,
  { tenant }: Pick<Caller, 'tenant'>,
): Obligation | undefined {
  // Nobody acts on what is only explained.
  if (judgement.effect !== 'allow' || exchanger === undefined || explain !== undefined) return undefined
  const obligation = judgement.obligations.find(({ type }) => type === 'token_exchange')
  if (obligation === undefined || !canReplaceAuthorization(dialect)) return undefined
  return tenant.issuers.some(({ tokenExchange }) => tokenExchange !== undefined) ? obligation : undefined
}

/**
 * The judgement with the token for the upstream, or the deny that stands in its place.
 *
 * INVARIANT: an allow that demands an exchange leaves with the exchanged token or not at all.
 */
export async function exchangeToken(
  { exchanger }: ExchangeSteps,
  caller: Caller,
  judged: Judged,
  { properties }: Obligation,
  asked: AuthorizationRequest,
): Promise<Judged> {
  const target = targetOf(properties)
  const question = questionOf(caller, judged, target, asked)
  if (exchanger === undefined || question === undefined) return denied(judged, NO_TOKEN)
  const outcome = await exchanger.exchange(question)
  if (!outcome.ok) return denied(judged, outcome.failure)
  const { token, cached, expiresAt } = outcome.value
  const { judgement } = judged
  const exchange = { issuer: question.issuer.issuer, ...target, cached }
  return {
    ...judged,
    judgement: {
      ...judgement,
      expiresAt: earlier(judgement.expiresAt, expiresAt),
      trace: { ...judgement.trace, exchange },
    },
    upstreamToken: token,
  }
}

const NO_TOKEN: Stop = { code: 'exchange.no_token', message: REASONS['exchange.no_token'] }

/** Undefined where there is no access token whose issuer says how it is exchanged. */
function questionOf(
  { tenant }: Caller,
  { identity, call }: Judged,
  target: ExchangeTarget,
  asked: AuthorizationRequest,
): ExchangeQuestion | undefined {
  const token = identity?.token
  const [credential] = asked.credentials
  const issuer = tenant.issuers.find((each) => each.issuer === token?.issuer)
  // INVARIANT: what is no access token of that issuer, such as an API key, is shown to nobody.
  const isToken = credential?.scheme === 'bearer' || credential?.scheme === 'dpop'
  if (identity === undefined || token === undefined || token.kind !== undefined || !isToken) return undefined
  if (issuer?.tokenExchange === undefined) return undefined
  const { crossings = [], endsAt } = identity.delegation
  const homes = crossings.map((id) => ({ kind: 'tenant', id }) as const)
  const dependencies = [...dependenciesOf(identity, call ?? asked, tenant), ...homes]
  return {
    tenant: tenant.id,
    issuer,
    exchange: issuer.tokenExchange,
    ...target,
    subject: new Hidden(credential.value),
    subjectExpiresAt: token.expiresAt,
    subjectIssuedAt: token.issuedAt,
    // A stop of one tool does not end what the token is good for beside it.
    dependencies: dependencies.filter(({ kind }) => kind !== 'tool'),
    crossings,
    endsAt,
    now: asked.now,
  }
}

/** The properties as the catalogue has checked them. */
function targetOf({ audience, scope, resource }: Obligation['properties']): ExchangeTarget {
  return {
    audience: String(audience),
    ...(typeof scope === 'string' && { scope }),
    ...(typeof resource === 'string' && { resource }),
  }
}

function denied(judged: Judged, stop: Stop): Judged {
  const { judgement } = stopped(stop)
  const trace = { ...judged.judgement.trace, ...judgement.trace }
  return { ...judged, judgement: { ...judgement, trace } }
}

function earlier(
  one: Judged['judgement']['expiresAt'],
  two: IssuedToken['expiresAt'],
): Judged['judgement']['expiresAt'] {
  return one === undefined || two === undefined || one < two ? one : two
}
