/** Risk tiers of tools, least first; an unclassified tool counts as critical. */
export type RiskTier = 'low' | 'medium' | 'high' | 'critical' | 'unclassified'

/** What a tenant demands of every call, beside its policies. Stored as one JSON object in `tenants.rules`. */
export interface TenantRules {
  /** Which calls need a token bound to a key: none, all, or those of tools at least this risky. Default `none`. */
  readonly proofOfPossession?: 'none' | 'all' | 'medium' | 'high' | 'critical'
  /** Whether DPoP proofs must carry a nonce of ours. Default false. */
  readonly proofNonce?: boolean
  /**
   * Which calls need keys of their issuers that are not overdue: none, all, or those of tools at least this risky. Default `high` for
   * calls of tools, `none` for calls of no tool.
   */
  readonly freshKeys?: 'none' | 'all' | 'medium' | 'high' | 'critical'
  /** Scopes that a call needs, by tool id or action group (`readTools`, ...); all of a list. */
  readonly scopes?: { readonly [tool: string]: readonly string[] }
  /**
   * Tool ids and action groups (`callTool`: all) whose calls for a user need a token that says itself who acts (`act`): that of a
   * user alone is refused there. Default: none.
   */
  readonly actorRequired?: readonly string[]
  /** Longest delegation chain, 1 to 8. Default 4. */
  readonly chainDepthMax?: number
  /** Whether acting for a user or agent needs a registered grant. Default false. */
  readonly grantsRequired?: boolean
  /** Least evidence of a chain. Default `declared`: whom a gateway is registered to assert is believed. */
  readonly chainEvidenceMin?: 'declared' | 'token' | 'registered' | 'proven' | 'signed'
  /** Keys by which agents sign for their part in a chain (`actor_proofs`): by agent id, RFC 7638 thumbprints. Default: none. */
  readonly actorKeys?: { readonly [agent: string]: readonly string[] }
  /** Which issuer may name actors of which other issuers' namespaces, beside its own. Default: of none. */
  readonly actorIssuers?: { readonly [issuer: string]: readonly string[] }
  /** Circuit breaker for each agent: trips at this share of denials (0 to 1) over at least `minimum` decisions in the window. */
  readonly breaker?: {
    readonly denyShare: number
    readonly minimum: number
    readonly windowSeconds: number
    readonly openSeconds: number
  }
}

/** Whether a token that `signer` has signed may name actors of `issuer`: its own, and those of whom the tenant lists for it. */
export function mayNameActorsOf(issuer: string, signer: string, rules: TenantRules | undefined): boolean {
  const { actorIssuers = {} } = rules ?? {}
  return (
    issuer === signer ||
    (Object.hasOwn(actorIssuers, signer) && actorIssuers[signer]?.includes(issuer) === true)
  )
}
