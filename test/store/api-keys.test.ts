import { afterAll, beforeAll, expect, test } from 'vitest'
import { addAgent, stepAgent } from '#admin/agents.ts'
import { addApiKey, revokeApiKey, rotateApiKey } from '#admin/api-keys.ts'
import { hashKey } from '#admin/keys.ts'
import type { AdminStore } from '#admin/ports.ts'
import { revoke } from '#admin/revocation.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import { API_KEY_ISSUER } from '#model/api-key.ts'
import type { TenantId } from '#model/ids.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { loadApiKeys } from '#store/api-keys.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { newTenant } from '../support/store-samples.ts'

let db: TestDatabase
let store: AdminStore
beforeAll(async () => {
  db = await openTestDatabase()
  store = createAdminStore(db, { actor: 'cli:ann', role: 'owner', route: 'test' })
})
afterAll(() => db.close())

const now = Date.now() as EpochMilliseconds
const PAGE = { limit: 10 }

async function tenantWithBot(): Promise<TenantId> {
  const tenant = newTenant()
  await store.addTenant(tenant)
  await addAgent(store, { tenant, agent: 'bot', owner: 'ann', reason: 'r' }, now)
  return tenant
}

/** What a server reads, with the rights that it has. */
async function loaded(tenant: TenantId) {
  return await db.sql.begin((transaction) => loadApiKeys(transaction, tenant))
}

async function added(tenant: TenantId, more: Partial<Parameters<typeof addApiKey>[1]> = {}) {
  const outcome = await addApiKey(store, { tenant, name: 'nightly', agent: 'bot', ...more }, now)
  if (!outcome.ok) throw new Error(outcome.failure.message)
  return outcome.value
}

test('a key reaches the state by its hash alone; neither the database nor the audit has its text', async () => {
  const tenant = await tenantWithBot()
  const { key, id } = await added(tenant, {
    expiresInSeconds: 3_600,
    certificate: 'AB:'.repeat(31).concat('AB'),
  })
  expect(key).toMatch(/^wak_[A-Za-z0-9_-]{43}$/)
  const keys = await loaded(tenant)
  expect(keys.get(hashKey(key))).toMatchObject({
    id,
    agent: 'bot',
    expiresAt: Math.floor((now + 3_600_000) / 1000),
    boundTo: { x5t: Buffer.alloc(32, 0xab).toString('base64url') },
  })
  const rows = await db.sql`select * from api_keys where tenant = ${tenant}`
  const audit = await store.listAudit({ tenants: [tenant] }, { limit: 50 })
  expect(audit.map(({ target }) => target)).toContain('api key nightly')
  expect(JSON.stringify([rows, audit])).not.toContain(key)
  expect(JSON.stringify(audit)).not.toContain(hashKey(key))
})

test('a rotated key has two good secrets for a while, and its older one no longer life than it had', async () => {
  const tenant = await tenantWithBot()
  const first = await added(tenant, { expiresInSeconds: 600 })
  const rotated = await rotateApiKey(store, { tenant, name: 'nightly', keepSeconds: 3_600 }, now)
  if (!rotated.ok) throw new Error(rotated.failure.message)
  const keys = await loaded(tenant)
  expect([...keys.keys()].toSorted()).toEqual([first.key, rotated.value.key].map(hashKey).toSorted())
  expect(keys.get(hashKey(first.key))?.expiresAt).toBe(Math.floor((now + 600_000) / 1000))
  expect(rotated.value).toMatchObject({ name: 'nightly', agent: 'bot' })
  const again = await rotateApiKey(store, { tenant, name: 'nightly', keepSeconds: 0 }, now)
  expect(again.ok && [...(await loaded(tenant)).keys()]).toEqual(again.ok && [hashKey(again.value.key)])
})

async function gatewayOf(tenant: TenantId, name: string) {
  const hash = hashKey(`${tenant}/${name}`)
  const gateway = { name, tenant, asserts: null, userOnly: false, obligations: null }
  await store.addGateway({ ...gateway, keyHash: hash, keyHint: 'wk' })
}

