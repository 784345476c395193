import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { liftRevocation, revoke } from '#admin/revocation.ts'
import { systemClock } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { Dependency } from '#model/revocation.ts'
import { assembleRelease } from '#policy/engine/release-index.ts'
import { applyEntities, emptyRegistry } from '#registry/snapshot.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { openStateFeed, type StateFeed } from '#store/state-feed.ts'
import { openStateSeen, type StateSeen } from '#store/state-seen.ts'
import { soon } from '../contracts/state-feed.contract.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { newTenant } from '../support/store-samples.ts'

const folder = mkdtempSync(join(tmpdir(), 'warder-revocation-'))
let db: TestDatabase
let seen: StateSeen
let feed: StateFeed
const settled: (readonly TenantId[] | undefined)[] = []
beforeAll(async () => {
  db = await openTestDatabase()
  seen = await openStateSeen(folder, () => undefined)
  feed = await openStateFeed(db, {
    seen,
    assembleRelease,
    emptyRegistry,
    applyEntities,
    clock: systemClock,
    pollMilliseconds: 100,
    onFault: () => undefined,
    watch: { revoked: () => undefined, settled: (tenants) => settled.push(tenants) },
  })
})
afterAll(async () => {
  await feed.close()
  await seen.close()
  await db.close()
  rmSync(folder, { recursive: true })
})

const storeOf = (actor: string) => createAdminStore(db, { actor, role: 'owner', route: 'test' })

async function tenantWithState(): Promise<TenantId> {
  const tenant = newTenant()
  await storeOf('cli:eve').addTenant(tenant)
  await soon(() => feed.state.tenant(tenant) !== undefined)
  return tenant
}

function stops(tenant: TenantId, what: Dependency): boolean {
  return feed.state.tenant(tenant)?.revocations?.find([what], systemClock(), undefined) !== undefined
}

async function set(
  tenant: TenantId | null,
  kind: string,
  id: string | undefined,
  mode: 'deny' | 'kill' = 'deny',
) {
  const made = await revoke(storeOf('cli:eve'), mode, { tenant, kind, id, reason: 'test' }, systemClock())
  if (!made.ok) throw new Error(made.failure.message)
  return made.value
}

test('a revocation acts in its tenant alone, and its state version moves', async () => {
  const [tenant, other] = [await tenantWithState(), await tenantWithState()]
  const before = feed.state.tenant(tenant)?.version ?? 0
  const { version } = await set(tenant, 'agent', 'bot')
  await soon(() => stops(tenant, { kind: 'agent', id: 'bot' }))
  await soon(() => feed.state.tenant(tenant)?.version === version)
  expect(version).toBeGreaterThan(before)
  expect(stops(other, { kind: 'agent', id: 'bot' })).toBe(false)
})

test('one for the whole installation acts in every tenant, later ones too', async () => {
  const tenants = [await tenantWithState(), await tenantWithState()]
  const { revocation, version } = await set(null, 'everything', undefined, 'kill')
  const all: Dependency = { kind: 'everything', id: '*' }
  await soon(() => tenants.every((tenant) => stops(tenant, all)))
  await soon(() => tenants.every((tenant) => feed.state.tenant(tenant)?.version === version))
  tenants.push(await tenantWithState())
  expect(tenants.map((tenant) => stops(tenant, all))).toEqual([true, true, true])
  expect((await liftRevocation(storeOf('cli:bob'), null, revocation)).ok).toBe(true)
  await soon(() => tenants.every((tenant) => !stops(tenant, all)))
  expect(settled).toContain(undefined)
})

test('a server that starts knows what is in force, and nothing that was lifted or is over', async () => {
  const tenant = await tenantWithState()
  const store = storeOf('cli:eve')
  await set(tenant, 'agent', 'kept')
  const lifted = await set(tenant, 'agent', 'lifted')
  await liftRevocation(store, tenant, lifted.revocation)
  const past = { tenant, kind: 'agent', id: 'over', mode: 'deny', source: 'admin', reason: 'x' } as const
  await store.revoke({ ...past, expiresAt: (systemClock() - 1) as ReturnType<typeof systemClock> })
  const fresh = await openStateFeed(db, {
    seen,
    assembleRelease,
    emptyRegistry,
    applyEntities,
    clock: systemClock,
    pollMilliseconds: 60_000,
    onFault: () => undefined,
  })
  try {
    const list = fresh.state.tenant(tenant)?.revocations
    const found = ['kept', 'lifted', 'over'].map(
      (id) => list?.find([{ kind: 'agent', id }], systemClock(), undefined)?.id,
    )
    expect(found).toEqual(['kept', undefined, undefined])
  } finally {
    await fresh.close()
  }
})

