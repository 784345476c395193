import type { Release } from '#model/release.ts'
import type { EngineFault, Evaluate, Evaluation, Query } from '#policy/port.ts'
import { agree, type Breathe, inParts, isAskedWhole, matchingOrdinals, referenceAnswer } from './compare.ts'
import type { AskReference } from './reference.ts'

/** Why a release may use the compiled evaluator, or may not. */
export type Verdict =
  | { readonly kind: 'proven'; readonly compared: number }
  | {
      readonly kind: 'differs'
      readonly query: Query
      readonly part: readonly number[]
      readonly reference: Evaluation | EngineFault
      readonly compiled: Evaluation | EngineFault
    }
  /** The reference gave no answer, so nothing is proven. */
  | { readonly kind: 'unproven'; readonly detail: string }

/** Both evaluators. */
export interface Engines {
  readonly compiled: Evaluate
  readonly reference: AskReference
}

/**
 * Compares both evaluators on `queries`, until the first difference.
 * @param generated without a reference answer to one of these nothing is proven
 * @param recorded those that the reference can not answer are passed over: callers can send such
 * @param onCompared told the result of each comparison
 */
export async function checkRelease(
  engines: Engines,
  release: Release,
  { generated, recorded }: { readonly generated: Iterable<Query>; readonly recorded: Iterable<Query> },
  breathe: Breathe,
  onCompared: (result: 'same' | 'different' | 'unanswered') => void = () => {},
): Promise<Verdict> {
  const questions = isAskedWhole(release)
    ? askWhole(engines, release, breathe)
    : askParts(engines, release, breathe)
  let compared = 0
  const check = async (query: Query): Promise<Exclude<Verdict, { kind: 'proven' }> | undefined> => {
    for await (const { part, reference, compiled } of questions(query)) {
      if ('kind' in reference) {
        onCompared('unanswered')
        return { kind: 'unproven', detail: reference.detail }
      }
      // A fault of the compiled evaluator is no wrong answer, but it is not the right one either.
      if ('kind' in compiled || !agree(reference, compiled)) {
        onCompared('different')
        return { kind: 'differs', query, part, reference, compiled }
      }
      onCompared('same')
      if (part.length > 0) compared += 1
    }
    return undefined
  }
  for (const query of generated) {
    const failed = await check(query)
    if (failed !== undefined) return failed
  }
  for (const query of recorded) {
    const failed = await check(query)
    if (failed?.kind === 'differs') return failed
  }
  // INVARIANT: no comparison is no proof. Only a release without policies has nothing to compare.
  if (compared === 0 && release.policyCount > 0)
    return { kind: 'unproven', detail: 'no policy could be reached' }
  return { kind: 'proven', compared }
}

/** Both answers to a query, and the policies that they are about. */
interface Answers {
  readonly part: readonly number[]
  readonly reference: Evaluation | EngineFault
  readonly compiled: Evaluation | EngineFault
}

type Questions = (query: Query) => AsyncGenerator<Answers>

/** The compiled evaluator as decisions use it, against cedar-wasm with all policies. */
function askWhole(engines: Engines, release: Release, breathe: Breathe): Questions {
  return async function* ask(query) {
    const reference = await referenceAnswer(engines.reference, release, query)
    const [compiled = UNANSWERED] = engines.compiled(release, [query])
    yield { part: matchingOrdinals(release, query), reference, compiled }
    await breathe()
  }
}

/** Both on some of the matching policies at a time: compiling thousands at once would hold the loop. */
function askParts(engines: Engines, release: Release, breathe: Breathe): Questions {
  let chosen: readonly number[] = []
  // One for the whole check, so that each policy is compiled once.
  const narrowed: Release = { ...release, matching: () => chosen }
  return async function* ask(query) {
    for (const part of inParts(release, matchingOrdinals(release, query))) {
      const reference = await engines.reference(release, part, query)
      chosen = part
      const [compiled = UNANSWERED] = engines.compiled(narrowed, [query])
      yield { part, reference, compiled }
      await breathe()
    }
  }
}

const UNANSWERED: EngineFault = { kind: 'engine', detail: 'the compiled evaluator left a query unanswered' }
