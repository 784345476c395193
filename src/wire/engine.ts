import { join } from 'node:path'
import type { Config } from '#config.ts'
import type { CacheStats } from '#lib/cache-stats.ts'
import { systemClock } from '#lib/clock.ts'
import { createCompiledEvaluate } from '#policy/compiled/evaluate.ts'
import { createEngine, type Engine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import { createMemo } from '#policy/engine/memo.ts'
import { createSlots } from '#policy/engine/slots.ts'
import { warmUp } from '#policy/engine/warm-up.ts'
import type { Evaluate } from '#policy/port.ts'
import { createBothEngine } from '#policy/shadow/both.ts'
import type { Difference } from '#policy/shadow/capture.ts'
import { createKeepCase } from '#policy/shadow/case-files.ts'
import {
  createProvenEngine,
  type ProvenEngine,
  type ProvenTenant,
  type ProvingStats,
} from '#policy/shadow/proven-engine.ts'
import { startReference } from '#policy/shadow/reference.ts'
import type { FaultLines } from '#process/fault-lines.ts'
import { faultText } from '#process/log.ts'

/** The evaluator of decisions as WARDER_ENGINE wants it. */
export interface WiredEngine {
  readonly evaluate: Evaluate
  /** cedar-wasm of the hot path. */
  readonly engine: Engine
  readonly caches: { readonly [name: string]: () => CacheStats }
  stats(): ProvingStats
  close(): void
}

/** Folder under the data folder where differences between the evaluators are kept. */
const CASES_FOLDER = 'engine-differences'

/**
 * Builds the evaluator, warm.
 * @throws when cedar-wasm does not tell a known allow from a known deny.
 */
export async function wireEngine(
  config: Pick<Config, 'engine' | 'dataDirectory'>,
  { tenants, faults }: { readonly tenants: () => Iterable<ProvenTenant>; readonly faults: FaultLines },
): Promise<WiredEngine> {
  const engine = createEngine()
  const [memo, slots] = [createMemo(), createSlots(engine)]
  const reference = createEvaluate(engine, memo, slots)
  if (!(await warmUp(engine, reference))) throw new Error('the policy engine does not answer its probe')
  const proven = await provenEngine(config, reference, tenants, faults)
  return {
    evaluate: proven?.evaluate ?? reference,
    engine,
    caches: { slice: () => slots.stats(), answer: () => memo.stats() },
    stats: () => proven?.stats() ?? NOTHING_COMPARED,
    close: () => proven?.close(),
  }
}

async function provenEngine(
  { engine: mode, dataDirectory }: Pick<Config, 'engine' | 'dataDirectory'>,
  reference: Evaluate,
  tenants: () => Iterable<ProvenTenant>,
  faults: FaultLines,
): Promise<ProvenEngine | undefined> {
  if (mode === 'wasm') return undefined
  const keep = createKeepCase(join(dataDirectory, CASES_FOLDER), systemClock)
  const parts = {
    compiled: createCompiledEvaluate(reference, (release, policy, cause) =>
      faults.report({
        message: 'a policy could not be compiled; cedar-wasm evaluates every decision that it matches',
        about: release.id,
        fault: `${policy}: ${cause}`,
      }),
    ),
    reference,
    tenants,
    onDifference: (difference: Difference) =>
      keep(difference)
        .catch((error: unknown) => `nowhere: ${faultText(error)}`)
        .then((file) => faults.report(lineOf(difference, file))),
  }
  if (mode === 'both') return createBothEngine(parts)
  // An instance and a thread of its own: what is checked can neither trap the engine of decisions nor keep them waiting.
  const checker = startReference()
  if (!(await checker.isSound())) throw new Error('the policy engine that checks does not answer its probe')
  const proven = createProvenEngine({
    ...parts,
    checker: checker.ask,
    onUnproven: (tenant, release, detail) =>
      faults.report({
        message: 'a release could not be proven and stays with cedar-wasm',
        about: tenant,
        fault: `${release.id}: ${detail}`,
      }),
  })
  return {
    evaluate: proven.evaluate,
    stats: () => proven.stats(),
    idle: () => proven.idle(),
    close: () => {
      proven.close()
      checker.close()
    },
  }
}

/** INVARIANT: the line holds no value of the request; those are in the file, which only the operator can read. */
function lineOf({ source, tenant, release, policies }: Difference, file: string | undefined) {
  const kept = file === undefined ? 'there are enough cases' : `kept in ${file}`
  return {
    message: 'the compiled evaluator and cedar-wasm disagree',
    about: tenant ?? 'unknown',
    fault: `${source}, release ${release}, policies ${Object.keys(policies).join(', ')}; ${kept}`,
  }
}

const NOTHING = { same: 0, different: 0, unanswered: 0 }
const NOTHING_COMPARED: ProvingStats = {
  comparisons: { activation: NOTHING, live: NOTHING, decision: NOTHING },
  dropped: 0,
  tenants: { compiled: 0, checking: 0, unproven: 0, different: 0 },
}
