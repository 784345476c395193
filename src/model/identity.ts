import type { EpochSeconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { Provenance } from '#model/provenance.ts'
import type { ReasonCode } from '#model/reasons.ts'
import type { EntityUid, JsonObject } from '#model/value.ts'

/** One party of the decision with the class of its proof. */
export interface Party {
  readonly id: string
  readonly provenance: Provenance
  /** Attributes that came with the claim; used only where the registry says nothing. */
  readonly properties: JsonObject
}

/** One actor of a delegation (RFC 8693 section 4.1); the outermost is the current actor. */
export interface Actor {
  readonly issuer: string | undefined
  readonly id: string
}

/** What a verified access token said; never the token itself. */
export interface VerifiedToken {
  readonly issuer: string
  readonly subject: string
  readonly id: string | undefined
  readonly expiresAt: EpochSeconds
  readonly issuedAt: EpochSeconds | undefined
  readonly scopes: readonly string[]
  /** Software that obtained the token, where it is not the agent itself because `act` names that; it can only deny. */
  readonly client?: string | undefined
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
  }
  readonly token: VerifiedToken | undefined
}

/** Why a step before policy said no. `detail` goes to the log only. */
export interface Stop {
  readonly code: ReasonCode
  readonly message: string
  readonly detail?: string
}
