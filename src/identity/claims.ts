import { failed, type Result, success } from '#lib/result.ts'
import type { Actor, Stop, VerifiedToken } from '#model/identity.ts'
import type { Issuer } from '#model/issuer.ts'
import type { TenantState } from '#model/state.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { readChain, readMayAct } from './chain.ts'
import { claimAt } from './claim-path.ts'
import { profileOf } from './profiles.ts'
import { stop } from './stop.ts'
import type { TokenClaims } from './token-claims.ts'
import { describeToken } from './token-facts.ts'

/** The parties that a verified token names. */
export interface TokenParties {
  readonly agent: string | undefined
  /** Undefined when the token speaks for the client itself (client credentials). */
  readonly user: string | undefined
  /** Whether that is the account of an agent. */
  readonly isUserOfAgent: boolean
  /** The `act` chain, outermost first; empty when the token delegates nothing. */
  readonly chain: readonly Actor[]
  readonly token: VerifiedToken
}

/**
 * Maps a token's claims to parties as its issuer is configured. `may_act` names no party: it speaks to who exchanges tokens
 * alone (RFC 8693 section 4.4).
 */
export function mapClaims(claims: TokenClaims, tenant: TenantState): Result<TokenParties, Stop> {
  const { issuer, payload } = claims
  const mapping = issuer.claims
  if (mapping.tenant !== undefined) {
    const named = claimAt(payload, mapping.tenant)
    if (named === undefined) return failed(stop('token.claim_missing', `\`${mapping.tenant}\``))
    if (named !== (mapping.tenantValue ?? tenant.id)) return failed(stop('token.tenant'))
  }
  const chain = readChain(claimAt(payload, mapping.actor ?? 'act'), issuer.issuer, tenant)
  if (!chain.ok) return chain
  const client = readClient(payload, issuer)
  if (!client.ok) return client
  const user = readUser(claims, client.value, chain.value)
  if (!user.ok) return user
  const token = describeToken(claims)
  if (!token.ok) return token
  const mayAct = readMayAct(payload['may_act'], issuer.issuer)
  return success({
    agent: chain.value[0]?.id ?? client.value,
    user: user.value,
    isUserOfAgent: profileOf(issuer).isUserOfAgent?.(payload) === true,
    chain: chain.value,
    token: {
      ...token.value,
      claims: payload,
      ...(chain.value.length > 0 && { client: client.value }),
      ...(namesActor(claims, chain.value) && { namesActor: true }),
      ...(mayAct !== undefined && { mayAct }),
    },
  })
}

function namesActor({ issuer, payload }: TokenClaims, chain: readonly Actor[]): boolean {
  return chain.length > 0 || profileOf(issuer).namesActor?.(payload) === true
}

function readClient(payload: JsonObject, issuer: Issuer): Result<string | undefined, Stop> {
  const mapped = issuer.claims.agent
  const names = mapped === undefined ? profileOf(issuer).clientClaims : [mapped]
  for (const name of names) {
    const value = claimAt(payload, name)
    if (value === undefined) continue
    return isId(value) ? success(value) : failed(stop('token.claim_invalid', `\`${name}\``))
  }
  return success(undefined)
}

function readUser(
  { issuer, payload }: TokenClaims,
  client: string | undefined,
  chain: readonly Actor[],
): Result<string | undefined, Stop> {
  const mapped = issuer.claims.user
  // RFC 9068 section 5: when `sub` is the client, no resource owner is involved. With `act` the subject is someone whose
  // authority limits the actor, whatever it is, so it stays a party.
  const { sub, client_id: clientId, azp } = payload
  const isOwn =
    [client, clientId, azp].some((name) => name !== undefined && name === sub) ||
    profileOf(issuer).isAutonomous?.(payload, client)
  if (chain.length === 0 && isOwn) return success(undefined)
  const value = claimAt(payload, mapped)
  if (value === undefined) return failed(stop('token.claim_missing', `\`${mapped}\``))
  return isId(value) ? success(value) : failed(stop('token.claim_invalid', `\`${mapped}\``))
}

function isId(value: Json | undefined): value is string {
  return typeof value === 'string' && value !== '' && value.length <= 512
}