describe('lifting', () => {
  test('a kill switch is not lifted by whoever set it, and is by somebody else', async () => {
    const tenant = await tenantWithState()
    const { revocation } = await set(tenant, 'tool', 'crm/delete', 'kill')
    expect(await liftRevocation(storeOf('cli:eve'), tenant, revocation)).toMatchObject({
      failure: { code: 'revocation.same_person' },
    })
    expect(await liftRevocation(storeOf('cli:bob'), tenant, revocation)).toMatchObject({
      ok: true,
      value: { lifted_by: 'cli:bob' },
    })
  })

  test('a revocation of another tenant, of all tenants, or one that is lifted is unknown', async () => {
    const [tenant, other] = [await tenantWithState(), await tenantWithState()]
    const own = await set(tenant, 'agent', 'bot')
    const everywhere = await set(null, 'agent', 'ghost')
    const unknown = { failure: { code: 'revocation.unknown' } }
    const store = storeOf('cli:bob')
    expect(await liftRevocation(store, other, own.revocation)).toMatchObject(unknown)
    expect(await liftRevocation(store, null, own.revocation)).toMatchObject(unknown)
    expect(await liftRevocation(store, tenant, everywhere.revocation)).toMatchObject(unknown)
    expect((await liftRevocation(store, tenant, own.revocation)).ok).toBe(true)
    expect(await liftRevocation(store, tenant, own.revocation)).toMatchObject(unknown)
    await liftRevocation(store, null, everywhere.revocation)
  })
})

describe('refused, because it would stop nothing or something else:', () => {
  test.each([
    ['an unknown kind', 'agnt', 'x'],
    ['an issuer that the tenant does not have', 'subject', 'https://typo.example|alice'],
    ['a token without its issuer', 'token', 'jti-1'],
    ['a step without direction', 'edge', 'a-b'],
    ['another tenant', 'tenant', 'globex'],
    ['everything with an id', 'everything', 'x'],
    ['a certificate by its number alone', 'certificate', '|0a'],
    ['a certificate by an issuer that is no name', 'certificate', 'Acme|0a'],
    ['no id', 'agent', undefined],
    ['a line break in the id', 'agent', 'a\nb'],
  ])('%s', async (_name, kind, id) => {
    const tenant = await tenantWithState()
    const request = { tenant, kind, id, reason: 'test' }
    expect(await revoke(storeOf('cli:eve'), 'deny', request, systemClock())).toMatchObject({
      ok: false,
      failure: { code: 'revocation.invalid', kind: 'input' },
    })
  })

  test.each([
    ['no reason', { reason: '  ' }],
    ['a reason of two lines', { reason: 'a\nb' }],
    ['an epoch in the future', { issuedBefore: '2999-01-01T00:00:00Z' }],
    ['an epoch that is no time', { issuedBefore: 'soon' }],
    ['an end that has passed', { expiresInSeconds: 0 }],
  ])('%s', async (_name, more) => {
    const tenant = await tenantWithState()
    const request = { tenant, kind: 'agent', id: 'bot', reason: 'test', ...more }
    expect(await revoke(storeOf('cli:eve'), 'deny', request, systemClock())).toMatchObject({ ok: false })
  })
})

test.each([
  [
    'a thumbprint in hexadecimal',
    'certificate',
    'AB:'.repeat(31).concat('AB'),
    Buffer.alloc(32, 0xab).toString('base64url'),
  ],
  ['a certificate by issuer and serial', 'certificate', 'O=Acme, CN=ca|0a:ff', 'CN=ca,O=Acme|AFF'],
  ['a user without an issuer', 'subject', 'alice', '|alice'],
  ['a session without an issuer', 'session', 's-1', '|s-1'],
])('%s is stored in its one spelling', async (_name, kind, given, stored) => {
  expect((await set(await tenantWithState(), kind, given)).id).toBe(stored)
})
