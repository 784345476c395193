import { type LogEntry, makeEntry } from '#decision-log/entry.ts'
import type { Mask } from '#decision-log/mask.ts'
import type { LogWriter } from '#decision-log/writer.ts'
import { createFindAgent } from '#delegation/find-agent.ts'
import { guardDelegation } from '#delegation/guard.ts'
import { resolveDelegation } from '#delegation/resolve.ts'
import { scopesNeeded } from '#delegation/scopes-needed.ts'
import { guardAfter } from '#guards/after.ts'
import { type DetailedCall, fitsDetails } from '#guards/authorization-details.ts'
import { guardBefore } from '#guards/before.ts'
import { comeBack } from '#guards/challenge.ts'
import { guardPossession } from '#guards/possession.ts'
import { guardRevoked, guardStopped } from '#guards/revoked.ts'
import { guardScopes } from '#guards/scopes.ts'
import { mayAssert } from '#identity/assertion.ts'
import type { Verify } from '#identity/verify.ts'
import type { Clock } from '#lib/clock.ts'
import { uuidV7 } from '#lib/uuid.ts'
import type { Judgement } from '#model/answer.ts'
import type { Decider } from '#model/decider.ts'
import type { Decision } from '#model/decision.ts'
import type { Gateway } from '#model/gateway.ts'
import type { Stop, VerifiedIdentity } from '#model/identity.ts'
import type { DecisionId } from '#model/ids.ts'
import { REASONS } from '#model/reasons.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { State, TenantState } from '#model/state.ts'
import type { JsonObject } from '#model/value.ts'
import { toolIdOf } from '#policy/ask/warder-entities.ts'
import type { JudgePolicy } from '#policy/judge.ts'
import { bindAction } from '#protocols/bind-action.ts'
import type { Breakers } from '#revocation/breakers.ts'
import { countOutcome } from '#revocation/count-outcome.ts'
import { dependenciesOf, placesOf } from '#revocation/dependencies.ts'

/** The steps of a decision, wired once (src/wire.ts). */
export interface Steps {
  readonly clock: Clock
  readonly state: State
  readonly freshnessMillisecondsMax: number
  readonly verify: Verify
  readonly judgePolicy: JudgePolicy
  /** Undefined: no agent is stopped for its denials. */
  readonly breakers?: Breakers
  readonly log: Pick<LogWriter, 'write'>
  readonly mask: Mask
  /** Told about every exception that became a deny; the message stays inside. */
  readonly onFault: (error: unknown) => void
}

/** What judging found, with everything that the log wants to know. */
interface Judged {
  readonly judgement: Judgement
  readonly identity?: VerifiedIdentity
  readonly tenant?: TenantState
  /** The request with what its message turned out to call. */
  readonly call?: AuthorizationRequest
}

/** Builds the product: one request from top to bottom. */
export function createDecider(steps: Steps): Decider {
  return {
    async decide(request, gateway) {
      const startedAt = performance.now()
      const judged = await judgeSafely(steps, request, gateway)
      countOutcome(steps.breakers, judged, request.now)
      return await record(steps, { request, gateway, judged, startedAt })
    },
    async refuse(malformed, gateway, dialect, requestId) {
      const request = { ...NOTHING_READ, dialect, requestId, now: steps.clock() }
      const judged = stopped({ code: malformed.code, message: malformed.message })
      return await record(steps, { request, gateway, judged, startedAt: performance.now() })
    },
  }
}

/** How often a request is judged anew because the state changed under it. A verified token is not verified twice. */
const ATTEMPTS_MAX = 3