test('the scopes and gateways of a key reach the state, and every later secret of it has them', async () => {
  const tenant = await tenantWithBot()
  await gatewayOf(tenant, 'edge')
  const limits = { scopes: ['crm.read', 'crm.read', 'crm.list'], gateways: ['edge'] }
  const { key, scopes } = await added(tenant, limits)
  expect(scopes).toEqual(['crm.read', 'crm.list'])
  const rotated = await rotateApiKey(store, { tenant, name: 'nightly', keepSeconds: 60 }, now)
  if (!rotated.ok) throw new Error(rotated.failure.message)
  const keys = await loaded(tenant)
  for (const each of [key, rotated.value.key])
    expect(keys.get(hashKey(each))).toMatchObject({ scopes: ['crm.read', 'crm.list'], gateways: ['edge'] })
  const open = await added(tenant, { name: 'open' })
  const found = (await loaded(tenant)).get(hashKey(open.key))
  expect(found?.scopes).toEqual([])
  expect(found?.gateways).toBeUndefined()
})

test('the name of a gateway goes to no other one, so that none inherits the keys that were made for it', async () => {
  const tenant = await tenantWithBot()
  await gatewayOf(tenant, 'edge')
  const { key } = await added(tenant, { gateways: ['edge'] })
  const [{ id } = { id: '' }] = await store.listGateways(tenant, PAGE)
  await store.revokeGateway(tenant, 'edge')
  const another = { name: 'edge', tenant, asserts: null, userOnly: false, obligations: null }
  const hash = hashKey(`${tenant}/another`)
  expect(await store.addGateway({ ...another, keyHash: hash, keyHint: 'wk' })).toBe('exists')
  await expect(db.owner`delete from gateways where tenant = ${tenant}`).rejects.toThrow()
  expect(await store.listGateways(tenant, PAGE)).toMatchObject([{ id, name: 'edge' }])
  expect((await loaded(tenant)).get(hashKey(key))?.gateways).toEqual(['edge'])
})

test('no key is made for a gateway that is unknown, revoked, or of another tenant', async () => {
  const [tenant, other] = [await tenantWithBot(), await tenantWithBot()]
  await gatewayOf(tenant, 'edge')
  await gatewayOf(tenant, 'old')
  await store.revokeGateway(tenant, 'old')
  await gatewayOf(other, 'theirs')
  for (const name of ['nowhere', 'old', 'theirs']) {
    const request = { tenant, name: 'k', agent: 'bot', gateways: ['edge', name] }
    expect(await addApiKey(store, request, now)).toMatchObject({ failure: { code: 'gateway.unknown' } })
  }
  expect(await store.listApiKeys(tenant, { includeOver: true }, PAGE)).toEqual([])
})

test('a revoked key is gone with all its secrets, is on the deny list, and comes back by no rotation', async () => {
  const tenant = await tenantWithBot()
  const { id } = await added(tenant)
  await rotateApiKey(store, { tenant, name: 'nightly', keepSeconds: 3_600 }, now)
  expect(await revokeApiKey(store, { tenant, name: 'nightly', reason: 'leaked' })).toMatchObject({ ok: true })
  expect((await loaded(tenant)).size).toBe(0)
  const listed = await store.listRevocations({ tenant, includeOver: false }, PAGE)
  expect(listed).toHaveLength(2)
  expect(listed).toContainEqual(
    expect.objectContaining({
      kind: 'token',
      id: `${API_KEY_ISSUER}|${id}`,
      reason: 'leaked',
      actor: 'cli:ann',
    }),
  )
  const unknown = { ok: false, failure: { code: 'api_key.unknown' } }
  expect(await rotateApiKey(store, { tenant, name: 'nightly', keepSeconds: 0 }, now)).toMatchObject(unknown)
  expect(await revokeApiKey(store, { tenant, name: 'nightly', reason: 'again' })).toMatchObject(unknown)
  expect(await addApiKey(store, { tenant, name: 'nightly', agent: 'bot' }, now)).toMatchObject({
    failure: { code: 'api_key.exists' },
  })
})

