import { uuidV7 } from '#lib/uuid.ts'
import { REASONS } from '#model/reasons.ts'
import type { LogEntry } from './entry.ts'

const REASON = 'log.unavailable'

/** The row of a decision that was answered with `log.unavailable` instead: always a deny. */
export function withheld(entry: LogEntry): LogEntry {
  return {
    ...entry,
    decision: 'deny',
    reason: REASON,
    reasons: [{ code: REASON, message: REASONS[REASON] }],
    obligations: [],
    trace: { ...entry.trace, withheld: { decision: entry.decision, reason: entry.reason } },
  }
}

/** The row that takes back one that may be stored already: a deny of its own that names the decision it corrects. */
export function correctionOf(entry: LogEntry): LogEntry {
  const row = withheld(entry)
  return {
    ...row,
    decision_id: uuidV7(Date.parse(entry.decided_at)),
    trace: { ...row.trace, corrects: entry.decision_id },
  }
}

/** A row that also tells how many decisions before it could not be logged at all. */
export function withNote(entry: LogEntry, unlogged: number): LogEntry {
  return { ...entry, trace: { ...entry.trace, unlogged_before: unlogged } }
}
