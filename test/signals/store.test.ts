import { afterAll, beforeAll, expect, test } from 'vitest'
import type { SecurityEvent } from '#identity/set.ts'
import type { EpochSeconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { Dependency } from '#model/revocation.ts'
import type { SignalEffect } from '#signals/effects.ts'
import type { FoundStream } from '#signals/receive.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { createSignalAdminStore, createSignalStore } from '#store/signals.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { newTenant } from '../support/store-samples.ts'
import { makeKey } from '../support/tokens.ts'
import { streamOf } from './vectors.ts'

const ACTOR = { actor: 'cli:test', role: 'owner', route: 'test' }
const ALICE: Dependency = { kind: 'subject', id: 'https://idp.example|alice' }

let db: TestDatabase
beforeAll(async () => {
  db = await openTestDatabase()
})
afterAll(() => db.close())

/** A tenant with a stream, as the receiver finds it. */
async function opened(name = 'idp', tenant = newTenant()) {
  const admin = createAdminStore(db, ACTOR)
  await admin.addTenant(tenant)
  const { issuer, subjectIssuers, wide, authorizationHash } = streamOf(tenant, await makeKey('ES256', 'k'))
  const record = { issuer, subjectIssuers, wide }
  const added = await createSignalAdminStore(db, ACTOR).addStream(tenant, name, record, authorizationHash)
  if (typeof added === 'string') throw new Error(added)
  const store = createSignalStore(db)
  const stream = await store.findStream(added.stream)
  if (stream === undefined) throw new Error('the stream is not found')
  return { admin, tenant, store, stream }
}

let count = 0
function event(id = `set-${++count}`): SecurityEvent {
  const type = 'https://schemas.openid.net/secevent/risc/event-type/account-disabled'
  return { id, issuedAt: 1_800_000_000 as EpochSeconds, subject: {}, type, payload: {} }
}

async function inForce(tenant: TenantId) {
  const admin = createAdminStore(db, ACTOR)
  const rows = await admin.listRevocations({ tenant, includeOver: false }, { limit: 100 })
  return rows.map(({ kind, id, actor }) => `${kind} ${id} by ${actor}`).toSorted()
}

const disable: readonly SignalEffect[] = [{ do: 'revoke', target: ALICE }]
const enable: readonly SignalEffect[] = [{ do: 'enable', target: ALICE }]

test('a stream is found as it was added', async () => {
  const { stream, tenant } = await opened()
  expect(stream satisfies FoundStream).toMatchObject({
    tenant,
    name: 'idp',
    subjectIssuers: ['https://idp.example'],
    wide: false,
    issuer: {
      issuer: 'https://idp.example',
      audience: ['https://warder.example'],
      algorithms: ['RS256', 'ES256', 'EdDSA'],
    },
  })
})

test('an event acts once, however often it is sent', async () => {
  const { store, stream, tenant } = await opened()
  const sent = event()
  expect(await store.apply(stream, sent, disable)).toBe('applied')
  expect(await store.apply(stream, sent, disable)).toBe('known')
  expect(await inForce(tenant)).toEqual([`subject ${ALICE.id} by signal:idp`])
})

test('the same event of another tenant is another event', async () => {
  const [first, second] = [await opened(), await opened()]
  const sent = event()
  expect(await first.store.apply(first.stream, sent, disable)).toBe('applied')
  expect(await second.store.apply(second.stream, sent, disable)).toBe('applied')
})

test('an old event that is sent again does not enable what was disabled since', async () => {
  const { store, stream, tenant } = await opened()
  const [off, on] = [event(), event()]
  await store.apply(stream, off, disable)
  await store.apply(stream, on, enable)
  expect(await inForce(tenant)).toEqual([])
  await store.apply(stream, event(), disable)
  expect(await store.apply(stream, on, enable)).toBe('known')
  expect(await inForce(tenant)).toHaveLength(1)
})

test('a signal takes back nothing that an administrator, another stream or another tenant revoked', async () => {
  const { admin, store, stream, tenant } = await opened()
  const other = await opened('other')
  const second = await createSignalAdminStore(db, ACTOR).addStream(
    tenant,
    'second',
    streamOf(tenant, await makeKey('ES256', 'k')),
    'x',
  )
  if (typeof second === 'string') throw new Error(second)
  const secondStream = { ...stream, id: second.stream, name: 'second' }
  await admin.revoke({ tenant, ...ALICE, mode: 'deny', source: 'admin', reason: 'incident' })
  await store.apply(secondStream, event(), disable)
  await other.store.apply(other.stream, event(), disable)
  await store.apply(stream, event(), enable)
  expect(await inForce(tenant)).toEqual([
    `subject ${ALICE.id} by cli:test`,
    `subject ${ALICE.id} by signal:second`,
  ])
  expect(await inForce(other.tenant)).toHaveLength(1)
})

test('what an event does and its audit stand in one transaction', async () => {
  const { admin, store, stream, tenant } = await opened()
  await store.apply(stream, event(), disable)
  const [row] = await admin.listAudit({ tenants: [tenant] }, { limit: 1 })
  expect(row).toMatchObject({ actor: 'signal:idp', target: `subject ${ALICE.id}`, outcome: 'changed' })
})

test('verification and status are kept with the stream', async () => {
  const { store, stream, tenant } = await opened()
  await store.apply(stream, event(), [{ do: 'verified', state: 'x7' }])
  await store.apply(stream, event(), [{ do: 'status', status: 'paused' }])
  const [row] = await createSignalAdminStore(db, ACTOR).listStreams(tenant, { limit: 1 })
  expect(row).toMatchObject({ verified_state: 'x7', status: 'paused' })
  expect(row?.last_event_at).not.toBeNull()
})

test('a stream that was removed is not found', async () => {
  const { store, stream, tenant } = await opened()
  expect(await createSignalAdminStore(db, ACTOR).removeStream(tenant, 'idp')).toBe('removed')
  expect(await store.findStream(stream.id)).toBeUndefined()
})
