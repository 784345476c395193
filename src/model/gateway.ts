import type { GatewayId, TenantId } from '#model/ids.ts'
import type { ObligationType } from '#model/obligation.ts'
import type { CertificateSource } from '#model/request.ts'

/** Kinds of fact that a gateway can be registered to assert. */
export type AssertionKind = 'identity' | 'properties' | 'context'

/** Every assertion kind, in the order of the CLI option. */
export const ASSERTION_KINDS: readonly AssertionKind[] = ['identity', 'properties', 'context']

/** What a gateway is registered with beyond its key. All optional; a gateway without them passes plain bearer tokens only. */
export interface GatewaySettings {
  /**
   * Base URL that clients reach it under, e.g. `https://api.example.com/v1`; the authority of DPoP `htu` and of signatures
   * comes from here and from nothing in the request (RFC 9449 section 4.3).
   */
  readonly externalUrl?: string
  /** Hosts beside that of `externalUrl` which clients may use. */
  readonly externalHosts?: readonly string[]
  /** How it passes on client certificates; others are ignored as proof, and their presence denies. */
  readonly certificateSource?: CertificateSource
  /** Audiences that tokens for what stands behind it must have; undefined: those of the issuer. */
  readonly audience?: readonly string[]
  /** URL of its protected resource metadata (RFC 9728), told in challenges. */
  readonly resourceMetadata?: string
  /** Whether agents may prove themselves through it by API keys of ours. Default: such a key is refused. */
  readonly apiKeys?: 'accept'
}

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
  readonly settings?: GatewaySettings
}
