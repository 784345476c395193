import { hash } from 'node:crypto'
import { type EpochMilliseconds, type EpochSeconds, toSeconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import { API_KEY_ISSUER } from '#model/api-key.ts'
import type { Gateway } from '#model/gateway.ts'
import type { Party, Stop, VerifiedIdentity } from '#model/identity.ts'
import type { Issuer } from '#model/issuer.ts'
import type { TenantState } from '#model/state.ts'
import { stop } from './stop.ts'
import type { TokenClaims } from './token-claims.ts'

/** What stands for the issuer of API keys: Warder's own registry, which signs nothing. */
const REGISTRY: Issuer = {
  issuer: API_KEY_ISSUER,
  audience: [],
  algorithms: [],
  types: [],
  keys: { kind: 'static', keys: [] },
  claims: { tenant: undefined, agent: 'sub', user: 'sub' },
  clockToleranceSeconds: 0,
  lifetimeSecondsMax: 0,
}

/**
 * What an API key says: the agent that it is registered for, and nothing else. It is found by its SHA-256, so that how long a
 * look-up takes says nothing about keys that exist.
 *
 * INVARIANT: unknown, ended and foreign keys get the same answer, and none is shown to anybody, issuers least of all.
 */
export function readApiKey(
  value: string,
  { name, settings }: Gateway,
  tenant: TenantState,
  now: EpochMilliseconds,
): Result<TokenClaims, Stop> {
  if (settings?.apiKeys !== 'accept')
    return failed(stop('credentials.unsupported', 'this gateway is not registered to pass API keys on'))
  const key = tenant.apiKeys?.get(hash('sha256', value, 'hex'))
  if (key === undefined || key.expiresAt <= toSeconds(now)) return failed(stop('credentials.key_unknown'))
  const { id, agent, createdAt, expiresAt, boundTo, scopes = [], gateways } = key
  if (gateways !== undefined && !gateways.includes(name))
    return failed(stop('credentials.key_unknown', 'the key is for other gateways'))
  return success({
    issuer: REGISTRY,
    payload: { sub: agent, jti: id, scope: scopes.join(' ') },
    expiresAt,
    issuedAt: createdAt,
    usableFrom: 0 as EpochSeconds,
    usableUntil: expiresAt,
    boundTo,
    keyId: undefined,
    fingerprint: undefined,
  })
}

/** `identity` of an API key: nobody signed who the agent is, the registry says so. Any other identity stays as it is. */
export function asRegistered(identity: VerifiedIdentity): VerifiedIdentity {
  const { agent, subject, token } = identity
  if (token?.kind !== 'api-key') return identity
  const party: Party | undefined = agent && { ...agent, provenance: 'registry' }
  return { ...identity, agent: party, subject: subject && { ...subject, provenance: 'registry' } }
}