/** Steps 1 to 14 of docs/architecture.md as a straight line; the first that says no wins. */
async function judge(
  steps: Steps,
  request: AuthorizationRequest,
  gateway: Gateway,
  attempt = 1,
): Promise<Judged> {
  const before = guardBefore(request, gateway, steps.state, steps.freshnessMillisecondsMax)
  if (before !== undefined) return stopped(before)
  const tenant = steps.state.tenant(gateway.tenant)
  if (tenant === undefined) return stopped({ code: 'tenant.unknown', message: REASONS['tenant.unknown'] })
  const stop = guardStopped(placesOf(request, tenant), tenant.revocations, request.now)
  if (stop !== undefined) return stopped(stop, tenant)

  const verified = await steps.verify(request, gateway, tenant)
  // INVARIANT: everything below is decided on the state as it is now. Fetching an issuer's keys takes as long as the issuer
  // likes, and what was revoked meanwhile must count.
  if (steps.state.tenant(gateway.tenant) !== tenant) {
    return attempt < ATTEMPTS_MAX
      ? await judge(steps, request, gateway, attempt + 1)
      : stopped({ code: 'state.stale', message: REASONS['state.stale'], detail: 'the state kept changing' })
  }
  if (!verified.ok) return stopped(verified.failure, tenant)
  const findAgent = createFindAgent(tenant, steps.state, request.now)
  const identity = resolveDelegation(verified.value, tenant, findAgent, request.now)
  const revoked = judgeRevoked(steps, request, identity, tenant)
  if (revoked !== undefined) return stopped(revoked, tenant, identity)

  const { release, registry } = tenant
  if (release === undefined) {
    return stopped({ code: 'policy.no_release', message: REASONS['policy.no_release'] }, tenant, identity)
  }
  const after = guardAfter(identity, tenant, findAgent, request.now)
  if (after !== undefined) return stopped(after, tenant, identity)

  const bound = bindAction(request, tenant)
  if (!bound.ok) return stopped(bound.failure, tenant, identity)
  const call = bound.value
  const halted = guardStopped(placesOf(call, tenant), tenant.revocations, request.now)
  if (halted !== undefined) return stopped(halted, tenant, identity)
  const tool = toolIdOf(call, registry)?.id
  const detailed = detailedCall(call, gateway, tool, registry)
  const fits = (details: readonly JsonObject[]) => fitsDetails(details, detailed)
  const delegated = guardDelegation({ identity, tenant, findAgent, tool }, call, fits)
  if (!delegated.ok) return stopped(delegated.failure, tenant, identity)
  const acting = delegated.value
  const beyond =
    guardPossession(acting.token, tenant.rules, tool, registry) ??
    guardScopes(acting.token, scopesNeeded(tenant.rules, tool, registry), detailed)
  if (beyond !== undefined) return stopped(beyond, tenant, acting)

  const trusts = {
    properties: mayAssert(gateway, request.dialect, 'properties'),
    context: mayAssert(gateway, request.dialect, 'context'),
  }
  const judgement = steps.judgePolicy({ request: call, identity: acting, gateway, registry, release, trusts })
  return { judgement, identity: acting, tenant, call }
}

/** The call as authorization details see it. */
function detailedCall(
  request: AuthorizationRequest,
  { settings }: Gateway,
  tool: string | undefined,
  registry: TenantState['registry'],
): DetailedCall {
  const groups = tool === undefined ? [] : registry.ancestors({ type: 'Warder::Action', id: tool })
  const locations = [...(settings?.audience ?? []), ...(settings?.externalUrl ? [settings.externalUrl] : [])]
  return { request, now: request.now, tool, groups: groups.map(({ id }) => id), locations }
}

/** Step 8: whatever the call hangs on, revoked in the database or by a breaker that opened here. */
function judgeRevoked(
  steps: Steps,
  request: AuthorizationRequest,
  identity: VerifiedIdentity,
  tenant: TenantState,
): Stop | undefined {
  const dependencies = dependenciesOf(identity, request, tenant)
  const issuedAt = identity.token?.issuedAt
  return (
    guardRevoked(dependencies, tenant.revocations, request.now, issuedAt) ??
    guardRevoked(dependencies, steps.breakers?.of(tenant.id), request.now, issuedAt)
  )
}

/** INVARIANT: the only catch of the path. A fault is a deny with a reason code and a row, never an exception outside. */
async function judgeSafely(steps: Steps, request: AuthorizationRequest, gateway: Gateway): Promise<Judged> {
  try {
    return await judge(steps, request, gateway)
  } catch (error) {
    steps.onFault(error)
    const detail = error instanceof Error ? error.name : 'unknown'
    return stopped({ code: 'internal.fault', message: REASONS['internal.fault'], detail })
  }
}

