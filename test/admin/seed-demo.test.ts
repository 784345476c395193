import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { addGateway, revokeGateway } from '#admin/gateways.ts'
import { hashKey } from '#admin/keys.ts'
import type { AdminStore } from '#admin/ports.ts'
import { seedDemo } from '#admin/seed-demo.ts'
import { addTenant } from '#admin/tenants.ts'
import type { TenantId } from '#model/ids.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'

let database: TestDatabase
let store: AdminStore
let folder: string
const demo = 'demo' as TenantId

beforeEach(async () => {
  database = await openTestDatabase()
  store = createAdminStore(database)
  folder = mkdtempSync(join(tmpdir(), 'warder-seed-'))
})

afterEach(async () => {
  await database.close()
  rmSync(folder, { recursive: true, force: true })
})

test('the first start makes a working demo tenant, later ones give the same credentials', async () => {
  const first = await seedDemo(store, folder)
  expect(first).toMatchObject({ tenant: 'demo', gatewayKey: expect.stringMatching(/^wgk_/) })
  expect(first?.adminToken).toMatch(/^wat_/)
  expect(await store.findAdminToken(hashKey(first?.adminToken ?? ''))).toMatchObject({ role: 'admin' })
  expect((await store.findRelease(demo, 'active'))?.header.validated).toBe(true)
  expect(await store.listEntities(demo, 'Warder::Agent', { limit: 10 })).not.toEqual([])
  expect(statSync(join(folder, 'demo.json')).mode & 0o777).toBe(0o600)
  expect(await seedDemo(store, folder)).toEqual(first)
  expect(await seedDemo(store, `${folder}-other`)).toBeUndefined()
})

test('a start that died half way is completed by the next one with the same credentials', async () => {
  const dying: AdminStore = { ...store, pushRelease: () => Promise.reject(new Error('killed')) }
  await expect(seedDemo(dying, folder)).rejects.toThrow('killed')
  const kept = JSON.parse(readFileSync(join(folder, 'demo.json'), 'utf8'))
  const second = await seedDemo(store, folder)
  expect(second?.gatewayKey).toBe(kept.gatewayKey)
  expect(await store.findRelease(demo, 'active')).toBeDefined()
})

test('a database that is in use is left alone', async () => {
  await addTenant(store, 'acme')
  expect(await seedDemo(store, folder)).toBeUndefined()
  expect(await store.listTenants({ limit: 10 })).toHaveLength(1)
})

test('revoked credentials, or those of another database, are not given out', async () => {
  await seedDemo(store, folder)
  await revokeGateway(store, { name: 'demo', tenant: 'demo' })
  expect(await seedDemo(store, folder)).toBeUndefined()
})

test('a demo tenant that somebody else made is not taken over by an unreadable file', async () => {
  writeFileSync(join(folder, 'demo.json'), '{"gatewayKey":1}')
  await addTenant(store, 'demo')
  await addGateway(store, {
    name: 'demo',
    tenant: 'demo',
    asserts: undefined,
    userOnly: false,
    obligations: undefined,
  })
  expect(await seedDemo(store, folder)).toBeUndefined()
})
