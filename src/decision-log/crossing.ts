import type { VerifiedIdentity } from '#model/identity.ts'
import type { TenantId } from '#model/ids.ts'
import type { LogEntry } from './entry.ts'
import { FACTS_VERSION } from './facts.ts'

/**
 * The row that a decision has in the log of another tenant whose agents took part. It tells that tenant what its agents did and
 * where, and names the decision there.
 *
 * INVARIANT: nothing of the deciding tenant is in it but the decision, its code, the tool and the tenant's name: neither its user,
 * arguments, resources and policies, nor its other actors.
 *
 * @param decisionId of this row; the decision itself keeps its own
 */
export function crossingEntry(
  entry: LogEntry,
  tenant: TenantId,
  { agent, delegation }: VerifiedIdentity,
  decisionId: string,
): LogEntry {
  const {
    decision_id,
    tenant: home,
    decided_at,
    decision,
    reason,
    dialect,
    tool,
    action,
    duration_us,
  } = entry
  const acts = agent?.home === tenant
  return {
    decision_id: decisionId,
    tenant,
    decided_at,
    decision,
    reason,
    reasons: [{ code: reason }],
    obligations: [],
    gateway: 'federation',
    dialect,
    request_id: null,
    traceparent: null,
    agent: acts ? entry.agent : null,
    user: null,
    subject: null,
    tool,
    action,
    resource: null,
    policies: [],
    release: null,
    state_version: 0,
    duration_us,
    facts: {
      version: FACTS_VERSION,
      crossing: { decision: decision_id, tenant: home, depth: delegation.chain.length },
    },
    trace: { replayable: false, crossing: { decision: decision_id, tenant: home } },
  }
}
