import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createKeySets, type KeySets } from '#identity/key-sets.ts'
import { createRefusedTexts } from '#identity/refused-texts.ts'
import { createVerify, type Verify } from '#identity/verify.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { Issuer } from '#model/issuer.ts'
import {
  bearer,
  claims,
  gateway,
  issuer,
  makeKey,
  NOW_SECONDS,
  request,
  type SigningKey,
  sign,
  tenantWith,
} from '../support/tokens.ts'

const HOUR = 3_600_000
const LATER = NOW_SECONDS + 3_500
let now: number
let published: readonly SigningKey[] | undefined
let keys: KeySets
let verify: Verify
/** The real thing, counted. */
const verifications = vi.spyOn(crypto.subtle, 'verify')

beforeEach(() => {
  now = NOW_SECONDS * 1000
  published = []
  keys = createKeySets({
    fetch: async () => {
      if (published === undefined) throw new Error('unreachable')
      return { keys: published.map(({ jwk }) => jwk) }
    },
    clock: () => now as EpochMilliseconds,
    onFault: () => undefined,
  })
  verify = createVerify({ keys })
})
afterEach(() => {
  keys.close()
})

const remote = (more: Partial<Issuer> = {}): Issuer =>
  issuer([], { keys: { kind: 'remote', url: 'https://idp.example/jwks' }, ...more })

/** What a token is answered with, and what that cost. */
async function ask(token: string, { tenant: id = 'acme', issuers = [remote()] } = {}) {
  verifications.mockClear()
  const tenant = id as TenantId
  const outcome = await verify(
    request({ ...bearer(token), now: now as EpochMilliseconds }),
    gateway({ tenant }),
    tenantWith(issuers, { id: tenant }),
  )
  return { code: outcome.ok ? 'allow' : outcome.failure.code, checked: verifications.mock.calls.length }
}
/** A token with a signature of another key that goes by the same name. */
const forged = async (by: SigningKey, more: Parameters<typeof claims>[0] = {}) => await sign(by, claims(more))

const [real, thief] = await Promise.all([makeKey('ES256', 'k'), makeKey('ES256', 'k')])

test('a flood of one bad token costs one signature check', async () => {
  published = [real]
  const token = await forged(thief)
  expect(await ask(token)).toEqual({ code: 'token.signature', checked: 1 })
  for (let i = 0; i < 50; i++) expect(await ask(token)).toEqual({ code: 'token.signature', checked: 0 })
  expect(await ask(await sign(real, claims()))).toEqual({ code: 'allow', checked: 1 })
})

test('keys that were given with the issuer are spared too, until it is registered anew', async () => {
  const issuers = [issuer([real])]
  const token = await forged(thief)
  expect(await ask(token, { issuers })).toEqual({ code: 'token.signature', checked: 1 })
  expect(await ask(token, { issuers })).toEqual({ code: 'token.signature', checked: 0 })
  expect(await ask(token, { issuers: [issuer([thief])] })).toEqual({ code: 'allow', checked: 1 })
})

test('a rotation forgets what was refused, even where the new key has the name of the old one', async () => {
  published = [real]
  const token = await forged(thief, { exp: LATER })
  expect(await ask(token)).toMatchObject({ code: 'token.signature' })
  published = [thief]
  now += 11 * 60_000
  expect(await ask(token)).toEqual({ code: 'allow', checked: 1 })
})

test('what only this second or these keys make bad is never remembered', async () => {
  published = [real]
  const early = await sign(real, claims({ nbf: NOW_SECONDS + 600, exp: LATER }))
  expect(await ask(early)).toMatchObject({ code: 'token.not_yet_valid' })
  const other = await makeKey('ES256', 'new')
  const unknown = await sign(other, claims({ exp: LATER }))
  expect(await ask(unknown)).toMatchObject({ code: 'token.key_unknown' })
  const foreign = await sign(real, claims({ aud: 'https://other.example', exp: LATER }))
  expect(await ask(foreign)).toMatchObject({ code: 'token.audience' })
  now += 11 * 60_000
  published = [real, other]
  expect(await ask(early)).toMatchObject({ code: 'allow' })
  expect(await ask(unknown)).toMatchObject({ code: 'allow' })
  const widened = { ...remote(), audience: ['https://other.example'] }
  expect(await ask(foreign, { issuers: [widened] })).toMatchObject({ code: 'allow' })
})

test('a token that came while its issuer could not be reached is checked when it can be', async () => {
  published = undefined
  const token = await sign(real, claims())
  expect(await ask(token)).toEqual({ code: 'token.keys_unavailable', checked: 0 })
  published = [real]
  now += 2_000
  expect(await ask(token)).toEqual({ code: 'allow', checked: 1 })
})

test('a token that overdue keys refused is checked again with the keys that come after them', async () => {
  published = [real]
  await ask(await sign(real, claims()))
  published = undefined
  now += HOUR / 2
  const token = await forged(thief, { exp: LATER })
  expect(await ask(token)).toEqual({ code: 'token.signature', checked: 1 })
  published = [thief]
  now += 60_000
  expect(await ask(token)).toEqual({ code: 'allow', checked: 1 })
})

test("no tenant's flood makes another tenant's bad token cost a check again", async () => {
  published = [real]
  const token = await forged(thief)
  expect(await ask(token, { tenant: 'one' })).toMatchObject({ checked: 1 })
  expect(await ask(token, { tenant: 'two' })).toMatchObject({ code: 'token.signature', checked: 1 })
  for (let i = 0; i < 300; i++) await ask(await forged(thief, { jti: `t${i}` }), { tenant: 'two' })
  expect(await ask(token, { tenant: 'two' })).toMatchObject({ checked: 1 })
  expect(await ask(token, { tenant: 'one' })).toMatchObject({ code: 'token.signature', checked: 0 })
})

test('only the newest are remembered', () => {
  const texts = createRefusedTexts(2)
  for (const text of ['a', 'b', 'c']) texts.add(text)
  expect(['a', 'b', 'c'].map((text) => texts.has(text))).toEqual([false, true, true])
})
