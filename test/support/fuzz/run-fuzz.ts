import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Release } from '#model/release.ts'
import type { Evaluate, Query } from '#policy/port.ts'
import { type FuzzSet, generateSet } from './case-set.ts'
import { difference, queries, reference, releaseOf } from './compare.ts'
import { type Coverage, counter } from './coverage.ts'
import { type FuzzCase, type Report, shrink } from './shrink.ts'

/** What a run found. */
export interface FuzzOutcome {
  readonly cases: number
  /** Policies that were evaluated, over all cases. */
  readonly evaluations: number
  readonly coverage: Coverage
  /** The first difference, as small as it gets; undefined without one. */
  readonly report: Report | undefined
}

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
  const tally: Tally = { cases: 0, evaluations: 0, coverage: new Map() }
  for (let seed = share.seed; tally.cases < share.cases; seed += share.stride) {
    const set = generateSet(seed)
    const differing = runSet(evaluate, set, await releaseOf(set), share.cases, tally)
    if (differing !== undefined)
      return { ...tally, report: await shrink(evaluate, differing, `seed ${seed}`) }
    share.onProgress?.(tally.cases)
    await nextTurn()
  }
  return { ...tally, report: undefined }
}

interface Tally {
  cases: number
  evaluations: number
  readonly coverage: Coverage
}

/** @returns the first case of the set that differs */
function runSet(
  evaluate: Evaluate,
  set: FuzzSet,
  release: Release,
  casesMax: number,
  tally: Tally,
): FuzzCase | undefined {
  const expect = reference(set)
  const count = counter(tally.coverage, set)
  for (const { entities, requests } of set.worlds) {
    const [answer, query] = [expect(entities), queries(set, entities)]
    for (const request of requests) {
      if (tally.cases >= casesMax) return undefined
      const asked = query(request)
      const expected = answer(request)
      const [actual] = evaluate(release, [asked])
      if (difference(expected, actual) !== undefined) return { ...set, entities, request }
      const matching = matchingIds(release, asked)
      count(expected, matching)
      tally.cases += 1
      tally.evaluations += matching.size
    }
  }
  return undefined
}

/** The policies whose scope matches: those that were evaluated. */
function matchingIds(release: Release, asked: Query): ReadonlySet<string> {
  const matching = release.matching({
    ...asked,
    principalAncestors: asked.entity(asked.principal)?.ancestors ?? [],
    resourceAncestors: asked.entity(asked.resource)?.ancestors ?? [],
  })
  return new Set(matching.map((ordinal) => release.policy(ordinal).id))
}
