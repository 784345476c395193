import type { Release } from '#model/release.ts'
import type { EntityUid, ValueRecord } from '#model/value.ts'

/** An entity as policies see it in one query. */
export interface EntityFacts {
  readonly uid: EntityUid
  readonly attrs: ValueRecord
  readonly tags: ValueRecord
  /** The whole ancestor closure, not only parents. */
  readonly ancestors: readonly EntityUid[]
}

/** Entities that one query can reach. Undefined: the entity does not exist (an attribute access then errors). */
export type FindEntity = (uid: EntityUid) => EntityFacts | undefined

/** One question to the engine, in our own value types; no Cedar JSON. */
export interface Query {
  readonly principal: EntityUid
  readonly action: EntityUid
  readonly resource: EntityUid
  /** Ancestors of the action (its groups), the whole closure. */
  readonly actionAncestors: readonly EntityUid[]
  readonly context: ValueRecord
  readonly entity: FindEntity
}

/** What the engine found. Ids are sorted. */
export interface Evaluation {
  /** With any satisfied forbid: the satisfied forbids. Otherwise: all satisfied permits. */
  readonly satisfied: readonly string[]
  /** Policies whose condition errored and that Cedar skipped. */
  readonly errored: readonly string[]
}

/** Why the engine gave no evaluation. */
export interface EngineFault {
  readonly kind: 'limit' | 'engine'
  readonly detail: string
}

/** The evaluator port: a faster one can stand beside cedar-wasm and be checked against it. Never throws. */
export type Evaluate = (release: Release, queries: readonly Query[]) => readonly (Evaluation | EngineFault)[]
