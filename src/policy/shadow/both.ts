import type { EngineFault, Evaluate, Evaluation } from '#policy/port.ts'
import { type Difference, differenceOf } from './capture.ts'
import { agree, matchingOrdinals } from './compare.ts'
import type { Comparisons, ProvenEngine, ProvingParts } from './proven-engine.ts'

const DISAGREEMENT: EngineFault = { kind: 'engine', detail: 'the two evaluators disagree' }

/** Evaluates everything twice: what both say is the answer, and where they disagree there is none, which denies. */
export function createBothEngine({
  compiled,
  reference,
  tenants,
  onDifference,
}: Pick<ProvingParts, 'compiled' | 'reference' | 'tenants' | 'onDifference'>): ProvenEngine {
  const counts = { same: 0, different: 0, unanswered: 0 }
  const evaluate: Evaluate = (release, queries) => {
    const wanted = reference(release, queries)
    const given = compiled(release, queries)
    return queries.map((query, i): Evaluation | EngineFault => {
      const left = wanted[i] ?? DISAGREEMENT
      const right = given[i] ?? DISAGREEMENT
      // Without an answer of the authority there is nothing to agree with.
      if ('kind' in left) {
        counts.unanswered += 1
        return left
      }
      // INVARIANT: an answer leaves only when both gave it; a fault of one of them is none.
      if (!('kind' in right) && agree(left, right)) {
        counts.same += 1
        return left
      }
      counts.different += 1
      const tenant = [...tenants()].find((each) => each.release === release)?.id
      const answers: Pick<Difference, 'reference' | 'compiled'> = { reference: left, compiled: right }
      onDifference(
        differenceOf('decision', tenant, release, query, answers, matchingOrdinals(release, query)),
      )
      return DISAGREEMENT
    })
  }
  const none: Comparisons = { same: 0, different: 0, unanswered: 0 }
  return {
    evaluate,
    stats: () => ({
      comparisons: { activation: none, live: none, decision: counts },
      dropped: 0,
      tenants: { compiled: 0, checking: 0, unproven: 0, different: 0 },
    }),
    idle: async () => undefined,
    close: () => undefined,
  }
}
