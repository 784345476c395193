import type { ExplainedParty, ExplainedPolicy, ExplainedTerm, Explanation } from '#model/explanation.ts'
import type { PolicyRecord, Release } from '#model/release.ts'
import type { PartyQuery } from './ask/asked.ts'
import type { PartyEvaluation } from './combine.ts'
import { Environment, matchingIn } from './compiled/environment.ts'
import { explainConditions, type Term } from './compiled/explain.ts'
import type { Evaluation, Query } from './port.ts'

/** Policies of one query that are taken apart: explaining must stay cheap beside deciding. */
const EXAMINED_MAX = 500
/** Policies shown for each query. */
export const POLICIES_SHOWN_MAX = 50
/** Terms shown for each policy. */
export const TERMS_SHOWN_MAX = 20
const TEXT_CHARACTERS_MAX = 300
const NEAR_MISS_TERMS_MAX = 2

/**
 * What became of each policy whose scope matched. Never throws.
 *
 * INVARIANT: it explains the evaluation that decided and never decides anew; terms only tell why.
 *
 * @param evaluations one for each query, in their order
 * @param plain how many of the queries were asked without what was declared; they come first
 */
export function explain(
  release: Release,
  queries: readonly PartyQuery[],
  evaluations: readonly PartyEvaluation[],
  plain: number,
): Explanation {
  return {
    parties: queries.map(({ party, query }, i): ExplainedParty => {
      const outcome = evaluations[i]?.outcome
      const found =
        outcome === undefined || 'kind' in outcome ? undefined : explainQuery(release, query, outcome)
      return { party, declared: i >= plain, ...(found ?? NOTHING_TOLD) }
    }),
  }
}

const NOTHING_TOLD = { policies: [], omitted: 0, incomplete: true } as const

function explainQuery(
  release: Release,
  query: Query,
  evaluation: Evaluation,
): Pick<ExplainedParty, 'policies' | 'omitted'> | undefined {
  try {
    const matching = matchingIn(release, query, new Environment(query)).map((ordinal) =>
      release.policy(ordinal),
    )
    const decided = new Set([...evaluation.satisfied, ...evaluation.errored])
    // What decided is never among what is left out for want of room.
    const ordered = [
      ...matching.filter(({ id }) => decided.has(id)),
      ...matching.filter(({ id }) => !decided.has(id)),
    ]
    const isForbidden = evaluation.satisfied.some((id) => release.find(id)?.effect === 'forbid')
    const examined = ordered
      .slice(0, EXAMINED_MAX)
      .map((record) => explainPolicy(record, query, evaluation, isForbidden))
    const policies = examined.toSorted((a, b) => rank(a) - rank(b)).slice(0, POLICIES_SHOWN_MAX)
    return { policies, omitted: matching.length - policies.length }
  } catch {
    return undefined
  }
}

/** What stands first: forbids that fired or errored, then permits that hold, then what nearly did. */
function rank({ effect, outcome, nearMiss }: ExplainedPolicy): number {
  if (effect === 'forbid' && outcome !== 'unsatisfied') return 0
  if (outcome === 'satisfied') return 1
  return nearMiss ? 2 : 3
}

function explainPolicy(
  record: PolicyRecord,
  query: Query,
  evaluation: Evaluation,
  isForbidden: boolean,
): ExplainedPolicy {
  const { id, effect, file, line } = record
  const terms = termsOf(record, query)
  const outcome = outcomeOf(record, terms, evaluation, isForbidden)
  const failing = terms?.filter((term) => !holds(term)) ?? []
  const nearMiss =
    effect === 'permit' &&
    (outcome === 'unsatisfied' || outcome === 'errored') &&
    failing.length > 0 &&
    failing.length <= NEAR_MISS_TERMS_MAX
  const told = effect === 'forbid' && outcome !== 'unsatisfied' ? (terms ?? []) : nearMiss ? failing : []
  const shown = told.slice(0, TERMS_SHOWN_MAX).map((term) => explainedTerm(record, term))
  return { id, effect, file, line, outcome, nearMiss, terms: shown, omittedTerms: told.length - shown.length }
}

/** Undefined: the policy is none that can be taken apart. */
function termsOf(record: PolicyRecord, query: Query): readonly Term[] | undefined {
  try {
    return explainConditions(record, query)
  } catch {
    return undefined
  }
}

function outcomeOf(
  { id, effect }: PolicyRecord,
  terms: readonly Term[] | undefined,
  { satisfied, errored }: Evaluation,
  isForbidden: boolean,
): ExplainedPolicy['outcome'] {
  if (errored.includes(id)) return 'errored'
  if (satisfied.includes(id)) return 'satisfied'
  // With a satisfied forbid the engine does not list permits; their terms tell.
  if (effect === 'forbid' || !isForbidden) return 'unsatisfied'
  if (terms === undefined) return 'unknown'
  return terms.every(holds) ? 'satisfied' : 'unsatisfied'
}

function holds({ kind, truth }: Term): boolean {
  return truth === (kind === 'when' ? 'true' : 'false')
}

function explainedTerm({ text, line }: PolicyRecord, { kind, truth, range }: Term): ExplainedTerm {
  if (range === undefined) return { kind, value: truth, text: undefined, line: undefined }
  const source = text.slice(range.start, range.end)
  const shown = source.length > TEXT_CHARACTERS_MAX ? `${source.slice(0, TEXT_CHARACTERS_MAX - 1)}…` : source
  const before = text.slice(0, range.start).split('\n').length - 1
  return { kind, value: truth, text: shown.toWellFormed(), line: line + before }
}
