/** Where an issuer's keys come from: given once, or fetched. */
export type IssuerKeys =
  | { readonly kind: 'static'; readonly keys: readonly { readonly [member: string]: unknown }[] }
  | {
      readonly kind: 'remote'
      /** Of the key set; of the metadata that names it where `discovered` is true (RFC 8414, OpenID Connect Discovery). */
      readonly url: string
      readonly discovered?: boolean
    }

/** Kinds of issuer whose tokens differ; docs/identity.md says what each presets. */
export type IssuerProfile =
  | 'rfc9068'
  | 'keycloak'
  | 'okta'
  | 'auth0'
  | 'loginradius'
  | 'entra'
  | 'spiffe'
  | 'legacy'
  | 'txn-token'
  | 'http-signature'

/** JSON type of a required claim; `strings`: a non-empty list of strings. A `string` must not be empty. */
export type ClaimType = 'string' | 'number' | 'boolean' | 'strings' | 'object'

/** Names of the claims that carry our facts; a dotted path descends into objects. */
export interface ClaimMapping {
  /** Claim with the tenant; its value must equal `tenantValue`. Undefined: not checked. */
  readonly tenant: string | undefined
  /** What the claim must be. Default: the tenant that this issuer is registered for. */
  readonly tenantValue?: string
  /** Claim with the agent when the token has no `act`. Default `client_id`, then `azp`. */
  readonly agent: string | undefined
  /** Claim with the user. Default `sub`. */
  readonly user: string
  /** Claim with the chain of actors. Default `act`. */
  readonly actor?: string
  /** Claim with the scopes: text with spaces, or a list. Default `scope`. */
  readonly scope?: string
  /** Claim with the id of the token. Default `jti`. */
  readonly id?: string
  /** Claim with the session, and with it the family of rotated tokens. Default `sid`. */
  readonly session?: string
}

/** How Warder proves itself to an issuer that it calls. */
export interface ClientCredentials {
  readonly clientId: string
  readonly authentication: 'private_key_jwt' | 'client_secret_basic' | 'tls_client_auth'
  /** A private JWK, a client secret, or PEM text with key and certificate; sealed wherever it is stored. */
  readonly secret: string
}

/** How opaque tokens are asked about (RFC 7662). */
export interface Introspection extends ClientCredentials {
  readonly url: string
  /** Longest reuse of a positive answer. 0 to 60, default 30. */
  readonly cacheSecondsMax: number
  /** Whether only signed answers count (RFC 9701). */
  readonly signed: boolean
}

/** How tokens of an issuer are exchanged for those of upstreams (RFC 8693), and how these are ended (RFC 7009). */
export interface TokenExchange extends ClientCredentials {
  /** Its token endpoint. */
  readonly url: string
  /** Undefined: exchanged tokens end by themselves only. */
  readonly revocationUrl?: string
  /** Whether the subject token is sent as `actor_token` too. */
  readonly actorToken: boolean
}

/** A token issuer that one tenant trusts (RFC 9068). One without an audience can't be registered. */
export interface Issuer {
  readonly issuer: string
  readonly audience: readonly string[]
  /** Accepted JWS algorithms; asymmetric ones only. */
  readonly algorithms: readonly string[]
  /** Accepted `typ` header values in lower case, without `application/`; empty: no `typ`. Default `at+jwt`. */
  readonly types: readonly string[]
  readonly keys: IssuerKeys
  readonly claims: ClaimMapping
  /** How far clocks may differ. 0 to 300, default 30. */
  readonly clockToleranceSeconds: number
  /** Longest accepted `exp` - `iat`. 1 to 86,400, default 3,600. */
  readonly lifetimeSecondsMax: number
  /** Default `rfc9068`. */
  readonly profile?: IssuerProfile
  /** Claims that must be there beside `iss`, `sub`, `aud`, `exp` and `iat`, by (dotted) name. */
  readonly required?: { readonly [claim: string]: ClaimType }
  /** Longest time since `iat`, 1 to 86,400. Undefined: only the lifetime counts. */
  readonly ageSecondsMax?: number
  /** How many audiences a token may name, each of them ours. 1 to 10, default 1. */
  readonly audiencesMax?: number
  /** Whether its URLs may lead into private networks and this machine. Default false. */
  readonly privateNetwork?: boolean
  readonly introspection?: Introspection
  /** Undefined: Warder exchanges no token of this issuer. */
  readonly tokenExchange?: TokenExchange
  /** Whether a newer token of a session takes the place of older ones. Default false. */
  readonly rotation?: boolean
  /** URLs of status lists, and beginnings of such where they end in a slash; canonical. Default: none is read. */
  readonly statusLists?: readonly string[]
  /** Whether its clients may be named by the URLs of their metadata documents. Default false. */
  readonly clientMetadata?: boolean
  /** Raised to make every server forget the keys that it has. Default 0. */
  readonly keysRevision?: number
}
