import { afterAll, beforeAll, expect, test } from 'vitest'
import { setTenant } from '#admin/tenants.ts'
import type { TenantId } from '#model/ids.ts'
import { assembleRelease } from '#policy/engine/release-index.ts'
import { applyEntities, emptyRegistry } from '#registry/snapshot.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { loadTenant } from '#store/tenant-loader.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { newTenant } from '../support/store-samples.ts'

let db: TestDatabase
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

const load = async (tenant: TenantId) =>
  await loadTenant(db.sql, tenant, undefined, { assembleRelease, applyEntities, emptyRegistry })

test('a change of settings has a version, an audit row, and reaches the state; none changes nothing', async () => {
  const store = createAdminStore(db)
  const tenant = newTenant()
  await store.addTenant(tenant)
  const before = await load(tenant)
  expect(before?.maskFields).toEqual(new Set())
  const set = await setTenant(store, tenant, { retention_days: 30, mask_fields: ['ssn', 'iban', 'ssn'] })
  expect(set).toEqual({
    ok: true,
    value: { tenant, retention_days: 30, mask_fields: ['iban', 'ssn'], rules: {} },
  })
  const after = await load(tenant)
  expect(after?.maskFields).toEqual(new Set(['iban', 'ssn']))
  expect(after?.version).toBeGreaterThan(before?.version ?? 0)
  const again = await setTenant(store, tenant, { retention_days: 30 })
  expect(again).toEqual(set)
  expect((await load(tenant))?.version).toBe(after?.version)
  const [row] = await store.listAudit({ tenants: [tenant] }, { limit: 1 })
  expect(row).toMatchObject({ before: { retention_days: null }, after: { retention_days: 30 } })
  expect(await setTenant(store, tenant, { retention_days: null })).toMatchObject({
    value: { retention_days: null, mask_fields: ['iban', 'ssn'] },
  })
})

test('rules replace the rules before, reach the state and are in the audit', async () => {
  const store = createAdminStore(db)
  const tenant = newTenant()
  await store.addTenant(tenant)
  expect((await load(tenant))?.rules).toEqual({})
  const rules = {
    proofOfPossession: 'high',
    proofNonce: true,
    scopes: { 'crm/read': ['crm.read'], destructiveTools: ['admin'] },
    chainDepthMax: 2,
    grantsRequired: true,
    actorRequired: ['destructiveTools'],
    chainEvidenceMin: 'token',
    actorKeys: { summarizer: ['0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I'] },
    actorIssuers: { 'https://a.example': ['https://b.example'] },
    breaker: { denyShare: 0.5, minimum: 20, windowSeconds: 60, openSeconds: 30 },
  }
  expect(await setTenant(store, tenant, { rules })).toMatchObject({ ok: true, value: { rules } })
  expect((await load(tenant))?.rules).toEqual(rules)
  const [row] = await store.listAudit({ tenants: [tenant] }, { limit: 1 })
  expect(row).toMatchObject({ before: { rules: {} }, after: { rules } })
  expect(await setTenant(store, tenant, { rules: { chainDepthMax: 3 } })).toMatchObject({ ok: true })
  expect((await load(tenant))?.rules).toEqual({ chainDepthMax: 3 })
})

test.each<[unknown, string, RegExp]>([
  [[], '', /expected object/],
  [{ proofOfPosession: 'all' }, 'proofOfPosession', /did you mean `proofOfPossession`/],
  [{ actorKeys: { a: ['short'] } }, 'actorKeys.a.0', /thumbprint/],
  [{ proofOfPossession: 'low' }, 'proofOfPossession', /expected one of/],
  [{ chainDepthMax: 9 }, 'chainDepthMax', /<=8/],
  [{ scopes: { 'crm/read': ['two words'] } }, 'scopes.crm/read.0', /must be a scope/],
  [{ breaker: { denyShare: 0.5 } }, 'breaker.minimum', /expected number/],
  [{ breaker: { denyShare: 2, minimum: 1, windowSeconds: 1, openSeconds: 1 } }, 'breaker.denyShare', /<=1/],
])('wrong rules are refused where they are wrong: %j', async (rules, path, message) => {
  const outcome = await setTenant(createAdminStore(db), 'any', { rules })
  expect(outcome).toMatchObject({ ok: false, failure: { code: 'tenant.invalid' } })
  const problems = outcome.ok ? [] : (outcome.failure.problems ?? [])
  expect(problems).toContainEqual({ path, message: expect.stringMatching(message) })
})

test.each([
  [{ retention_days: 0 }, 'rows can not be kept for 0 days'],
  [{ retention_days: 36_501 }, 'rows can not be kept for 36501 days'],
  [{ mask_fields: [''] }, 'these fields can not be masked: ``'],
  [{ mask_fields: Array.from({ length: 201 }, (_, i) => `f${i}`) }, 'these fields can not be masked: 201'],
])('wrong settings are refused: %j', async (changes, message) => {
  const store = createAdminStore(db)
  expect(await setTenant(store, 'any', changes)).toMatchObject({
    ok: false,
    failure: { code: 'tenant.invalid', message },
  })
})

test('an unknown tenant is refused', async () => {
  const failure = { code: 'tenant.unknown' }
  expect(await setTenant(createAdminStore(db), 'nobody', {})).toMatchObject({ ok: false, failure })
})
