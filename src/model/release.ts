import type { ReleaseId } from '#model/ids.ts'
import type { ObligationType } from '#model/obligation.ts'
import type { EntityUid, JsonObject } from '#model/value.ts'

/** Scope constraint on principal or resource. */
export type EntityScope =
  | { readonly op: 'all' }
  | { readonly op: '=='; readonly entity: EntityUid }
  | { readonly op: 'in'; readonly entity: EntityUid }
  | { readonly op: 'is'; readonly type: string }
  | { readonly op: 'is-in'; readonly type: string; readonly entity: EntityUid }

/** Scope constraint on the action. */
export type ActionScope =
  | { readonly op: 'all' }
  | { readonly op: '=='; readonly entity: EntityUid }
  | { readonly op: 'in'; readonly entities: readonly EntityUid[] }

/** What of one value a policy's conditions can read; absent children are never read. */
export interface ReadNode {
  /** The value itself is used (compared, contained, returned); for an entity that is its uid only. */
  readonly whole: boolean
  /** The entity is the left side of `in`: its ancestors are needed. */
  readonly ancestors: boolean
  /** Tags of the entity are read. */
  readonly tags: boolean
  readonly attrs: { readonly [name: string]: ReadNode }
}

/** Everything that a policy's conditions can read. `all`: could not be bounded, send everything reachable. */
export interface Reads {
  readonly all: boolean
  readonly principal: ReadNode | undefined
  readonly resource: ReadNode | undefined
  readonly action: ReadNode | undefined
  readonly context: ReadNode | undefined
  readonly entities: readonly { readonly uid: EntityUid; readonly node: ReadNode }[]
}

/** One obligation annotation after the publish check. */
export interface ObligationTemplate {
  readonly type: ObligationType
  readonly properties: JsonObject
}

/** One policy of a release with everything that is worked out at push. */
export interface PolicyRecord {
  /** From `@id`; unique in the release. Ids of shipped guardrails begin with `warder.`. */
  readonly id: string
  readonly effect: 'permit' | 'forbid'
  readonly origin: 'tenant' | 'guardrail'
  /** File name inside the pushed folder and the line where the policy starts (1-based). */
  readonly file: string
  readonly line: number
  /** Source text of this policy alone, as the engine gets it. */
  readonly text: string
  /** Its conditions as JSON text (`policy/compiled/conditions.ts`); absent in releases stored before there were any. */
  readonly conditions?: string
  readonly scope: {
    readonly principal: EntityScope
    readonly action: ActionScope
    readonly resource: EntityScope
  }
  readonly reads: Reads
  /** Whether a condition reads `context.autonomous`: only such permits count when no user is present. */
  readonly testsAutonomous: boolean
  readonly obligations: readonly ObligationTemplate[]
  readonly advice: string | undefined
  readonly reason: string | undefined
}

/** A file of a pushed folder, verbatim. */
export interface SourceFile {
  readonly name: string
  readonly text: string
}

/** Type of an attribute in the compiled schema. */
export type SchemaType =
  | { readonly kind: 'bool' | 'long' | 'string' }
  | { readonly kind: 'entity'; readonly type: string }
  | { readonly kind: 'extension'; readonly fn: 'ip' | 'decimal' | 'datetime' | 'duration' }
  | { readonly kind: 'set'; readonly element: SchemaType }
  | { readonly kind: 'record'; readonly attrs: SchemaAttributes }

/** Attributes of a record or entity type. Plain data so that it can be stored as JSON. */
export interface SchemaAttributes {
  readonly [name: string]: { readonly type: SchemaType; readonly required: boolean }
}

/** The schema in the form that request checks and typed conversion need. Keys of `entityTypes` are full type names. */
export interface SchemaModel {
  readonly entityTypes: {
    readonly [type: string]: {
      readonly attrs: SchemaAttributes
      readonly tags: SchemaType | undefined
      /** Ids of an enumerated entity type. */
      readonly choices: readonly string[] | undefined
    }
  }
  /** Every declared action with its ancestor closure; groups have empty `principals` and `resources`. */
  readonly actions: readonly {
    readonly uid: EntityUid
    readonly groups: readonly EntityUid[]
    readonly principals: readonly string[]
    readonly resources: readonly string[]
    readonly context: SchemaAttributes
  }[]
}

/** `own`: no policy or schema names a `Warder` type or action; the AuthZEN subject is the only party (docs/architecture.md). */
export type Vocabulary = 'warder' | 'own'

/** The part of a release that is one row; its policies are rows of their own so that 10,000 load without a stall. */
export interface ReleaseHeader {
  readonly id: ReleaseId
  readonly vocabulary: Vocabulary
  /** False when it was pushed without a schema. */
  readonly validated: boolean
  readonly schema: SchemaModel | undefined
  readonly policyCount: number
}

/** A whole release as push stores it. */
export interface ReleaseContent extends ReleaseHeader {
  /** Cedar schema text (ours with the tenant's appended), for the oracle and for `validate`. */
  readonly schemaText: string | undefined
  readonly sources: readonly SourceFile[]
  readonly policies: readonly PolicyRecord[]
}

/** Which policies can match: the questions that the scope index answers. */
export interface ScopeQuestion {
  readonly principal: EntityUid
  readonly principalAncestors: readonly EntityUid[]
  readonly action: EntityUid
  readonly actionAncestors: readonly EntityUid[]
  readonly resource: EntityUid
  readonly resourceAncestors: readonly EntityUid[]
}

/** An entity with all of its ancestors. */
export interface ScopeSide {
  readonly uid: EntityUid
  readonly ancestors: readonly EntityUid[]
}

/** A question of which sides are not known: an absent one matches every scope. */
export interface OpenScopeQuestion {
  readonly principal?: ScopeSide
  readonly action?: ScopeSide
  readonly resource?: ScopeSide
}

/** A release in memory, indexed by scope. Holds no parsed policies: cost follows the matching ones (docs/decisions/0003-cedar-engine.md). */
export interface Release extends ReleaseHeader {
  /** Ordinals (ascending) of the policies whose scope matches exactly. */
  matching(question: ScopeQuestion): readonly number[]
  /** The same for a question with open sides: a superset of what `matching` gives whatever they turn out to be. Cost follows all policies. */
  matchingOpen(question: OpenScopeQuestion): readonly number[]
  /** The policy at `ordinal`, 0 to `policyCount` - 1. */
  policy(ordinal: number): PolicyRecord
  /** Names (lower case, sorted) of all headers that its policies can set. */
  readonly upstreamHeaders: readonly string[]
  /** The policy with this id, in constant time. */
  find(id: string): PolicyRecord | undefined
}
