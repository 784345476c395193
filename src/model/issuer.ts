/** Where an issuer's keys come from: given once, or fetched from its JWKS URL. */
export type IssuerKeys =
  | { readonly kind: 'static'; readonly keys: readonly { readonly [member: string]: unknown }[] }
  | { readonly kind: 'remote'; readonly url: string }

/** Names of the claims that carry our facts; a dotted path descends into objects. */
export interface ClaimMapping {
  /** Claim with the tenant; its value must equal the tenant that this issuer is registered for. Undefined: not checked. */
  readonly tenant: string | undefined
  /** Claim with the agent when the token has no `act`. Default `client_id`, then `azp`. */
  readonly agent: string | undefined
  /** Claim with the user. Default `sub`. */
  readonly user: string
}

/** A token issuer that one tenant trusts (RFC 9068). One without an audience can't be registered. */
export interface Issuer {
  readonly issuer: string
  readonly audience: readonly string[]
  /** Accepted JWS algorithms; asymmetric ones only. */
  readonly algorithms: readonly string[]
  /** Accepted `typ` header values in lower case, without `application/`. Default `at+jwt`. */
  readonly types: readonly string[]
  readonly keys: IssuerKeys
  readonly claims: ClaimMapping
  /** How far clocks may differ. 0 to 300, default 30. */
  readonly clockToleranceSeconds: number
  /** Longest accepted `exp` - `iat`. 1 to 86,400, default 3,600. */
  readonly lifetimeSecondsMax: number
}
