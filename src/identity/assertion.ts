import type { AssertionKind, Gateway } from '#model/gateway.ts'
import { type Dialect, isJsonDialect } from '#model/request.ts'

/**
 * Whether what `gateway` says about `kind` in this dialect is believed (docs/architecture.md, invariant 10).
 *
 * An explicit registration is exact, in every dialect. Without one: everything in the JSON dialects, whose body the
 * gateway writes itself, and nothing in the header dialects, where a client's own headers could pass through.
 */
export function mayAssert(gateway: Gateway, dialect: Dialect, kind: AssertionKind): boolean {
  return gateway.asserts === undefined ? isJsonDialect(dialect) : gateway.asserts.has(kind)
}
