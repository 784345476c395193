import type { Reason } from '#model/decision.ts'
import type { Gateway } from '#model/gateway.ts'
import type { VerifiedIdentity } from '#model/identity.ts'
import type { Provenance } from '#model/provenance.ts'
import type { RegistrySnapshot } from '#model/registry.ts'
import type { Release } from '#model/release.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { PartyName } from '#policy/combine.ts'
import type { Query } from '#policy/port.ts'
import type { EntityFactsView } from './entity-facts.ts'

/** Everything that the policy step may use. */
export interface PolicyInput {
  readonly request: AuthorizationRequest
  readonly identity: VerifiedIdentity
  readonly gateway: Gateway
  readonly registry: RegistrySnapshot
  readonly release: Release
  /** What this gateway is registered to assert; the rest of its facts count as declared. */
  readonly trusts: { readonly properties: boolean; readonly context: boolean }
}

/** One party's question to the engine. */
export interface PartyQuery {
  readonly party: PartyName
  readonly query: Query
}

/** A request as Cedar queries, or the reason why it can't be asked. */
export type Asked =
  | {
      readonly ok: true
      /** Without anything declared; all of these must allow. */
      readonly queries: readonly PartyQuery[]
      /** The same with what was declared; undefined when nothing was. All of these must allow too. */
      readonly withDeclared: readonly PartyQuery[] | undefined
      readonly autonomous: boolean
      /** The tool that is called; undefined in an own vocabulary. */
      readonly tool: string | undefined
      readonly views: readonly EntityFactsView[]
      readonly provenance: { readonly [fact: string]: Provenance }
    }
  | { readonly ok: false; readonly reason: Reason; readonly detail?: string }

/** A request that can't be asked. */
export function notAsked(reason: Reason, detail?: string): Asked {
  return detail === undefined ? { ok: false, reason } : { ok: false, reason, detail }
}