function stopped(stop: Stop, tenant?: TenantState, identity?: VerifiedIdentity): Judged {
  const judgement: Judgement = {
    effect: 'deny',
    reasons: [{ code: stop.code, message: stop.message }],
    obligations: [],
    advice: [],
    expiresAt: undefined,
    trace: stop.detail === undefined ? {} : { detail: stop.detail },
    ...(stop.challenge !== undefined && { challenge: stop.challenge }),
    ...(stop.retryAfterSeconds !== undefined && { retryAfterSeconds: stop.retryAfterSeconds }),
  }
  return { judgement, ...(tenant !== undefined && { tenant }), ...(identity !== undefined && { identity }) }
}

/** Steps 15 and 16: the answer leaves only with its row; without one it is a deny that says so. */
async function record(steps: Steps, facts: Recorded): Promise<Decision> {
  const decision = decisionOf(facts)
  try {
    const written = await steps.log.write(entryOf(steps, facts, decision))
    return written.ok ? decision : unlogged(decision, written.failure)
  } catch (error) {
    steps.onFault(error)
    return unlogged(decision, 'log.unavailable')
  }
}

interface Recorded {
  readonly request: AuthorizationRequest
  readonly gateway: Gateway
  readonly judged: Judged
  readonly startedAt: number
}

function decisionOf({ request, gateway, judged: { judgement, identity, tenant } }: Recorded): Decision {
  const nonce = identity?.nonce ?? judgement.challenge?.nonce
  return {
    id: uuidV7(request.now) as DecisionId,
    tenant: gateway.tenant,
    identity: {
      ...(identity?.agent !== undefined && { agent: identity.agent.id }),
      ...(identity?.user !== undefined && { user: identity.user.id }),
    },
    effect: judgement.effect,
    reasons: judgement.reasons.map((reason) => ({
      ...reason,
      message: reason.message ?? REASONS[reason.code],
    })),
    obligations: judgement.obligations,
    advice: judgement.advice,
    upstreamHeaders: tenant?.release?.upstreamHeaders ?? [],
    release: tenant?.release?.id,
    stateVersion: tenant?.version ?? 0,
    decidedAt: request.now,
    expiresAt: judgement.expiresAt,
    ...comeBack(judgement, identity, gateway),
    ...(nonce !== undefined && { proofNonce: nonce }),
  }
}

function entryOf(
  steps: Steps,
  { request: asked, gateway, judged, startedAt }: Recorded,
  decision: Decision,
): LogEntry {
  const { judgement, identity, call: request = asked } = judged
  // INVARIANT: what a tenant marks is masked in refusals too, also in those before its state was looked at.
  const tenant = judged.tenant ?? steps.state.tenant(gateway.tenant)
  const durationMicroseconds = Math.round((performance.now() - startedAt) * 1000)
  const sensitiveArguments = sensitiveArgumentsOf(tenant, judgement.trace.tool ?? request.tool)
  const masks = { sensitiveArguments, maskFields: tenant?.maskFields }
  return makeEntry(
    { request, identity, judgement, decision, gateway, durationMicroseconds, ...masks },
    steps.mask,
  )
}

/** Names of the arguments that the tool's registration marks as sensitive; their values are masked in the log. */
function sensitiveArgumentsOf(
  tenant: TenantState | undefined,
  tool: string | undefined,
): ReadonlySet<string> {
  const marked =
    tool && tenant?.registry.find({ type: 'Warder::Tool', id: tool })?.attrs['sensitiveArguments']
  return new Set(Array.isArray(marked) ? marked.map(String) : [])
}

function unlogged(decision: Decision, code: 'log.unavailable' | 'log.overflow'): Decision {
  const reasons = [{ code, message: REASONS[code] }]
  // Nothing is said about the client's credentials.
  const { challenge: _challenge, ...rest } = decision
  const nothing = { obligations: [], advice: [], expiresAt: undefined, retryAfterSeconds: 1 }
  return { ...rest, effect: 'deny', reasons, ...nothing }
}

const NOTHING_READ: Omit<AuthorizationRequest, 'dialect' | 'requestId' | 'now'> = {
  traceparent: undefined,
  tenant: undefined,
  agent: undefined,
  user: undefined,
  subject: undefined,
  credentials: [],
  identityHeaders: [],
  tool: undefined,
  route: undefined,
  action: undefined,
  resource: undefined,
  arguments: undefined,
  session: undefined,
  risk: undefined,
  context: {},
  declared: {},
  supportedObligations: undefined,
}
