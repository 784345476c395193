import { canonicalJson } from '#decision-log/chain.ts'
import type { LogRow } from '#decision-log/port.ts'
import { requestFromRow } from '#decision-log/replay.ts'
import { createFindAgent } from '#delegation/find-agent.ts'
import { guardAfter } from '#guards/after.ts'
import { mayAssert } from '#identity/assertion.ts'
import type { ReleaseId, TenantId } from '#model/ids.ts'
import type { RegistrySnapshot } from '#model/registry.ts'
import type { Release } from '#model/release.ts'
import type { Json } from '#model/value.ts'
import { createEngine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import { assembleRelease } from '#policy/engine/release-index.ts'
import { createJudgePolicy } from '#policy/judge.ts'
import { applyEntities, emptyRegistry } from '#registry/snapshot.ts'
import type { LogCare } from './log-care.ts'

/** What deciding once more gave. */
export interface Replayed {
  readonly decision_id: string
  readonly outcome: 'same' | 'different' | 'not_replayable'
  /** Why it can't be decided again. */
  readonly why?: string
  /** What differs: what the row says and what comes out now. */
  readonly differences?: readonly { readonly field: string; readonly logged: Json; readonly now: Json }[]
}

/** Decides a row once more; nothing is logged. */
export type ReplayRow = (row: LogRow) => Promise<Replayed>

/** Reasons that come from the state of the server and not from what was asked. */
const OPERATIONAL: ReadonlySet<string> = new Set([
  'log.unavailable',
  'log.overflow',
  'state.stale',
  'state.rolled_back',
  'internal.fault',
])

/** Replays with the real engine, on registry and release as they were; keeps the last of each for the next row. */
export function createReplay(past: LogCare): ReplayRow {
  const judgePolicy = createJudgePolicy(createEvaluate(createEngine()))
  const registryAt = keepingLast((tenant, version) => readRegistry(past, tenant as TenantId, Number(version)))
  const releaseOf = keepingLast((tenant, id) => readRelease(past, tenant as TenantId, id as ReleaseId))
  return async (row) => {
    const not = (why: string): Replayed => ({ decision_id: row.decision_id, outcome: 'not_replayable', why })
    const passing = fromPassingState(row)
    if (passing !== undefined) return not(passing)
    const replay = requestFromRow(row)
    if (!replay.ok) return not(replay.failure)
    const { request, identity, gateway } = replay.value
    if (identity === undefined) return not('it was denied before anybody was believed')
    if (identity.delegation.crossings !== undefined) return not('agents of another tenant took part')
    if (row.release === null) return not('the tenant had no active release')
    const release = await releaseOf(row.tenant, row.release)
    if (release === undefined) return not(`its release ${row.release} is not stored`)
    const registry = await registryAt(row.tenant, `${row.state_version}`)
    const tenant = { id: identity.tenant, version: row.state_version, registry, release, issuers: [] }
    const findAgent = createFindAgent(tenant, { tenant: () => undefined }, request.now)
    const stop = guardAfter(identity, tenant, findAgent, request.now)
    const trusts = {
      properties: mayAssert(gateway, request.dialect, 'properties'),
      context: mayAssert(gateway, request.dialect, 'context'),
    }
    const now =
      stop === undefined
        ? judgePolicy({ request, identity, gateway, registry, release, trusts })
        : { effect: 'deny' as const, reasons: [stop], obligations: [] }
    return compared(row, now)
  }
}

/** Why a row can't be decided again: what decided it is not kept as it was. */
function fromPassingState(row: LogRow): string | undefined {
  if (OPERATIONAL.has(row.reason)) return `\`${row.reason}\` came from the state of the server`
  if (row.reason.startsWith('chain.')) return 'it was denied by the rules and grants of that time'
  if (row.reason.startsWith('mapping.')) return 'it was denied by the mapping of that time'
  return undefined
}

function compared(
  row: LogRow,
  now: {
    readonly effect: 'allow' | 'deny'
    readonly reasons: readonly { readonly code: string; readonly policy?: string | undefined }[]
    readonly obligations: readonly object[]
  },
): Replayed {
  const reason = ({ code, policy }: { readonly code?: unknown; readonly policy?: unknown }): Json =>
    typeof policy === 'string' ? `${code} ${policy}` : `${code}`
  const pairs: readonly (readonly [string, Json, Json])[] = [
    ['decision', row.decision, now.effect],
    ['reasons', row.reasons.map(reason), now.reasons.map(reason)],
    ['obligations', row.obligations, JSON.parse(JSON.stringify(now.obligations)) as Json],
  ]
  const differences = pairs
    .filter(([, logged, found]) => canonicalJson(logged) !== canonicalJson(found))
    .map(([field, logged, found]) => ({ field, logged, now: found }))
  const { decision_id } = row
  return differences.length === 0
    ? { decision_id, outcome: 'same' }
    : { decision_id, outcome: 'different', differences }
}

async function readRegistry(past: LogCare, tenant: TenantId, version: number): Promise<RegistrySnapshot> {
  let registry = emptyRegistry()
  for await (const entities of past.entitiesAt(tenant, version))
    registry = applyEntities(registry, entities, [])
  return registry
}

async function readRelease(past: LogCare, tenant: TenantId, id: ReleaseId): Promise<Release | undefined> {
  const header = await past.releaseHeader(tenant, id)
  return header === undefined ? undefined : await assembleRelease(header, past.releasePolicies(tenant, id))
}

/** Neighbouring rows mostly need the same. */
function keepingLast<T>(
  read: (tenant: string, key: string) => Promise<T>,
): (tenant: string, key: string) => Promise<T> {
  let last: { readonly tenant: string; readonly key: string; readonly value: T } | undefined
  return async (tenant, key) => {
    if (last?.tenant !== tenant || last.key !== key) last = { tenant, key, value: await read(tenant, key) }
    return last.value
  }
}
