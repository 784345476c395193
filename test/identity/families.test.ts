import { beforeAll, beforeEach, expect, test } from 'vitest'
import {
  createTokenFamilies,
  type NewestToken,
  type ReusedSession,
  type TokenFamilies,
} from '#identity/families.ts'
import { createFetchJwks } from '#identity/jwks-fetch.ts'
import { createKeySets } from '#identity/key-sets.ts'
import { createVerify, type Verify } from '#identity/verify.ts'
import { type EpochMilliseconds, type EpochSeconds, systemClock } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import {
  bearer,
  claims,
  gateway,
  ISSUER,
  issuer,
  makeKey,
  NOW_SECONDS,
  request,
  type SigningKey,
  sign,
  tenantWith,
} from '../support/tokens.ts'

const keys = createKeySets({ fetch: createFetchJwks(), clock: systemClock, onFault: () => undefined })
let key: SigningKey
let reused: ReusedSession[]
let newest: NewestToken[]
let families: TokenFamilies
let verify: Verify

beforeAll(async () => {
  key = await makeKey('ES256', 'k')
})
beforeEach(() => {
  reused = []
  newest = []
  families = createTokenFamilies({
    onReuse: (session) => reused.push(session),
    onNewest: (found) => newest.push(found),
  })
  verify = createVerify({ keys, families })
})

const token = (age: number, more: object = {}) =>
  sign(key, claims({ sid: 's1', iat: NOW_SECONDS - age, jti: `j${age}`, ...more }))

function ask(text: string, later = 0, options: { rotation?: boolean; tenant?: string } = {}) {
  const { rotation = true, tenant: id = 'acme' } = options
  const tenant = tenantWith([issuer([key], { rotation })], { id: id as TenantId })
  const now = ((NOW_SECONDS + later) * 1000) as never
  return verify(request({ ...bearer(text), now }), gateway({ tenant: id as TenantId }), tenant)
}

const superseded = { ok: false, failure: { code: 'token.superseded' } }

test('an older token of a session denies once a newer one was used, in whatever order they come', async () => {
  const [old, fresh] = await Promise.all([token(100), token(50)])
  expect(await ask(old)).toMatchObject({ ok: true })
  expect(await ask(fresh)).toMatchObject({ ok: true })
  expect(await ask(old)).toMatchObject(superseded)
  expect(await ask(fresh)).toMatchObject({ ok: true })
  expect(reused).toEqual([])
})

test('an older token that is used a minute later is a sign of theft, told with its session', async () => {
  const [old, fresh] = await Promise.all([token(100), token(50)])
  await ask(fresh)
  expect(await ask(old, 60)).toMatchObject(superseded)
  expect(reused).toEqual([])
  expect(await ask(old, 61)).toMatchObject(superseded)
  expect(reused).toEqual([{ tenant: 'acme', issuer: ISSUER, session: 's1' }])
})

test.each<[string, object, Parameters<typeof ask>[2]]>([
  ['of another session', { sid: 's2' }, {}],
  ['of another client', { client_id: 'agent-2' }, {}],
  ['of another user', { sub: 'bob' }, {}],
  ['without a session', { sid: undefined }, {}],
  ['of another tenant', {}, { tenant: 'globex' }],
  ['of an issuer that does not rotate', {}, { rotation: false }],
  ['of the same second', { iat: NOW_SECONDS - 50 }, {}],
])('an older token %s stays good', async (_, more, options) => {
  await ask(await token(50))
  expect(await ask(await token(100, more), 61, options)).toMatchObject({ ok: true })
  expect(reused).toEqual([])
})

test('a forged newer token takes nobody’s place', async () => {
  const foreign = await makeKey('ES256', 'k')
  const old = await token(100)
  await ask(await sign(foreign, claims({ sid: 's1', iat: NOW_SECONDS })))
  expect(await ask(old)).toMatchObject({ ok: true })
})

test('what takes the place of another is told once, without a name in it', async () => {
  const [old, fresh] = await Promise.all([token(100), token(50)])
  for (const text of [old, old, fresh, fresh, old]) await ask(text)
  expect(newest.map(({ issuedAt }) => NOW_SECONDS - issuedAt)).toEqual([100, 50])
  expect(new Set(newest.map(({ family }) => family)).size).toBe(1)
  expect(newest[0]?.family).toMatch(/^[0-9a-f]{64}$/)
  expect(newest[0]?.expiresAt).toBe((NOW_SECONDS - 100 + 86_700) * 1000)
})

test('what another server has seen counts as if it had been seen here', async () => {
  const [old, fresh] = await Promise.all([token(100), token(50)])
  await ask(fresh)
  const [seen] = newest
  expect(seen).toBeDefined()
  const there = createTokenFamilies({ onReuse: (session) => reused.push(session) })
  const elsewhere = createVerify({ keys, families: there })
  const askThere = async (text: string, later = 0) => {
    const now = ((NOW_SECONDS + later) * 1000) as never
    return await elsewhere(
      request({ ...bearer(text), now }),
      gateway(),
      tenantWith([issuer([key], { rotation: true })]),
    )
  }
  expect(await askThere(old)).toMatchObject({ ok: true })
  if (seen !== undefined) there.learn(seen)
  expect(await askThere(old)).toMatchObject(superseded)
  expect(await askThere(fresh)).toMatchObject({ ok: true })
  expect(reused).toEqual([])
  expect(await askThere(old, 61)).toMatchObject(superseded)
  expect(reused).toEqual([{ tenant: 'acme', issuer: ISSUER, session: 's1' }])
})

test('no number of sessions of one tenant makes a session of another forgotten, here or told by another server', () => {
  const found = { issuer: ISSUER, session: 's1', subject: 'alice', id: undefined, scopes: [] }
  const expiresAt = (NOW_SECONDS + 600) as EpochSeconds
  const at = (NOW_SECONDS * 1000) as EpochMilliseconds
  const isNewest = (tenant: string, age: number, session = 's1') =>
    families.isNewest(
      tenant as TenantId,
      { ...found, session, expiresAt, issuedAt: (NOW_SECONDS - age) as EpochSeconds },
      '',
      at,
    )
  const there = createTokenFamilies({ onReuse: () => undefined })
  isNewest('acme', 50)
  for (let i = 0; i <= 100_000; i++) isNewest('globex', 50, `s${i}`)
  expect([isNewest('acme', 100), isNewest('globex', 100)]).toEqual([false, false])
  // Only the oldest one of its own is out.
  expect(isNewest('globex', 100, 's0')).toBe(true)
  for (const each of newest) there.learn(each)
  const older = { ...found, expiresAt, issuedAt: (NOW_SECONDS - 100) as EpochSeconds }
  expect(there.isNewest('acme' as TenantId, older, '', at)).toBe(false)
}, 60_000)

test('a family never moves back, in whatever order servers hear of each other', async () => {
  const [old, fresh] = await Promise.all([token(100), token(50)])
  await ask(old)
  await ask(fresh)
  const [first] = newest
  if (first !== undefined) families.learn(first)
  expect(await ask(old)).toMatchObject(superseded)
})
