import { createHash, randomUUID } from 'node:crypto'
import type { LogRow } from '#decision-log/port.ts'
import type { ReleaseId, TenantId } from '#model/ids.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { PolicyRecord, ReleaseContent } from '#model/release.ts'
import type { JsonObject } from '#model/value.ts'

/** A tenant name that no other test uses. */
export function newTenant(): TenantId {
  return `t-${randomUUID()}` as TenantId
}

/** A hash that no other test uses, as of a key or token. */
export function newHash(): string {
  return createHash('sha256').update(randomUUID()).digest('hex')
}

/** A stored entity of the type `Warder::Agent`. */
export function agent(id: string, attrs: JsonObject = {}): StoredEntity {
  return {
    uid: { type: 'Warder::Agent', id },
    attrs,
    tags: {},
    parents: [{ type: 'Warder::Group', id: 'all' }],
  }
}

/** A release with `count` policies that are alike; `seed` decides its id. */
export function release(seed: string, count = 3): ReleaseContent {
  const id = `sha256:${createHash('sha256').update(seed).digest('hex')}` as ReleaseId
  return {
    id,
    vocabulary: 'warder',
    validated: true,
    schema: { entityTypes: {}, actions: [] },
    schemaText: 'namespace Warder {}',
    sources: [{ name: 'all.cedar', text: '// all' }],
    policyCount: count,
    policies: Array.from({ length: count }, (_, ordinal) => policy(`${seed}-${ordinal}`)),
  }
}

function policy(id: string): PolicyRecord {
  const text = `@id("${id}") permit (principal, action, resource) when { context.risk.score < 50 && "${'x'.repeat(200)}" != "" };`
  const reads = {
    all: true,
    principal: undefined,
    resource: undefined,
    action: undefined,
    context: undefined,
    entities: [],
  }
  return {
    id,
    effect: 'permit',
    origin: 'tenant',
    file: 'all.cedar',
    line: 1,
    text,
    scope: { principal: { op: 'all' }, action: { op: 'all' }, resource: { op: 'all' } },
    reads,
    testsAutonomous: false,
    obligations: [],
    advice: undefined,
    reason: undefined,
  }
}

/** A row of the decision log with plausible values. */
export function logRow(
  tenant: string,
  writer: string,
  sequence: number,
  changed: Partial<LogRow> = {},
): LogRow {
  return {
    decision_id: randomUUID(),
    tenant,
    decided_at: new Date(1_800_000_000_000 + sequence).toISOString(),
    decision: 'allow',
    reason: 'policy.permit',
    reasons: [{ code: 'policy.permit', policy: 'p' }],
    obligations: [],
    gateway: 'edge',
    dialect: 'native',
    request_id: 'r-1',
    traceparent: null,
    agent: 'planner',
    user: 'ada',
    subject: null,
    tool: 'mail/send',
    action: null,
    resource: null,
    policies: ['p'],
    release: 'sha256:0',
    state_version: 7,
    duration_us: 120,
    facts: { z: 1, a: { nested: [1.5, 'ü', '\u{1f600}'] } },
    trace: {},
    writer,
    sequence,
    previous_hash: `h${sequence - 1}`,
    hash: `h${sequence}`,
    ...changed,
  }
}
