import { once } from 'node:events'
import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { expect, test } from 'vitest'
import type { RunOutcome } from '../../support/generate/run-cases.ts'

const CASES = Number(process.env['ORACLE_CASES'] ?? 5_000)
const SEED = Number(process.env['ORACLE_SEED'] ?? 1)
const WORKERS = Math.min(4, availableParallelism())

async function runShare(index: number): Promise<RunOutcome> {
  const share = { seed: SEED + index, stride: WORKERS, cases: Math.ceil(CASES / WORKERS) }
  const worker = new Worker(new URL('../../support/generate/run-cases-worker.ts', import.meta.url), {
    workerData: share,
  })
  const [outcome] = await once(worker, 'message')
  await worker.terminate()
  return outcome
}

test(`sliced and projected without schema decides as the full set with schema (${CASES} cases)`, {
  timeout: 900_000,
}, async () => {
  const shares = await Promise.all(Array.from({ length: WORKERS }, (_, i) => runShare(i)))
  const total = (key: keyof Omit<RunOutcome, 'difference'>): number =>
    shares.reduce((sum, share) => sum + share[key], 0)

  expect(shares.flatMap((share) => share.difference ?? []).join('\n\n')).toBe('')
  expect(total('cases')).toBeGreaterThanOrEqual(CASES)
  // The cases are worth something: each outcome occurs often.
  for (const key of ['allowed', 'forbidden', 'errored', 'unmatched'] as const) {
    expect(total(key) / CASES, key).toBeGreaterThan(0.05)
  }
})
