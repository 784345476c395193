import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'
import { failed, type Result, success } from '#lib/result.ts'
import { ASSERTION_KINDS, type AssertionKind, type Gateway } from '#model/gateway.ts'
import type { Actor, ChainEvidence, Party, VerifiedIdentity, VerifiedToken } from '#model/identity.ts'
import type { GatewayId, TenantId } from '#model/ids.ts'
import type { ObligationType } from '#model/obligation.ts'
import type { Provenance } from '#model/provenance.ts'
import type { AuthorizationRequest, Credential, Dialect, EntityClaim, PartyClaim } from '#model/request.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { FACTS_VERSION } from './facts.ts'
import type { LogRow } from './port.ts'

/** A decision's inputs as its row kept them. */
export interface Replay {
  /** Credentials carry their scheme only; the identity below is what they proved. */
  readonly request: AuthorizationRequest
  readonly identity: VerifiedIdentity | undefined
  readonly gateway: Gateway
}

/**
 * Rebuilds what a row's decision was made from. Together with the row's release and state version it decides again.
 *
 * @returns why not, for a row that holds masked or cut facts, a refused credential, an unreadable request, or another layout.
 */
export function requestFromRow(row: LogRow): Result<Replay, string> {
  if (row.facts['version'] !== FACTS_VERSION) return failed('the facts have an unknown layout')
  if (row.trace['replayable'] !== true) return failed('the row does not hold everything that decided it')
  const facts = objectAt(row.facts, 'request')
  const gateway = objectAt(row.facts, 'gateway')
  if (facts === undefined || gateway === undefined) return failed('the facts are incomplete')
  const request = parseRequest(row, facts)
  const identity = objectAt(row.facts, 'identity')
  return success({
    request,
    identity: identity && parseIdentity(identity, request),
    gateway: parseGateway(gateway),
  })
}

function parseRequest(row: LogRow, facts: JsonObject): AuthorizationRequest {
  const session = objectAt(facts, 'session')
  const route = objectAt(facts, 'route')
  const action = objectAt(facts, 'action')
  const score = objectAt(facts, 'risk')?.['score']
  const supported = facts['supported_obligations']
  return {
    dialect: textAt(facts, 'dialect') as Dialect,
    now: facts['now'] as EpochMilliseconds,
    requestId: row.request_id ?? undefined,
    traceparent: row.traceparent ?? undefined,
    tenant: textIn(facts, 'tenant'),
    agent: parseParty(objectAt(facts, 'agent')),
    user: parseParty(objectAt(facts, 'user')),
    subject: parseEntity(objectAt(facts, 'subject')),
    credentials: textsAt(facts, 'credentials').map((scheme): Credential => ({ scheme, value: '' })),
    identityHeaders: listAt(facts, 'identity_headers').map(parseHeader),
    tool: textIn(facts, 'tool'),
    route: route && {
      method: textAt(route, 'method'),
      path: textAt(route, 'path'),
      host: textIn(route, 'host'),
    },
    ...protocolFacts(facts),
    action: action && { name: textAt(action, 'name'), properties: objectAt(action, 'properties') ?? {} },
    resource: parseEntity(objectAt(facts, 'resource')),
    arguments: objectAt(facts, 'arguments'),
    session: session && { id: textAt(session, 'id') },
    risk: typeof score === 'number' ? { score } : undefined,
    context: objectAt(facts, 'context') ?? {},
    declared: objectAt(facts, 'declared') ?? {},
    supportedObligations: supported === undefined ? undefined : textsAt(facts, 'supported_obligations'),
  }
}

function protocolFacts(
  facts: JsonObject,
): Pick<AuthorizationRequest, 'protocolEffect' | 'argumentsUnknown' | 'mapped'> {
  const effect = facts['protocol_effect']
  const mapped = objectAt(facts, 'mapped')
  return {
    ...(mapped !== undefined && { mapped }),
    ...((effect === 'read' || effect === 'write') && { protocolEffect: effect }),
    ...(facts['arguments_unknown'] === true && { argumentsUnknown: true }),
  }
}

