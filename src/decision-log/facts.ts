import type { Gateway } from '#model/gateway.ts'
import type { Presenter, VerifiedIdentity } from '#model/identity.ts'
import type { AuthorizationRequest, EntityClaim, PartyClaim } from '#model/request.ts'
import type { JsonObject } from '#model/value.ts'
import { jsonMembers } from './json-object.ts'
import type { Mask, MaskReport } from './mask.ts'

/** Layout of `facts`; a replay refuses one that it does not know. */
export const FACTS_VERSION = 1

/**
 * Everything about a request that decides it, masked: what was claimed, who was verified, and which gateway asked. With the
 * row's release and state version it is enough to decide again. Of credentials only the scheme is kept.
 */
export function factsOf(
  input: {
    readonly request: AuthorizationRequest
    readonly identity: VerifiedIdentity | undefined
    readonly gateway: Gateway
    readonly sensitiveArguments?: ReadonlySet<string>
    readonly maskFields?: ReadonlySet<string> | undefined
  },
  mask: Mask,
  report: MaskReport,
): JsonObject {
  // Masked in this order, because the room in a row is limited; the request goes first.
  const request = requestFacts(input, mask, report)
  const identity = input.identity === undefined ? null : identityFacts(input.identity, mask, report)
  return { gateway: gatewayFacts(input.gateway), identity, request, version: FACTS_VERSION }
}

function requestFacts(
  { request, sensitiveArguments, maskFields }: Parameters<typeof factsOf>[0],
  mask: Mask,
  report: MaskReport,
): JsonObject {
  const masked = (value: JsonObject | undefined, path: string, names = maskFields) =>
    value === undefined ? undefined : mask.json(value, path, report, names)
  const named = (claim: PartyClaim | EntityClaim | undefined, path: string) =>
    claim &&
    jsonMembers({
      type: 'type' in claim ? mask.json(claim.type, `${path}.type`, report) : undefined,
      id: mask.json(claim.id, `${path}.id`, report),
      properties: masked(claim.properties, `${path}.properties`),
    })
  const { action, route, session } = request
  return jsonMembers({
    dialect: request.dialect,
    now: request.now,
    tenant: request.tenant === undefined ? undefined : mask.json(request.tenant, 'tenant', report),
    agent: named(request.agent, 'agent'),
    user: named(request.user, 'user'),
    subject: named(request.subject, 'subject'),
    credentials: request.credentials.map(({ scheme }) => mask.text(scheme).slice(0, 32)),
    identity_headers: request.identityHeaders.map((header) =>
      mask.json([...header], 'identity_headers', report),
    ),
    tool: request.tool === undefined ? undefined : mask.json(request.tool, 'tool', report),
    // The query stays out: no policy reads it, and people put secrets there.
    route:
      route && masked(jsonMembers({ method: route.method, path: route.path, host: route.host }), 'route'),
    protocol_effect: request.protocolEffect,
    arguments_unknown: request.argumentsUnknown,
    action: action && {
      name: mask.json(action.name, 'action.name', report),
      properties: mask.json(action.properties, 'action.properties', report, maskFields),
    },
    resource: named(request.resource, 'resource'),
    arguments: masked(request.arguments, 'arguments', both(sensitiveArguments, maskFields)),
    session: session && mask.json({ id: session.id }, 'session', report),
    risk: request.risk,
    context: masked(request.context, 'context'),
    mapped: masked(request.mapped, 'mapped'),
    declared: masked(request.declared, 'declared'),
    supported_obligations: request.supportedObligations?.map((type) =>
      mask.json(type, 'supported_obligations', report),
    ),
  })
}

/** One of the two is empty in nearly every request. */
function both(
  names: ReadonlySet<string> | undefined,
  more: ReadonlySet<string> | undefined,
): ReadonlySet<string> | undefined {
  if (names === undefined || names.size === 0) return more
  return more === undefined || more.size === 0 ? names : new Set([...names, ...more])
}

/** Properties are not repeated: they are those of the claims with the same name. */
function identityFacts(identity: VerifiedIdentity, mask: Mask, report: MaskReport): JsonObject {
  const party = (each: VerifiedIdentity['agent'], path: string) =>
    each &&
    jsonMembers({
      id: mask.json(each.id, path, report),
      provenance: each.provenance,
      of_agent: each.ofAgent,
    })
  const { subject, token, delegation } = identity
  return jsonMembers({
    tenant: identity.tenant,
    agent: party(identity.agent, 'identity.agent'),
    user: party(identity.user, 'identity.user'),
    subject: subject && {
      id: mask.json(subject.uid.id, 'identity.subject', report),
      provenance: subject.provenance,
      type: mask.json(subject.uid.type, 'identity.subject.type', report),
    },
    delegation: jsonMembers({
      chain: delegation.chain.map(({ issuer, id, profile }) =>
        jsonMembers({
          issuer,
          id: mask.json(id, 'identity.chain', report),
          profile: profile === undefined ? undefined : mask.text(profile),
        }),
      ),
      crossings: delegation.crossings?.length ? delegation.crossings : undefined,
      evidence: delegation.evidence,
      grants: delegation.grants?.length ? delegation.grants : undefined,
      source: delegation.source,
    }),
    token:
      token &&
      jsonMembers({
        issuer: token.issuer,
        kind: token.kind,
        subject: mask.json(token.subject, 'identity.token.subject', report),
        id: token.id === undefined ? undefined : mask.text(token.id),
        client:
          token.client === undefined ? undefined : mask.json(token.client, 'identity.token.client', report),
        expires_at: token.expiresAt,
        issued_at: token.issuedAt,
        scopes: token.scopes.map((scope) => mask.json(scope, 'identity.token.scopes', report)),
        bound_to: token.boundTo && jsonMembers({ ...token.boundTo }),
      }),
    presenter: identity.presenter && presenterFacts(identity.presenter),
    transaction: identity.transaction && { id: mask.text(identity.transaction.id) },
    stale_keys: identity.staleKeys,
  })
}

/** Thumbprints of public keys and certificates; no secrets. */
function presenterFacts({ proof, thumbprint, certificate, workload }: Presenter): JsonObject {
  return jsonMembers({
    proof,
    thumbprint,
    serial: certificate?.serial,
    certificate_issuer: certificate?.issuer,
    spiffe_id: certificate?.spiffeId,
    workload,
  })
}

function gatewayFacts(gateway: Gateway): JsonObject {
  return {
    asserts: gateway.asserts === undefined ? null : [...gateway.asserts],
    id: gateway.id,
    name: gateway.name,
    obligations: gateway.obligations === undefined ? null : [...gateway.obligations],
    tenant: gateway.tenant,
    user_only: gateway.userOnly,
  }
}