test('the deny list takes the id of a key, and of all keys at once', async () => {
  const tenant = await tenantWithBot()
  const { id } = await added(tenant)
  for (const target of [
    { kind: 'token', id: `${API_KEY_ISSUER}|${id}` },
    { kind: 'issuer', id: API_KEY_ISSUER },
  ])
    expect(await revoke(store, 'deny', { tenant, ...target, reason: 'r' }, now)).toMatchObject({ ok: true })
})

test.each<[string, Partial<Parameters<typeof addApiKey>[1]>, string]>([
  ['for nobody', { agent: 'nobody' }, 'agent.unknown'],
  ['with a life of a minute less a second', { expiresInSeconds: 59 }, 'api_key.invalid'],
  ['without an end', { expiresInSeconds: Number.POSITIVE_INFINITY }, 'api_key.invalid'],
  ['for longer than a year', { expiresInSeconds: 367 * 86_400 }, 'api_key.invalid'],
  ['bound to no thumbprint', { certificate: 'CN=bot' }, 'api_key.invalid'],
  ['for no gateway at all', { gateways: [] }, 'api_key.invalid'],
  ['with a scope that is two', { scopes: ['crm.read crm.write'] }, 'api_key.invalid'],
  ['with an empty scope', { scopes: [''] }, 'api_key.invalid'],
  ['with too many scopes', { scopes: Array.from({ length: 101 }, (_, i) => `s${i}`) }, 'api_key.invalid'],
  ['with a name that is a path', { name: 'a/b' }, 'api_key.invalid'],
])('no key is made %s', async (_, more, code) => {
  const tenant = await tenantWithBot()
  const outcome = await addApiKey(store, { tenant, name: 'k', agent: 'bot', ...more }, now)
  expect(outcome).toMatchObject({ ok: false, failure: { code } })
  expect(await store.listApiKeys(tenant, { includeOver: true }, PAGE)).toEqual([])
})

test('an agent that was retired gets no key', async () => {
  const tenant = await tenantWithBot()
  await stepAgent(store, 'retire', { tenant, agent: 'bot', reason: 'r' }, now)
  expect(await addApiKey(store, { tenant, name: 'k', agent: 'bot' }, now)).toMatchObject({
    failure: { code: 'agent.unknown' },
  })
})

test('no tenant sees, rotates or ends the keys of another', async () => {
  const [tenant, other] = [await tenantWithBot(), await tenantWithBot()]
  const { key } = await added(tenant)
  expect((await loaded(other)).size).toBe(0)
  expect(await store.listApiKeys(other, { includeOver: true }, PAGE)).toEqual([])
  expect(await revokeApiKey(store, { tenant: other, name: 'nightly', reason: 'r' })).toMatchObject({
    ok: false,
  })
  expect(await rotateApiKey(store, { tenant: other, name: 'nightly', keepSeconds: 0 }, now)).toMatchObject({
    ok: false,
  })
  expect((await loaded(tenant)).has(hashKey(key))).toBe(true)
})

test('keys are listed by name in pages', async () => {
  const tenant = await tenantWithBot()
  for (const name of ['c', 'a', 'b']) await added(tenant, { name })
  const first = await store.listApiKeys(tenant, { includeOver: false }, { limit: 2 })
  const after = `${first[1]?.name}/${first[1]?.id}`
  const second = await store.listApiKeys(tenant, { includeOver: false, agent: 'bot' }, { limit: 2, after })
  expect([...first, ...second].map(({ name }) => name)).toEqual(['a', 'b', 'c'])
  await revokeApiKey(store, { tenant, name: 'b', reason: 'r' })
  const left = await store.listApiKeys(tenant, { includeOver: false }, PAGE)
  expect(left.map(({ name }) => name)).toEqual(['a', 'c'])
  expect(await store.listApiKeys(tenant, { includeOver: false, agent: 'x' }, PAGE)).toEqual([])
})
