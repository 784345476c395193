import { availableParallelism } from 'node:os'
import { Worker } from 'node:worker_threads'
import { REQUESTS_PER_SET } from './case-set.ts'
import type { Coverage } from './coverage.ts'
import type { FuzzOutcome } from './run-fuzz.ts'
import type { Report } from './shrink.ts'

/** What all workers found together. */
export interface SharedOutcome extends Omit<FuzzOutcome, 'report'> {
  readonly reports: readonly Report[]
}

/**
 * Runs the compiled evaluator against the reference in worker threads, which share the sets from `seed` on.
 * @param onProgress told the number of cases so far, over all workers
 */
export async function runShares(
  cases: number,
  seed: number,
  onProgress: (cases: number) => void = () => {},
): Promise<SharedOutcome> {
  const sets = Math.ceil(cases / REQUESTS_PER_SET)
  const workers = Math.min(4, availableParallelism(), sets)
  const done = new Array<number>(workers).fill(0)
  const outcomes = await Promise.all(
    Array.from({ length: workers }, (_, i) => {
      const share = { seed: seed + i, stride: workers, cases: Math.ceil(cases / workers) }
      return runShare(share, (count) => {
        done[i] = count
        onProgress(done.reduce((sum, each) => sum + each, 0))
      })
    }),
  )
  const coverage: Coverage = new Map()
  for (const outcome of outcomes)
    for (const [name, count] of outcome.coverage) coverage.set(name, (coverage.get(name) ?? 0) + count)
  return {
    cases: outcomes.reduce((sum, outcome) => sum + outcome.cases, 0),
    evaluations: outcomes.reduce((sum, outcome) => sum + outcome.evaluations, 0),
    coverage,
    reports: outcomes.flatMap((outcome) => outcome.report ?? []),
  }
}

function runShare(workerData: object, onProgress: (cases: number) => void): Promise<FuzzOutcome> {
  const worker = new Worker(new URL('./share-worker.ts', import.meta.url), { workerData })
  return new Promise<FuzzOutcome>((resolve, reject) => {
    worker.on('message', (message: { readonly cases?: number; readonly outcome?: FuzzOutcome }) => {
      if (message.cases !== undefined) onProgress(message.cases)
      if (message.outcome !== undefined) resolve(message.outcome)
    })
    worker.on('error', reject)
    worker.on('exit', (code) => reject(new Error(`a worker ended with ${code} and no outcome`)))
  })
}
