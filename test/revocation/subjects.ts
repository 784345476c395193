import type { EpochMilliseconds, EpochSeconds } from '#lib/clock.ts'
import type { VerifiedIdentity, VerifiedToken } from '#model/identity.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { Dependency, Revocation } from '#model/revocation.ts'
import type { EntityUid, JsonObject } from '#model/value.ts'
import { RevocationSnapshot } from '#revocation/snapshot.ts'
import { TENANT } from '../support/tokens.ts'

/** The frozen time of these tests. */
export const NOW = 1_800_000_000_000 as EpochMilliseconds

/** A revocation of one thing; override what a test is about. */
export function revocation(of: Dependency, more: Partial<Revocation> = {}): Revocation {
  const shared = { mode: 'deny', source: 'admin', reason: 'test' } as const
  return { revocation: `${of.kind} ${of.id}`, ...shared, ...of, ...more }
}

/** A list with exactly `revocations`. */
export function listOf(...revocations: readonly Revocation[]): RevocationSnapshot {
  return RevocationSnapshot.empty.apply(
    revocations.map((each) => ({ revocation: each, isInForce: true })),
    NOW,
  )
}

/** A token of the issuer `https://idp.example`, with everything that a token can say. */
export function token(more: Partial<VerifiedToken> = {}): VerifiedToken {
  return {
    issuer: 'https://idp.example',
    subject: 'alice',
    id: 'jti-1',
    issuedAt: 1_799_999_900 as EpochSeconds,
    expiresAt: 1_800_000_600 as EpochSeconds,
    scopes: [],
    ...more,
  }
}

/** C acting for B acting for A acting for alice. */
export function delegated(more: Partial<VerifiedIdentity> = {}): VerifiedIdentity {
  const party = (id: string) => ({ id, provenance: 'verified', properties: {} }) as const
  const chain = ['c', 'b', 'a'].map((id) => ({ issuer: 'https://idp.example', id }))
  return {
    tenant: TENANT,
    agent: party('c'),
    user: party('alice'),
    subject: undefined,
    delegation: { source: 'token', chain },
    token: token(),
    ...more,
  }
}

/** A registered agent. */
export function agent(id: string, attrs: JsonObject = {}, parents: readonly EntityUid[] = []): StoredEntity {
  return { uid: { type: 'Warder::Agent', id }, attrs: { status: 'active', ...attrs }, tags: {}, parents }
}
