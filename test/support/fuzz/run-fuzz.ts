import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Evaluate } from '#policy/port.ts'
import { generateSet } from './case-set.ts'
import { difference, queries, reference, releaseOf } from './compare.ts'
import { type Coverage, count } from './coverage.ts'
import { type Report, shrink } from './shrink.ts'

/** What a run found. */
export interface FuzzOutcome {
  readonly cases: number
  /** Policies that were evaluated, over all cases. */
  readonly evaluations: number
  readonly coverage: Coverage
  /** The first difference, as small as it gets; undefined without one. */
  readonly report: Report | undefined
}

/** Requests per set: preparing policies and schema is then a small part of the work. */
export const REQUESTS_PER_SET = 20

/** Which sets to run: `seed`, `seed + stride`, ... until `cases` requests were compared. */
export interface FuzzShare {
  readonly seed: number
  readonly stride: number
  readonly cases: number
  /** Called now and then with the number of cases so far. */
  readonly onProgress?: (cases: number) => void
}

/** Compares an evaluator with the reference. Stops at the first difference. */
export async function runFuzz(evaluate: Evaluate, share: FuzzShare): Promise<FuzzOutcome> {
  const coverage: Coverage = new Map()
  let cases = 0
  let evaluations = 0
  for (let seed = share.seed; cases < share.cases; seed += share.stride) {
    const set = generateSet(seed, Math.min(REQUESTS_PER_SET, share.cases - cases))
    const expect = reference(set)
    const release = await releaseOf(set)
    const query = queries(set)
    for (const [i, request] of set.requests.entries()) {
      const asked = query(request)
      const expected = expect(request)
      const [actual] = evaluate(release, [asked])
      if (difference(expected, actual) !== undefined) {
        const report = await shrink(evaluate, set, request, `seed ${seed}, request ${i}`)
        return { cases, evaluations, coverage, report }
      }
      const matching = release.matching({
        ...asked,
        principalAncestors: asked.entity(asked.principal)?.ancestors ?? [],
        resourceAncestors: asked.entity(asked.resource)?.ancestors ?? [],
      })
      count(coverage, set, expected, new Set(matching.map((ordinal) => release.policy(ordinal).id)))
      cases += 1
      evaluations += matching.length
    }
    share.onProgress?.(cases)
    await nextTurn()
  }
  return { cases, evaluations, coverage, report: undefined }
}
