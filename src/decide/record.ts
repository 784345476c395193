import { crossingEntry } from '#decision-log/crossing.ts'
import { type LogEntry, makeEntry } from '#decision-log/entry.ts'
import type { Mask } from '#decision-log/mask.ts'
import type { LogWriter } from '#decision-log/writer.ts'
import { comeBack } from '#guards/challenge.ts'
import { uuidV7 } from '#lib/uuid.ts'
import type { Decision } from '#model/decision.ts'
import type { Gateway } from '#model/gateway.ts'
import type { DecisionId } from '#model/ids.ts'
import { REASONS } from '#model/reasons.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { State, TenantState } from '#model/state.ts'
import { type Judged, upstreamHeadersOf } from './judged.ts'

/** What writing the row takes. */
export interface RecordSteps {
  readonly state: State
  readonly log: Pick<LogWriter, 'write'>
  readonly mask: Mask
  readonly onFault: (error: unknown) => void
}

/** Steps 15 and 16: the answer leaves only with its row; without one it is a deny that says so. */
export async function record(steps: RecordSteps, facts: Recorded): Promise<Decision> {
  const decision = decisionOf(facts)
  try {
    const rows = rowsOf(facts, entryOf(steps, facts, decision))
    const written = await Promise.all(rows.map((row) => steps.log.write(row)))
    const lost = written.find(({ ok }) => !ok)
    return lost === undefined || lost.ok ? decision : unlogged(decision, lost.failure)
  } catch (error) {
    steps.onFault(error)
    return unlogged(decision, 'log.unavailable')
  }
}

/** Everything that one row and its answer are made of. */
export interface Recorded {
  readonly request: AuthorizationRequest
  readonly gateway: Gateway
  readonly judged: Judged
  readonly startedAt: number
}

function decisionOf({ request, gateway, judged }: Recorded): Decision {
  const { judgement, identity, tenant, upstreamToken, capabilities } = judged
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
    upstreamHeaders: upstreamHeadersOf(judged, request),
    release: tenant?.release?.id,
    stateVersion: tenant?.version ?? 0,
    decidedAt: request.now,
    expiresAt: judgement.expiresAt,
    ...(judgement.permitted !== undefined && { permitted: judgement.permitted }),
    ...(judgement.found !== undefined && { found: judgement.found }),
    ...(judgement.explanation !== undefined && { explanation: judgement.explanation }),
    ...comeBack(judgement, identity, gateway),
    ...(nonce !== undefined && { proofNonce: nonce }),
    ...(upstreamToken !== undefined && { upstreamToken }),
    ...(capabilities !== undefined && { capabilities }),
  }
}

/** The row, and one for each other tenant whose agents took part: the answer leaves when all of them are durable. */
function rowsOf({ judged: { identity }, request }: Recorded, entry: LogEntry): readonly LogEntry[] {
  // INVARIANT: what an operator only asks about writes into no other tenant's log.
  if (identity?.delegation.crossings === undefined || request.explain === 'operator') return [entry]
  const crossings = identity.delegation.crossings.map((tenant) =>
    crossingEntry(entry, tenant, identity, uuidV7(request.now)),
  )
  return [entry, ...crossings]
}

function entryOf(
  steps: RecordSteps,
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
  // Nothing is said about the client's credentials, nor explained, and no token is handed over.
  const {
    challenge: _challenge,
    explanation: _explanation,
    upstreamToken: _token,
    capabilities: _capabilities,
    found: _found,
    ...rest
  } = decision
  const nothing = { obligations: [], advice: [], expiresAt: undefined, retryAfterSeconds: 1 }
  return { ...rest, effect: 'deny', reasons, ...nothing }
}
