import { expect, test } from 'vitest'
import { createDelegations } from '#delegation/delegations.ts'
import { createFindAgent } from '#delegation/find-agent.ts'
import { resolveDelegation } from '#delegation/resolve.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import type { ChainEvidence, Presenter, VerifiedIdentity } from '#model/identity.ts'
import { tenantWith } from '../support/tokens.ts'
import { NOON } from '../support/world.ts'
import { grant, HOME, ISSUER } from './scene.ts'

const PROVEN: Presenter = { proof: 'dpop', thumbprint: 'jkt' }

test.each<
  [ChainEvidence, VerifiedIdentity['delegation']['source'], number, boolean, Presenter | undefined, boolean?]
>([
  ['none', 'token', 0, true, PROVEN],
  ['declared', 'gateway', 1, true, PROVEN],
  ['token', 'token', 1, false, undefined],
  ['token', 'token', 1, false, PROVEN],
  ['registered', 'token', 1, true, undefined],
  ['registered', 'token', 1, true, { proof: 'none' }],
  ['proven', 'token', 1, true, PROVEN],
  ['none', 'token', 0, true, PROVEN, true],
  ['declared', 'gateway', 1, true, PROVEN, true],
  // INVARIANT: that actors have signed takes the place of neither the grants nor the key.
  ['token', 'token', 1, false, PROVEN, true],
  ['registered', 'token', 1, true, undefined, true],
  ['signed', 'token', 1, true, PROVEN, true],
])(
  '%s: from a %s, %d actors, registered %s, presenter %o, signed %s',
  (evidence, source, depth, registered, presenter, isSigned = false) => {
    const grants = registered ? [grant('user:alice', 'a')] : []
    const tenant = tenantWith([], { id: HOME, delegations: createDelegations(grants, []) })
    const party = (id: string) => ({ id, provenance: 'verified', properties: {} }) as const
    const identity: VerifiedIdentity = {
      tenant: HOME,
      agent: party('a'),
      user: party('alice'),
      subject: undefined,
      delegation: {
        source,
        chain: depth === 0 ? [] : [{ issuer: ISSUER, id: 'a' }],
        ...(isSigned && { isSigned }),
      },
      token: undefined,
      presenter,
    }
    const findAgent = createFindAgent(tenant, { tenant: () => undefined }, NOON)
    const resolved = resolveDelegation(identity, tenant, findAgent, NOON)
    expect(resolved.delegation.evidence).toBe(evidence)
  },
)

test.each<[ChainEvidence, string, string | undefined]>([
  ['registered', 'spiffe://example.org/other', undefined],
  ['proven', 'spiffe://example.org/other', 'jkt'],
  ['proven', 'a', undefined],
])('%s: the token of agent a is sent by the workload %s, and is bound to %s', (evidence, workload, jkt) => {
  const tenant = tenantWith([], { id: HOME, delegations: createDelegations([grant('user:alice', 'a')], []) })
  const party = (id: string) => ({ id, provenance: 'verified', properties: {} }) as const
  const identity: VerifiedIdentity = {
    tenant: HOME,
    agent: party('a'),
    user: party('alice'),
    subject: undefined,
    delegation: { source: 'token', chain: [{ issuer: ISSUER, id: 'a' }] },
    token: tokenOf(jkt),
    presenter: { proof: 'mtls', thumbprint: 'x', workload },
  }
  const findAgent = createFindAgent(tenant, { tenant: () => undefined }, NOON)
  expect(resolveDelegation(identity, tenant, findAgent, NOON).delegation.evidence).toBe(evidence)
})

function tokenOf(jkt: string | undefined): VerifiedIdentity['token'] {
  return {
    issuer: ISSUER,
    subject: 'alice',
    id: 't',
    expiresAt: 2 as EpochSeconds,
    issuedAt: 1 as EpochSeconds,
    scopes: [],
    ...(jkt !== undefined && { boundTo: { jkt } }),
  }
}
