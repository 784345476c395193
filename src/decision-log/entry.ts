import type { Judgement } from '#model/answer.ts'
import type { Decision } from '#model/decision.ts'
import type { Gateway } from '#model/gateway.ts'
import type { VerifiedIdentity } from '#model/identity.ts'
import { REASONS, type ReasonCode } from '#model/reasons.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { JsonObject } from '#model/value.ts'
import { factsOf } from './facts.ts'
import { jsonMembers, jsonObject } from './json-object.ts'
import { createMaskReport, type Mask } from './mask.ts'
import type { LogRow } from './port.ts'

/** A row before the writer links it into its chain. */
export type LogEntry = Omit<LogRow, 'writer' | 'sequence' | 'previous_hash' | 'hash'>

/** What one row is made of. */
export interface EntryInput {
  readonly request: AuthorizationRequest
  /** Undefined when the request was denied before anybody was believed. */
  readonly identity: VerifiedIdentity | undefined
  readonly judgement: Judgement
  readonly decision: Decision
  readonly gateway: Gateway
  readonly durationMicroseconds: number
  /** Names of arguments that the tool's registration marks as sensitive. */
  readonly sensitiveArguments?: ReadonlySet<string>
  /** Names of arguments and properties that the tenant wants masked. */
  readonly maskFields?: ReadonlySet<string> | undefined
}

const COLUMN_CHARACTERS_MAX = 512

/**
 * The row of one decision. Columns name only parties that were verified or properly asserted; what was merely claimed is
 * in `facts`. `trace.replayable` is false when something that a policy could read was masked or cut, or when a credential
 * was refused (credentials are never stored), or when the request could not be read.
 */
export function makeEntry(input: EntryInput, mask: Mask): LogEntry {
  const { request, identity, judgement, decision, gateway } = input
  const report = createMaskReport()
  const facts = factsOf(input, mask, report)
  const { detail, evaluations, provenance, exchange, search } = judgement.trace
  const isUnread = identity === undefined && decision.reasons[0]?.code.startsWith('request.') === true
  // What the server of an exchange said is nowhere kept.
  const isForeign = decision.reasons[0]?.code.startsWith('exchange.') === true
  // What a list was made of is nowhere kept; each call of it is decided, and can be decided again, by itself.
  const isList = judgement.permitted !== undefined || request.search !== undefined
  const isDecidable =
    !isUnread && !isForeign && !isList && (identity !== undefined || request.credentials.length === 0)
  const text = (value: string | undefined) => (value === undefined ? null : columnText(value, mask))
  const uid = (thing: { readonly type: string; readonly id: string } | undefined) =>
    thing === undefined ? null : columnText(`${thing.type}::${thing.id}`, mask)
  return {
    ...answerColumns(decision, mask),
    gateway: gateway.id,
    dialect: request.dialect,
    request_id: text(request.requestId),
    traceparent: text(request.traceparent),
    agent: text(identity?.agent?.id),
    user: text(identity?.user?.id),
    subject: uid(identity?.subject?.uid),
    tool: text(judgement.trace.tool ?? request.tool),
    action: text(request.action?.name),
    resource: uid(request.resource),
    duration_us: Math.round(input.durationMicroseconds),
    facts,
    trace: jsonObject({
      advice: judgement.advice.length === 0 ? undefined : judgement.advice,
      altered: report.altered.length === 0 ? undefined : report.altered,
      detail: detail === undefined ? undefined : mask.text(detail).slice(0, 4_096),
      evaluations,
      exchange,
      expires_at: decision.expiresAt,
      explained: request.explain,
      provenance,
      replayable: isDecidable && report.altered.length === 0,
      search: search && {
        ...search,
        type: mask.text(search.type).slice(0, COLUMN_CHARACTERS_MAX),
        shown: search.shown.map((id) => mask.text(id)),
      },
    }),
  }
}

/** The columns that describe the answer itself. */
function answerColumns(
  decision: Decision,
  mask: Mask,
): Pick<
  LogRow,
  | 'decision_id'
  | 'tenant'
  | 'decided_at'
  | 'decision'
  | 'reason'
  | 'reasons'
  | 'obligations'
  | 'policies'
  | 'release'
  | 'state_version'
> {
  const policies = [
    ...decision.reasons.flatMap((reason) => reason.policy ?? []),
    ...decision.obligations.flatMap((obligation) => obligation.policies),
  ]
  return {
    decision_id: decision.id,
    tenant: decision.tenant,
    decided_at: new Date(decision.decidedAt).toISOString(),
    decision: decision.effect,
    reason: decision.reasons[0]?.code ?? 'internal.fault',
    reasons: decision.reasons.map(
      ({ code, policy, message }): JsonObject =>
        jsonMembers({ code, message: message && reasonText(code, message, mask), policy }),
    ),
    obligations: decision.obligations.map((obligation): JsonObject => jsonObject({ ...obligation })),
    policies: [...new Set(policies)].sort(),
    release: decision.release ?? null,
    state_version: decision.stateVersion,
  }
}

/** The catalogue's own words hold no secret; what was filled in may. */
function reasonText(code: ReasonCode, message: string, mask: Mask): string {
  return message === REASONS[code] ? message : mask.text(message)
}

/** Columns are indexed, and an index takes no more than about 2,700 bytes; `facts` keep what is cut here. */
function columnText(value: string, mask: Mask): string {
  return mask.text(value).slice(0, COLUMN_CHARACTERS_MAX).toWellFormed()
}
