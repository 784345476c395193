import { expect, test } from 'vitest'
import { complete } from '#identity/complete.ts'
import type { Once } from '#identity/proof/possession.ts'
import { success } from '#lib/result.ts'
import type { VerifiedIdentity } from '#model/identity.ts'
import { issuer, TENANT, tenantWith } from '../support/tokens.ts'

const DOMAIN = 'spiffe://acme.example'
const NAMES = [
  'https://idp.example',
  DOMAIN,
  'https://tts.example',
  'https://agents.example',
  'https://other.example',
]
const tenant = tenantWith(NAMES.map((name) => issuer([], { issuer: name })))
const nobody: VerifiedIdentity = {
  tenant: TENANT,
  agent: undefined,
  user: undefined,
  subject: undefined,
  delegation: { source: 'none', chain: [] },
  token: undefined,
}
const once: Once = { key: 'k', question: undefined, issuedAt: 0 as never, expiresAt: 0 as never }
const signer = { thumbprint: 'x', issuer: 'https://agents.example', once }
const transaction = { id: 't', issuer: 'https://tts.example', chain: [], context: {} }
const token = {
  issuer: 'https://idp.example',
  subject: 's',
  id: 't',
  expiresAt: 0 as never,
  issuedAt: undefined,
  scopes: [],
}
const workload = (id: string) => ({ presenter: { proof: 'wpt', workload: id } as const })

test.each<[string, Partial<VerifiedIdentity>, object, readonly string[] | undefined]>([
  ['nothing', {}, {}, undefined],
  ['a token', { token }, {}, ['https://idp.example']],
  ['an API key', { token: { ...token, issuer: 'urn:warder:api-key' } }, {}, undefined],
  ['a workload', workload(`${DOMAIN}/agents/1`), {}, [DOMAIN]],
  ['a workload of a domain that begins like it', workload(`${DOMAIN}.evil/agents/1`), {}, undefined],
  ['a transaction', {}, { transaction }, ['https://tts.example']],
  ['a signature of the call', {}, { signer }, ['https://agents.example']],
  ['proofs of actors', {}, { actors: ['https://agents.example', 'https://other.example'] }, NAMES.slice(3)],
  ['all at once', { token, ...workload(`${DOMAIN}/a`) }, { transaction, signer }, NAMES.slice(0, 4)],
])('what rests on overdue keys of %s says so', (_what, identity, beside, expected) => {
  const parts = { transaction: undefined, signer: undefined, actors: [], tenant, ...beside }
  const found = complete(success({ ...nobody, ...identity }), { ...parts, keys: { isStale: () => true } })
  expect(found).toMatchObject({ ok: true })
  expect(found.ok && found.value.staleKeys).toEqual(expected)
  const fresh = complete(success({ ...nobody, ...identity }), { ...parts, keys: { isStale: () => false } })
  expect(fresh.ok && fresh.value.staleKeys).toBeUndefined()
})
