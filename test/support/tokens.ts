import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose'
import type { Gateway } from '#model/gateway.ts'
import type { GatewayId, TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import type { RegistrySnapshot, StoredEntity } from '#model/registry.ts'
import { type AuthorizationRequest, NOTHING_READ } from '#model/request.ts'
import type { TenantState } from '#model/state.ts'

/** The frozen clock of identity tests. */
export const NOW_SECONDS = 1_800_000_000
export const ISSUER = 'https://idp.example'
export const AUDIENCE = 'https://tools.example/mcp'
export const TENANT = 'acme' as TenantId

/** A signing key with its public half as an issuer publishes it. */
export interface SigningKey {
  readonly alg: string
  readonly kid: string
  readonly privateKey: CryptoKey
  readonly jwk: JWK
}

export async function makeKey(alg: string, kid: string): Promise<SigningKey> {
  const { privateKey, publicKey } = await generateKeyPair(alg, { extractable: true })
  return { alg, kid, privateKey, jwk: { ...(await exportJWK(publicKey)), kid, alg, use: 'sig' } }
}

/** Claims of a token that a delegated call carries; override or remove (undefined) what a test is about. */
export function claims(more: JWTPayload = {}): JWTPayload {
  const all = {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: 'alice',
    client_id: 'agent-1',
    jti: 'token-1',
    iat: NOW_SECONDS - 60,
    exp: NOW_SECONDS + 600,
    scope: 'tools.call',
    ...more,
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
}

export function sign(key: SigningKey, payload: JWTPayload = claims(), header: object = {}): Promise<string> {
  return new SignJWT(payload)
    .setProtectedHeader({ alg: key.alg, kid: key.kid, typ: 'at+jwt', ...header })
    .sign(key.privateKey)
}

export function issuer(keys: readonly SigningKey[], more: Partial<Issuer> = {}): Issuer {
  return {
    issuer: ISSUER,
    audience: [AUDIENCE],
    algorithms: ['ES256', 'RS256', 'EdDSA'],
    types: ['at+jwt'],
    keys: { kind: 'static', keys: keys.map((key) => ({ ...key.jwk })) },
    claims: { tenant: undefined, agent: undefined, user: 'sub' },
    clockToleranceSeconds: 30,
    lifetimeSecondsMax: 3_600,
    ...more,
  }
}

/** A registry that holds exactly `entities`. */
export function registryOf(entities: readonly StoredEntity[] = []): RegistrySnapshot {
  return {
    size: entities.length,
    find: (uid) => entities.find((each) => each.uid.type === uid.type && each.uid.id === uid.id),
    ancestors: () => [],
    ofType: (type) => entities.filter((each) => each.uid.type === type),
    inOrder: () => [],
    matchRoute: () => undefined,
    matchServer: () => undefined,
  }
}

export function tenantWith(issuers: readonly Issuer[], more: Partial<TenantState> = {}): TenantState {
  return { id: TENANT, version: 1, registry: registryOf(), release: undefined, issuers, ...more }
}

export function gateway(more: Partial<Gateway> = {}): Gateway {
  return {
    id: '0199d000-0000-7000-8000-000000000001' as GatewayId,
    name: 'edge',
    tenant: TENANT,
    asserts: undefined,
    userOnly: false,
    obligations: undefined,
    ...more,
  }
}

export function request(more: Partial<AuthorizationRequest> = {}): AuthorizationRequest {
  return {
    ...NOTHING_READ,
    dialect: 'native',
    now: (NOW_SECONDS * 1000) as AuthorizationRequest['now'],
    requestId: undefined,
    tool: 'crm/read',
    ...more,
  }
}

export function bearer(value: string): { readonly credentials: AuthorizationRequest['credentials'] } {
  return { credentials: [{ scheme: 'bearer', value }] }
}

export function named(id: string, properties = {}): AuthorizationRequest['agent'] {
  return { id, properties }
}