function parseIdentity(facts: JsonObject, request: AuthorizationRequest): VerifiedIdentity {
  const party = (name: 'agent' | 'user'): Party | undefined => {
    const kept = objectAt(facts, name)
    return (
      kept && {
        id: textAt(kept, 'id'),
        provenance: textAt(kept, 'provenance') as Provenance,
        properties: request[name]?.properties ?? {},
        ...(kept['of_agent'] === true && { ofAgent: true }),
      }
    )
  }
  const subject = objectAt(facts, 'subject')
  const delegation = objectAt(facts, 'delegation') ?? {}
  const token = objectAt(facts, 'token')
  return {
    tenant: textAt(facts, 'tenant') as TenantId,
    agent: party('agent'),
    user: party('user'),
    subject: subject && {
      uid: { type: textAt(subject, 'type'), id: textAt(subject, 'id') },
      provenance: textAt(subject, 'provenance') as Provenance,
      properties: request.subject?.properties ?? {},
    },
    delegation: {
      source: textAt(delegation, 'source') as VerifiedIdentity['delegation']['source'],
      chain: listAt(delegation, 'chain').filter(isObject).map(parseActor),
      ...delegationFacts(delegation),
    },
    token: token && parseToken(token),
    ...('stale_keys' in facts && { staleKeys: textsAt(facts, 'stale_keys') }),
  }
}

function delegationFacts(
  facts: JsonObject,
): Pick<VerifiedIdentity['delegation'], 'evidence' | 'grants' | 'crossings'> {
  const evidence = textIn(facts, 'evidence')
  return {
    ...(evidence !== undefined && { evidence: evidence as ChainEvidence }),
    ...('grants' in facts && { grants: textsAt(facts, 'grants') }),
    ...('crossings' in facts && { crossings: textsAt(facts, 'crossings') as TenantId[] }),
  }
}

function parseToken(facts: JsonObject): VerifiedToken {
  const issuedAt = facts['issued_at']
  const client = textIn(facts, 'client')
  const boundTo = objectAt(facts, 'bound_to')
  return {
    issuer: textAt(facts, 'issuer'),
    ...(textIn(facts, 'kind') === 'api-key' && { kind: 'api-key' }),
    subject: textAt(facts, 'subject'),
    id: textIn(facts, 'id'),
    expiresAt: facts['expires_at'] as EpochSeconds,
    issuedAt: typeof issuedAt === 'number' ? (issuedAt as EpochSeconds) : undefined,
    scopes: textsAt(facts, 'scopes'),
    ...(client !== undefined && { client }),
    ...(boundTo !== undefined && { boundTo: parseBinding(boundTo) }),
  }
}

function parseBinding(facts: JsonObject): NonNullable<VerifiedToken['boundTo']> {
  const [jkt, x5t] = [textIn(facts, 'jkt'), textIn(facts, 'x5t')]
  return { ...(jkt !== undefined && { jkt }), ...(x5t !== undefined && { x5t }) }
}

function parseGateway(facts: JsonObject): Gateway {
  const asserts = new Set(textsAt(facts, 'asserts'))
  return {
    id: textAt(facts, 'id') as GatewayId,
    name: textAt(facts, 'name'),
    tenant: textAt(facts, 'tenant') as TenantId,
    asserts:
      facts['asserts'] === null
        ? undefined
        : new Set<AssertionKind>(ASSERTION_KINDS.filter((kind) => asserts.has(kind))),
    userOnly: facts['user_only'] === true,
    obligations:
      facts['obligations'] === null ? undefined : new Set(textsAt(facts, 'obligations') as ObligationType[]),
  }
}

function parseParty(facts: JsonObject | undefined): PartyClaim | undefined {
  return facts && { id: textAt(facts, 'id'), properties: objectAt(facts, 'properties') ?? {} }
}

function parseEntity(facts: JsonObject | undefined): EntityClaim | undefined {
  return (
    facts && {
      type: textAt(facts, 'type'),
      id: textAt(facts, 'id'),
      properties: objectAt(facts, 'properties') ?? {},
    }
  )
}

function parseActor(facts: JsonObject): Actor {
  return { issuer: textIn(facts, 'issuer'), id: textAt(facts, 'id') }
}

function parseHeader(header: Json): readonly [string, string] {
  const [name, value] = Array.isArray(header) ? header : []
  return [String(name), String(value)]
}

function objectAt(facts: JsonObject, name: string): JsonObject | undefined {
  const value = facts[name]
  return isObject(value) ? value : undefined
}

function textIn(facts: JsonObject, name: string): string | undefined {
  const value = facts[name]
  return typeof value === 'string' ? value : undefined
}

function textAt(facts: JsonObject, name: string): string {
  return textIn(facts, name) ?? ''
}

function listAt(facts: JsonObject, name: string): readonly Json[] {
  const value = facts[name]
  return Array.isArray(value) ? value : []
}

function textsAt(facts: JsonObject, name: string): string[] {
  return listAt(facts, name).filter((item) => typeof item === 'string')
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
