import type { EpochSeconds } from '#lib/clock.ts'
import type { Challenge } from '#model/challenge.ts'
import type { TenantId } from '#model/ids.ts'
import type { Provenance } from '#model/provenance.ts'
import type { ReasonCode } from '#model/reasons.ts'
import type { EntityUid, JsonObject } from '#model/value.ts'
import type { StatusPlace } from './token-status.ts'

/** One party of the decision with the class of its proof. */
export interface Party {
  readonly id: string
  readonly provenance: Provenance
  /** Attributes that came with the claim; used only where the registry says nothing. */
  readonly properties: JsonObject
  /** Set for a user that is the account of an agent: nobody else uses it, and no person stands behind the call. */
  readonly ofAgent?: true
  /** Where it belongs, when that is another tenant and a federation lets it act here. */
  readonly home?: TenantId
}

/** One actor of a delegation (RFC 8693 section 4.1); the outermost is the current actor. */
export interface Actor {
  readonly issuer: string | undefined
  readonly id: string
  /** Kind of actor as its issuer names it (actor profile `sub_profile`); for the log only. */
  readonly profile?: string
}

/** What a verified access token said; never the token itself. */
export interface VerifiedToken {
  readonly issuer: string
  /** `api-key`: a secret that is registered here, which nobody has signed. Undefined: an access token. */
  readonly kind?: 'api-key' | undefined
  readonly subject: string
  readonly id: string | undefined
  readonly expiresAt: EpochSeconds
  readonly issuedAt: EpochSeconds | undefined
  readonly scopes: readonly string[]
  /** Every claim of it as it came, for mappings only (src/mapping); never logged. Undefined after a replay. */
  readonly claims?: JsonObject
  /** Session at the issuer (`sid`); whoever ends it ends every token of it. */
  readonly session?: string | undefined
  /** Key of the issuer that signed it (`kid`). */
  readonly keyId?: string | undefined
  /** SHA-256 (base64url) of the signing input; stable when only the signature differs. */
  readonly fingerprint?: string | undefined
  /** Key that the token is bound to (RFC 9449 `jkt`, RFC 8705 `x5t#S256`), base64url. */
  readonly boundTo?: { readonly jkt?: string; readonly x5t?: string } | undefined
  /** Authentication of the user: class, methods, instant (RFC 9470). */
  readonly authentication?:
    | {
        readonly acr?: string
        readonly amr?: readonly string[]
        readonly at?: EpochSeconds
      }
    | undefined
  /** Rich authorization (RFC 9396), a ceiling of what may be done; each entry has a string `type`. */
  readonly authorizationDetails?: readonly JsonObject[] | undefined
  /** Template that the agent was made from (`xms_par_app_azp`); it can only deny. */
  readonly blueprint?: string | undefined
  /** Where its issuer says whether it is still valid: a place in a status list (`status.status_list`). */
  readonly status?: StatusPlace | undefined
  /** Who may become the actor of a token that this one is exchanged for (RFC 8693 section 4.4); read for that question only. */
  readonly mayAct?: Actor | undefined
  /** Whether the token itself says who acts for its subject (`act`), and not only which client obtained it. */
  readonly namesActor?: true | undefined
  /** Software that obtained the token, where it is not the agent itself because `act` names that; it can only deny. */
  readonly client?: string | undefined
}

/** Software that proved with a key or certificate of its own that it presents the token. */
export interface Presenter {
  readonly proof: 'none' | 'dpop' | 'mtls' | 'wpt' | 'http-signature'
  /** Thumbprint of the key: RFC 7638 SHA-256, or SHA-256 of the certificate; base64url. */
  readonly thumbprint?: string
  readonly certificate?: {
    readonly serial: string
    readonly issuer: string
    /** URI SAN that is a SPIFFE ID. */
    readonly spiffeId?: string
  }
  /** Workload that a WIT or SVID names (`spiffe://...`, `wimse://...`). */
  readonly workload?: string
}

/** How well a delegation chain is proven (docs/identity.md). */
export type ChainEvidence = 'none' | 'declared' | 'token' | 'registered' | 'proven' | 'signed'

/** What a verified transaction token says about the call: context, never identity, and it can only deny. */
export interface Transaction {
  /** `txn`, of which one transaction has one through all its calls. */
  readonly id: string
  readonly issuer: string
  /** Key of the issuer that signed the token. */
  readonly keyId?: string
  /** Actors that it names, outermost first. */
  readonly chain: readonly Actor[]
  /** Where its issuer says whether it is still valid. */
  readonly status?: StatusPlace
  /** `tctx`: what the transaction was started for; empty without one. Values may be sensitive. */
  readonly context: JsonObject
}

/** A verified workload identity token, as far as it can be revoked. */
export interface WorkloadToken {
  /** Trust domain, `spiffe://...`. */
  readonly issuer: string
  /** `jti`. */
  readonly id?: string
  /** Key of the trust domain that signed it. */
  readonly keyId?: string
  /** Where the trust domain says whether it is still valid. */
  readonly status?: StatusPlace
}

/** Who is asking, after verification. */
export interface VerifiedIdentity {
  readonly tenant: TenantId
  readonly agent: Party | undefined
  readonly user: Party | undefined
  /** Own-vocabulary subject: the only party of such a tenant. */
  readonly subject:
    | { readonly uid: EntityUid; readonly provenance: Provenance; readonly properties: JsonObject }
    | undefined
  readonly delegation: {
    /** Who vouches for the delegation: a verified token, the gateway, or nobody. */
    readonly source: 'token' | 'gateway' | 'none'
    /** All actors, outermost first; inner ones can only deny. */
    readonly chain: readonly Actor[]
    /** Set when every actor has signed for its part (`actor_proofs`). */
    readonly isSigned?: true
    /** Why `actor_proofs` that are there do not say so; for the log. */
    readonly unsigned?: string
    /** Undefined: `none` without a chain, `declared` from a gateway, `token` from a token. */
    readonly evidence?: ChainEvidence
    /** Delegation grants that this chain rests on; revoking one ends it. */
    readonly grants?: readonly string[]
    /** When the first grant or federation that it rests on ends. Undefined: none of them does. */
    readonly endsAt?: EpochSeconds
    /** Other tenants whose agents take part, by federations; each logs the decision too. */
    readonly crossings?: readonly TenantId[]
  }
  readonly token: VerifiedToken | undefined
  /** Undefined: whoever holds the token can present it. */
  readonly presenter?: Presenter | undefined
  /** Undefined: the call came with no transaction token. */
  readonly transaction?: Transaction | undefined
  /** Undefined: no workload token proved who sends the call. */
  readonly workloadToken?: WorkloadToken | undefined
  /** Issuers whose keys are overdue and could not be fetched anew: what they have revoked since is not known. Undefined: none. */
  readonly staleKeys?: readonly string[] | undefined
  /** For the answer's headers: the nonce of the next proof. */
  readonly nonce?: string | undefined
}

/** Whether no person stands behind the call: no user, or one that is the account of an agent. */
export function isAutonomous({ user }: Pick<VerifiedIdentity, 'user'>): boolean {
  return user === undefined || user.ofAgent === true
}

/** Why a step before policy said no. `detail` goes to the log only. */
export interface Stop {
  readonly code: ReasonCode
  readonly message: string
  readonly detail?: string
  readonly challenge?: Challenge
  /** When asking again can help, in seconds. */
  readonly retryAfterSeconds?: number
}
