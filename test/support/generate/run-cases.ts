import { setImmediate as nextTurn } from 'node:timers/promises'
import { createEngine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import type { Evaluate } from '#policy/port.ts'
import { createOracle, difference, generateCaseSet, queryOf, releaseOf, shrink } from './case-set.ts'

/** What a run found. The counts show that it was not an idle one. */
export interface RunOutcome {
  readonly cases: number
  readonly allowed: number
  readonly forbidden: number
  readonly errored: number
  readonly unmatched: number
  /** The first difference, with its seed and the fewest policies that show it. */
  readonly difference: string | undefined
}

/** Requests per case set: preparing schema and policies is then a small part of the work. */
const REQUESTS_PER_SET = 100

/** Compares the product with the oracle on `cases` requests, from the case sets `seed`, `seed + stride`, ... */
export async function runCases(seed: number, stride: number, cases: number): Promise<RunOutcome> {
  const evaluate = createEvaluate(createEngine())
  const outcome = { cases: 0, allowed: 0, forbidden: 0, errored: 0, unmatched: 0 }
  for (let at = seed; outcome.cases < cases; at += stride) {
    const requests = Math.min(REQUESTS_PER_SET, cases - outcome.cases)
    const found = await runSet(at, requests, evaluate, outcome)
    if (found !== undefined) return { ...outcome, difference: `seed ${at}\n${found}` }
    await nextTurn()
  }
  return { ...outcome, difference: undefined }
}

async function runSet(
  seed: number,
  requests: number,
  evaluate: Evaluate,
  outcome: { -readonly [key in keyof Omit<RunOutcome, 'difference'>]: number },
): Promise<string | undefined> {
  const set = generateCaseSet(seed, requests)
  const oracle = createOracle(set)
  const release = await releaseOf(set.policies)
  for (const request of set.requests) {
    const expected = oracle(request)
    const [actual] = evaluate(release, [queryOf(set, request)])
    if (difference(expected, actual) !== undefined) return await shrink(set, request, evaluate)
    const effect = expected.satisfied.map((id) => release.find(id)?.effect)[0]
    outcome.cases += 1
    if (effect === 'permit') outcome.allowed += 1
    if (effect === 'forbid') outcome.forbidden += 1
    if (expected.errored.length > 0) outcome.errored += 1
    if (effect === undefined) outcome.unmatched += 1
  }
  return undefined
}
