import type { Obligation } from '#model/obligation.ts'

/** One page of a search. */
export interface Found {
  /** In the order of their ids. */
  readonly results: readonly {
    /** Id of a subject or resource, name of an action. */
    readonly id: string
    /** What the gateway must do where it acts on this result. */
    readonly obligations: readonly Obligation[]
  }[]
  /** Where the next page begins; empty when there is none. */
  readonly nextToken: string
}
