import type { PolicyRecord, Release } from '#model/release.ts'
import type { EngineFault, Evaluate, Evaluation, Query } from '#policy/port.ts'
import { compileConditions } from './compile.ts'
import { conditionsText } from './conditions.ts'
import { Environment, matchingIn } from './environment.ts'
import { type Run, Unsupported } from './expression.ts'

/** More matching policies than this are refused, as by the evaluator over cedar-wasm. */
const POLICIES_MAX = 2_000

/** Compiled policies kept for each release. When there are more, all are dropped and compiled again when they match. */
const PROGRAMS_MAX = 16_384

const NOTHING_MATCHES: Evaluation = { satisfied: [], errored: [] }

/** Told once for each policy that is left to the other evaluator, with the reason. */
export type OnUnsupported = (release: Release, policyId: string, why: string) => void

/**
 * Makes the evaluator that runs policies as closures, compiled when they first match (docs/decisions/0005-compiled-evaluator.md).
 *
 * Its answers are those of cedar-wasm. A query that matches a policy that it can not compile goes to `fallback` as a whole.
 */
export function createCompiledEvaluate(
  fallback: Evaluate,
  onUnsupported: OnUnsupported = () => {},
): Evaluate {
  const programs = new WeakMap<Release, Programs>()
  const programsOf = (release: Release): Programs => {
    let known = programs.get(release)
    if (known === undefined) {
      known = new Programs(release, onUnsupported)
      programs.set(release, known)
    }
    return known
  }
  return (release, queries) =>
    queries.map((query) => {
      // INVARIANT: nothing thrown leaves; whatever goes wrong is a fault, and the caller denies faults.
      try {
        return evaluateOne(programsOf(release), release, query) ?? delegated(fallback, release, query)
      } catch (error) {
        return { kind: 'engine', detail: error instanceof Error ? error.message : 'unknown fault' }
      }
    })
}

function delegated(fallback: Evaluate, release: Release, query: Query): Evaluation | EngineFault {
  const [answer] = fallback(release, [query])
  return answer ?? { kind: 'engine', detail: 'the engine left a query unanswered' }
}

/** Undefined: a policy that matches is not supported. */
function evaluateOne(
  programs: Programs,
  release: Release,
  query: Query,
): Evaluation | EngineFault | undefined {
  const environment = new Environment(query)
  const ordinals = matchingIn(release, query, environment)
  if (ordinals.length === 0) return NOTHING_MATCHES
  if (ordinals.length > POLICIES_MAX)
    return { kind: 'limit', detail: `more than ${POLICIES_MAX} policies match` }
  const permits: string[] = []
  const forbids: string[] = []
  const errored: string[] = []
  for (const ordinal of ordinals) {
    const { id, effect, run } = programs.at(ordinal)
    if (run === undefined) return undefined
    const outcome = run(environment)
    if (outcome === true) (effect === 'permit' ? permits : forbids).push(id)
    else if (outcome !== false) errored.push(id)
  }
  return { satisfied: sorted(forbids.length > 0 ? forbids : permits), errored: sorted(errored) }
}

interface Program {
  readonly id: string
  readonly effect: PolicyRecord['effect']
  /** Undefined where the policy can not be compiled. */
  readonly run: Run | undefined
}

/** The compiled policies of a release. */
class Programs {
  readonly #release: Release
  readonly #onUnsupported: OnUnsupported
  #compiled = new Map<number, Program>()

  constructor(release: Release, onUnsupported: OnUnsupported) {
    this.#release = release
    this.#onUnsupported = onUnsupported
  }

  at(ordinal: number): Program {
    const known = this.#compiled.get(ordinal)
    if (known !== undefined) return known
    if (this.#compiled.size >= PROGRAMS_MAX) this.#compiled = new Map()
    const program = this.#compile(this.#release.policy(ordinal))
    this.#compiled.set(ordinal, program)
    return program
  }

  #compile(record: PolicyRecord): Program {
    const { id, effect, text, conditions } = record
    try {
      return { id, effect, run: compileConditions(conditions ?? conditionsText(text)) }
    } catch (error) {
      // INVARIANT: only what is known not to be supported is left to the other evaluator; any other failure is a fault.
      if (!(error instanceof Unsupported)) throw error
      this.#onUnsupported(this.#release, id, error.message)
      return { id, effect, run: undefined }
    }
  }
}

/** By UTF-16 code unit, the same on every machine. */
function sorted(ids: string[]): readonly string[] {
  return ids.length < 2 ? ids : ids.sort((a, b) => (a < b ? -1 : 1))
}
