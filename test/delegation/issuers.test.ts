import { describe, expect, test } from 'vitest'
import { ruleIssuer } from '#delegation/rules.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import type { Actor, Presenter, VerifiedIdentity, VerifiedToken } from '#model/identity.ts'
import type { IssuerProfile } from '#model/issuer.ts'
import type { JsonObject } from '#model/value.ts'
import { issuer, registryOf, TENANT, tenantWith } from '../support/tokens.ts'

const ONE = 'https://one.example'
const TWO = 'https://two.example'
const DOMAIN = 'spiffe://acme.example'
const ID = `${DOMAIN}/agents/bot`

type Trusted = readonly (readonly [string, IssuerProfile?])[]

interface Asked {
  readonly trusted: Trusted
  readonly agent: string
  readonly by?: string | undefined
  readonly attrs?: JsonObject
  readonly presenter?: Presenter
  readonly chain?: readonly Actor[]
  readonly kind?: VerifiedToken['kind']
}

/** The answer for a token of `by` that names `agent`, where `trusted` are the issuers of the tenant. */
function judge({ trusted, agent, by, attrs = {}, presenter, chain = [], kind }: Asked): string | undefined {
  const entity = { uid: { type: 'Warder::Agent', id: agent }, attrs, tags: {}, parents: [] }
  const registry = registryOf([entity])
  const issuers = trusted.map(([name, profile]) => issuer([], { issuer: name, ...(profile && { profile }) }))
  const token: VerifiedToken | undefined =
    by === undefined
      ? undefined
      : {
          issuer: by,
          kind,
          subject: agent,
          id: 't',
          expiresAt: 0 as EpochSeconds,
          issuedAt: undefined,
          scopes: [],
        }
  const identity: VerifiedIdentity = {
    tenant: TENANT,
    agent: { id: agent, provenance: 'verified', properties: {} },
    user: undefined,
    subject: undefined,
    delegation: { source: 'token', chain },
    token,
    presenter,
  }
  const findAgent = (id: string) => (id === agent ? { entity, registry, home: TENANT } : undefined)
  return ruleIssuer({ identity, tenant: tenantWith(issuers, { registry }), findAgent, tool: undefined })?.code
}

describe('an agent that is registered without an issuer', () => {
  test.each<[string, Asked, string | undefined]>([
    ['by the only issuer', { trusted: [[ONE]], agent: 'bot', by: ONE }, undefined],
    ['by the first of two', { trusted: [[ONE], [TWO]], agent: 'bot', by: ONE }, 'chain.issuer'],
    ['by the second of two', { trusted: [[ONE], [TWO]], agent: 'bot', by: TWO }, 'chain.issuer'],
    [
      'as an actor',
      { trusted: [[ONE], [TWO]], agent: 'bot', by: ONE, chain: [{ id: 'bot', issuer: ONE }] },
      'chain.issuer',
    ],
    ['by a gateway alone', { trusted: [[ONE], [TWO]], agent: 'bot' }, undefined],
    [
      'beside an issuer of transactions',
      { trusted: [[ONE], [TWO, 'txn-token']], agent: 'bot', by: ONE },
      undefined,
    ],
    [
      'beside keys that sign calls',
      { trusted: [[ONE], [TWO, 'http-signature']], agent: 'bot', by: ONE },
      undefined,
    ],
    ['beside a trust domain', { trusted: [[ONE], [DOMAIN, 'spiffe']], agent: 'bot', by: ONE }, undefined],
    [
      'in a trust domain, by that',
      { trusted: [[ONE], [DOMAIN, 'spiffe']], agent: ID, by: DOMAIN },
      undefined,
    ],
    [
      'in a trust domain, by another',
      { trusted: [[ONE], [DOMAIN, 'spiffe']], agent: ID, by: ONE },
      'chain.issuer',
    ],
    [
      'in a trust domain whose name another begins with',
      { trusted: [[ONE], [DOMAIN, 'spiffe'], [`${DOMAIN}.evil`, 'spiffe']], agent: ID, by: `${DOMAIN}.evil` },
      'chain.issuer',
    ],
    [
      'that proves its own key',
      { trusted: [[ONE], [DOMAIN, 'spiffe']], agent: ID, by: ONE, presenter: { proof: 'wpt', workload: ID } },
      undefined,
    ],
    [
      'by an API key',
      { trusted: [[ONE], [TWO]], agent: 'bot', by: 'urn:warder:api-key', kind: 'api-key' },
      undefined,
    ],
  ])('is named %s', (_, asked, expected) => {
    expect(judge(asked)).toBe(expected)
  })
})

test.each([
  [ONE, undefined],
  [TWO, 'chain.issuer'],
])('of several issuers only the one that it is registered with names an agent: %s', (by, expected) => {
  expect(judge({ trusted: [[ONE], [TWO]], agent: 'bot', by, attrs: { issuer: ONE } })).toBe(expected)
})
