import type { Admit } from '#delegation/admission.ts'
import { createDelegations, type RegisteredGrant } from '#delegation/delegations.ts'
import { authzen } from '#gateways/authzen.ts'
import { envoyHttp } from '#gateways/envoy-http.ts'
import { forwardAuth } from '#gateways/forward-auth.ts'
import { native } from '#gateways/native.ts'
import type { GatewayDialect, WireRequest } from '#gateways/wire.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { ClientDocuments } from '#model/client-document.ts'
import type { Decision } from '#model/decision.ts'
import type { Federation } from '#model/delegation.ts'
import type { TenantId } from '#model/ids.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { Release } from '#model/release.ts'
import type { Revocations } from '#model/revocation.ts'
import type { TenantState } from '#model/state.ts'
import type { TenantRules } from '#model/tenant-rules.ts'
import type { JsonObject } from '#model/value.ts'
import { applyEntities, emptyRegistry } from '#registry/snapshot.ts'
import { issuer, makeKey, type SigningKey, sign } from '../support/tokens.ts'
import { jsonWire, wire } from '../support/wire.ts'
import { createWorld, NOON, policyFile, releaseOf, type World } from '../support/world.ts'

export const HOME = 'acme' as TenantId
export const FOREIGN = 'beta' as TenantId
export const ISSUER = 'https://idp.example'
export const PARTNER = 'https://partner.example'
export const TOOL = 'crm/read'
const AUDIENCE = 'https://tools.example/mcp'

/** What one question is asked against; everything has a default under which it is allowed. */
export interface Scene {
  readonly agents?: readonly StoredEntity[]
  readonly more?: readonly StoredEntity[]
  readonly rules?: TenantRules
  readonly grants?: readonly RegisteredGrant[]
  readonly federations?: readonly Federation[]
  /** Agents of the other tenant, and what it has revoked. */
  readonly foreign?: readonly StoredEntity[]
  readonly foreignRevocations?: Revocations
  readonly revocations?: Revocations
  /** Metadata documents of the clients of the issuer. */
  readonly documents?: ClientDocuments
}

/** An `act` claim for actors, outermost first. */
export function act(...ids: readonly (string | JsonObject)[]): JsonObject | undefined {
  return ids.reduceRight<JsonObject | undefined>((inner, id) => {
    const own = typeof id === 'string' ? { sub: id } : id
    return inner === undefined ? own : { ...own, act: inner }
  }, undefined)
}

export function agent(
  id: string,
  attrs: StoredEntity['attrs'] = {},
  parents: StoredEntity['parents'] = [],
): StoredEntity {
  return {
    uid: { type: 'Warder::Agent', id },
    attrs: {
      tenant: reference('Tenant', HOME),
      status: 'active',
      environment: 'any',
      // Two issuers could name it.
      issuer: ISSUER,
      ...attrs,
    },
    tags: {},
    parents: [{ type: 'Warder::Tenant', id: HOME }, ...parents],
  }
}

export function reference(type: string, id: string): JsonObject {
  return { __entity: { type: `Warder::${type}`, id } }
}

let grants = 0
/** A grant in force without ceilings. */
export function grant(from: string, to: string, more: Partial<RegisteredGrant> = {}): RegisteredGrant {
  const [kind, id = ''] = from.split(':')
  grants++
  return {
    id: `grant-${grants}`,
    from: { kind: kind === 'user' ? 'user' : 'agent', id },
    to,
    isRevoked: false,
    ...more,
  }
}

/** A federation in force for one agent and every tool. */
export function federation(more: Partial<Federation> = {}): Federation {
  return {
    id: 'federation-1',
    home: HOME,
    foreign: FOREIGN,
    direction: 'in',
    agents: ['guest'],
    tools: ['*'],
    roles: ['subject', 'actor'],
    endsAt: (NOON + 60_000) as EpochMilliseconds,
    ...more,
  }
}

/** Agents `a` to `f`. */
export const AGENTS: readonly StoredEntity[] = [...'abcdef'].map((id) => agent(id))
/** The tool, of low risk, which only reads. */
export const TOOLS: readonly StoredEntity[] = [
  {
    uid: { type: 'Warder::Tool', id: TOOL },
    attrs: {
      tenant: reference('Tenant', HOME),
      riskTier: 'low',
      sideEffect: 'read',
      touches: [],
      environment: 'any',
      route: 'GET /crm',
    },
    tags: {},
    parents: [],
  },
  {
    uid: { type: 'Warder::Action', id: TOOL },
    attrs: {},
    tags: {},
    parents: [{ type: 'Warder::Action', id: 'readTools' }],
  },
]

