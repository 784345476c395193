import type { Decision } from '#model/decision.ts'
import type { Gateway } from '#model/gateway.ts'
import type { AuthorizationRequest, Malformed } from '#model/request.ts'
import { answerColumns, type LogEntry } from './entry.ts'
import { FACTS_VERSION } from './facts.ts'
import type { Mask } from './mask.ts'

/** The row of a request that could not be read. Nothing of its content is kept, so it can't be replayed. */
export function makeRefusalEntry(
  input: {
    readonly malformed: Malformed
    readonly dialect: AuthorizationRequest['dialect']
    readonly requestId: string | undefined
    readonly decision: Decision
    readonly gateway: Gateway
    readonly durationMicroseconds: number
  },
  mask: Mask,
): LogEntry {
  const { malformed, gateway } = input
  return {
    ...answerColumns(input.decision, mask),
    gateway: gateway.id,
    dialect: input.dialect,
    request_id: input.requestId === undefined ? null : mask.text(input.requestId),
    traceparent: null,
    agent: null,
    user: null,
    subject: null,
    tool: null,
    action: null,
    resource: null,
    duration_us: Math.round(input.durationMicroseconds),
    facts: { version: FACTS_VERSION, refused: malformed.code },
    trace: { replayable: false, detail: mask.text(malformed.message).slice(0, 4_096) },
  }
}
