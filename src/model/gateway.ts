import type { GatewayId, TenantId } from '#model/ids.ts'
import type { ObligationType } from '#model/obligation.ts'

/** Kinds of fact that a gateway can be registered to assert. */
export type AssertionKind = 'identity' | 'properties' | 'context'

/** Every assertion kind, in the order of the CLI option. */
export const ASSERTION_KINDS: readonly AssertionKind[] = ['identity', 'properties', 'context']

/** A registered policy enforcement point. */
export interface Gateway {
  readonly id: GatewayId
  readonly name: string
  readonly tenant: TenantId
  /**
   * What it may assert. `undefined` is the default: everything in the JSON dialects (native, AuthZEN), whose body the
   * gateway writes itself, and nothing in the header dialects, where a client's own headers could pass through.
   */
  readonly asserts: ReadonlySet<AssertionKind> | undefined
  /** Whether it may ask for a user without an agent (docs/architecture.md, invariant 5). */
  readonly userOnly: boolean
  /** Obligations that it can carry out; `undefined` is the default of the dialect it speaks. */
  readonly obligations: ReadonlySet<ObligationType> | undefined
}