const POLICY = `
  @id("agents") @obligation("{\\"type\\":\\"max_age\\",\\"seconds\\":60}") permit (principal is Warder::Agent, action in Warder::Action::"readTools", resource)
    when { !context.autonomous };
  @id("users") permit (principal is Warder::User, action in Warder::Action::"readTools", resource);
  @id("alone") permit (principal == Warder::Agent::"f", action in Warder::Action::"readTools", resource)
    when { context.autonomous };
`

let key: SigningKey | undefined
let release: Release | undefined

/** The world of a scene; the release is compiled once for a test file. */
export async function worldOf(scene: Scene, admit?: Admit): Promise<World> {
  key ??= await makeKey('ES256', 'k1')
  release ??= await releaseOf([policyFile(POLICY)])
  const other: TenantState = {
    id: FOREIGN,
    version: 1,
    registry: applyEntities(emptyRegistry(), scene.foreign ?? [], []),
    release: undefined,
    issuers: [],
    ...(scene.foreignRevocations !== undefined && { revocations: scene.foreignRevocations }),
  }
  return await createWorld(HOME, {
    policies: [],
    release,
    entities: [...TOOLS, ...(scene.agents ?? AGENTS), ...(scene.more ?? [])],
    issuers: [
      issuer([key], { audience: [AUDIENCE], clientMetadata: scene.documents !== undefined }),
      issuer([key], { issuer: PARTNER }),
    ],
    ...(scene.documents !== undefined && { documents: scene.documents }),
    delegations: createDelegations(scene.grants ?? [], scene.federations ?? []),
    others: [other],
    ...(scene.rules !== undefined && { rules: scene.rules }),
    ...(scene.revocations !== undefined && { revocations: scene.revocations }),
    ...(admit !== undefined && { admit }),
  })
}

/** A signed token of alice, without a client of its own, valid at noon. */
export async function tokenOf(claims: JsonObject): Promise<string> {
  key ??= await makeKey('ES256', 'k1')
  const seconds = NOON / 1000
  return await sign(key, {
    iss: ISSUER,
    aud: AUDIENCE,
    sub: 'alice',
    client_id: 'broker',
    jti: 'token-1',
    iat: seconds - 60,
    exp: seconds + 600,
    scope: 'crm.read crm.write',
    ...claims,
  })
}

/** The same call with the same token in every dialect. */
export const ASK: { readonly [dialect: string]: (token: string) => readonly [GatewayDialect, WireRequest] } =
  {
    native: (token) => [native, jsonWire('/v1/decide', { tool: TOOL, credentials: { access_token: token } })],
    authzen: (token) => [
      authzen,
      jsonWire('/access/v1/evaluation', {
        subject: { type: 'user', id: 'alice' },
        action: { name: TOOL },
        resource: { type: 'tool', id: TOOL },
        context: { warder: { credentials: { access_token: token } } },
      }),
    ],
    'forward-auth': (token) => [
      forwardAuth,
      wire({
        method: 'GET',
        target: '/auth',
        headers: [
          ['X-Forwarded-Method', 'GET'],
          ['X-Forwarded-Uri', '/crm'],
          ['X-Forwarded-Host', 'tools.example'],
          ['Authorization', `Bearer ${token}`],
        ],
      }),
    ],
    'envoy-http': (token) => [
      envoyHttp,
      wire({
        method: 'GET',
        target: '/crm',
        headers: [
          ['Host', 'tools.example'],
          ['Authorization', `Bearer ${token}`],
        ],
      }),
    ],
  }

/** What `world` answers to a wire request. */
export async function askWire(
  world: World,
  [dialect, request]: readonly [GatewayDialect, WireRequest],
): Promise<Decision> {
  const read = dialect.read(request, world.gateway, NOON)
  if (!read.ok) throw new Error(read.failure.message)
  const [question] = read.value.requests
  if (question === undefined) throw new Error('nothing was read')
  return await world.decider.decide(question, world.gateway)
}

/** The first reason code of a decision. */
export function codeOf(decision: Decision): string {
  return decision.reasons[0]?.code ?? 'none'
}
