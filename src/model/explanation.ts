/** Why a decision came out as it did, for those who may read the tenant's policies. Holds no value of the request. */
export interface Explanation {
  /** One for each query, those with what was declared last. Empty when the policies were not asked. */
  readonly parties: readonly ExplainedParty[]
}

/** What the policies said about one party. */
export interface ExplainedParty {
  readonly party: 'agent' | 'user' | 'subject'
  /** Asked once more, with what the agent declared about itself. */
  readonly declared: boolean
  /** Those whose scope matched: what decided first, then near misses, then the others in the order of the release. */
  readonly policies: readonly ExplainedPolicy[]
  /** How many more matched than are shown. */
  readonly omitted: number
  /** Set when the policies of this query could not be taken apart. */
  readonly incomplete?: true
}

/** One policy whose scope matched. */
export interface ExplainedPolicy {
  readonly id: string
  readonly effect: 'permit' | 'forbid'
  readonly file: string
  /** 1-based. */
  readonly line: number
  /** `unknown`: a forbid fired, and this permit's conditions could not be taken apart. */
  readonly outcome: 'satisfied' | 'unsatisfied' | 'errored' | 'unknown'
  /** A permit that one or two terms kept from being satisfied. */
  readonly nearMiss: boolean
  /** Of a near miss the terms that failed, of a forbid that fired or errored all; of others none. */
  readonly terms: readonly ExplainedTerm[]
  /** How many more there are than are shown. */
  readonly omittedTerms: number
}

/** One operand of a condition, on its own: a term that an earlier one keeps from being reached has a value too. */
export interface ExplainedTerm {
  readonly kind: 'when' | 'unless'
  readonly value: 'true' | 'false' | 'error'
  /** Source text, at most 300 characters; undefined where it can not be told. */
  readonly text: string | undefined
  readonly line: number | undefined
}
