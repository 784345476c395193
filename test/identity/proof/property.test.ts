import fc from 'fast-check'
import { beforeAll, expect, test } from 'vitest'
import { callWith, dpopProof, gatewayWith, type ProofKey, proofKey, verifier } from '../../support/proofs.ts'
import {
  claims,
  issuer,
  makeKey,
  NOW_SECONDS,
  type SigningKey,
  sign,
  tenantWith,
} from '../../support/tokens.ts'

let signer: SigningKey
let key: ProofKey
let token: string
let valid: string
beforeAll(async () => {
  signer = await makeKey('ES256', 'k1')
  key = await proofKey()
  token = await sign(signer, claims({ cnf: { jkt: key.jkt } }))
  valid = await dpopProof(key, token)
})

const isAllowed = async (dpop: readonly string[], scheme: 'bearer' | 'dpop' = 'dpop') =>
  (await verifier()(callWith(token, scheme, { dpop }), gatewayWith(), tenantWith([issuer([signer])]))).ok

test('the proof that the others are made from is accepted', async () => {
  expect(await isAllowed([valid])).toBe(true)
})

test('no proof is accepted with any of its characters changed, added or taken away', async () => {
  const edit = fc.record({
    at: fc.nat(),
    cut: fc.integer({ min: 0, max: 2 }),
    put: fc.string({ maxLength: 2, unit: fc.constantFrom(...'ABab01-_.= ,{"') }),
  })
  await fc.assert(
    fc.asyncProperty(edit, async ({ at, cut, put }) => {
      const i = at % valid.length
      const changed = valid.slice(0, i) + put + valid.slice(i + cut)
      fc.pre(changed !== valid)
      expect(await isAllowed([changed])).toBe(false)
    }),
    { numRuns: 300 },
  )
})

test('no claim and no header member with another value is accepted, the id of the proof aside', async () => {
  const value = fc.oneof(fc.string(), fc.integer(), fc.constant(null), fc.boolean(), fc.constant([]))
  const member = fc.constantFrom('htm', 'htu', 'iat', 'ath', 'nonce', 'typ', 'jwk')
  await fc.assert(
    fc.asyncProperty(member, value, async (name, given) => {
      const isClaim = !['typ', 'jwk'].includes(name)
      fc.pre(!(name === 'iat' && typeof given === 'number' && Math.abs(given - NOW_SECONDS) < 100))
      const change = { [name]: given }
      const proof = await dpopProof(key, token, isClaim ? change : {}, isClaim ? {} : change)
      expect(await isAllowed([proof])).toBe(false)
    }),
    { numRuns: 100 },
  )
})

test('nothing that is added to, left out of or put beside a proof makes a denied call good', async () => {
  const anything = fc.array(fc.oneof(fc.string(), fc.constant(valid)), { maxLength: 3 })
  await fc.assert(
    fc.asyncProperty(anything, async (dpop) => {
      const isTheProof = dpop.length === 1 && dpop[0] === valid
      expect(await isAllowed(dpop)).toBe(isTheProof)
      expect(await isAllowed(dpop, 'bearer')).toBe(false)
    }),
    { numRuns: 200 },
  )
})
