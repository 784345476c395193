import { hash } from 'node:crypto'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { addAgent, stepAgent } from '#admin/agents.ts'
import { createKeySets } from '#identity/key-sets.ts'
import { sendOutbound } from '#identity/outbound.ts'
import { verifySet } from '#identity/set.ts'
import { createSetSigner, newSetKey, type SetSigner } from '#identity/set-signer.ts'
import { systemClock } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import { deliverDue } from '#signals/deliver.ts'
import { parseStream } from '#signals/stream.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { createOutbox } from '#store/outbox.ts'
import { createSignalAdminStore, createSignalStore } from '#store/signals.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { newTenant } from '../support/store-samples.ts'
import { makeKey } from '../support/tokens.ts'
import { streamOf } from './vectors.ts'

const ACTOR = { actor: 'cli:test', role: 'owner', route: 'test' }
const US = 'https://warder.example'

let db: TestDatabase
let server: Server
let signer: SetSigner
let url = ''
let status = 202
const received: { readonly type: string; readonly body: string }[] = []
const faults: string[] = []

beforeAll(async () => {
  db = await openTestDatabase()
  signer = await createSetSigner(US, await newSetKey())
  server = createServer((incoming, outgoing) => {
    let body = ''
    incoming.setEncoding('utf8').on('data', (part: string) => {
      body += part
    })
    incoming.on('end', () => {
      received.push({ type: incoming.headers['content-type'] ?? '', body })
      outgoing.writeHead(status).end()
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/events`
})
afterAll(async () => {
  server.close()
  await db.close()
})
beforeEach(async () => {
  await db.owner`delete from signal_receivers`
  received.length = 0
  faults.length = 0
  status = 202
})

async function withReceiver(kind: 'caep' | 'webhook', more: { readonly privateNetwork?: boolean } = {}) {
  const tenant = newTenant()
  const store = createAdminStore(db, ACTOR)
  await store.addTenant(tenant)
  const receiver = {
    name: 'edge',
    kind,
    url,
    audience: 'https://receiver.example',
    privateNetwork: true,
    key: undefined,
    ...more,
  }
  expect(await store.addReceiver(tenant, receiver)).toBe('added')
  return { tenant, store }
}

function deliver(): Promise<number> {
  const onFault = (about: string, cause: string): void => {
    faults.push(`${about}: ${cause}`)
  }
  return deliverDue({
    outbox: createOutbox(db),
    sign: signer.sign,
    issuerOf: () => US,
    openAuthorization: () => Promise.resolve(undefined),
    send: sendOutbound,
    onFault,
  })
}

function revocation(tenant: TenantId | null, kind: 'subject' | 'agent' | 'tool' | 'token', id: string) {
  return { tenant, kind, id, mode: 'deny', source: 'admin', reason: 'why is nobody else told' } as const
}

/** What the receiver makes of it, by the rules that we receive by. */
async function verified(index = 0) {
  const record = parseStream({
    issuer: US,
    audience: 'https://receiver.example',
    jwks: { keys: [signer.publicKey] },
  })
  if (!record.ok) throw new Error(record.failure)
  const keys = createKeySets({
    clock: systemClock,
    fetch: () => Promise.reject(new Error('none')),
    onFault: () => {},
  })
  const event = await verifySet(
    received[index]?.body ?? '',
    newTenant(),
    record.value.issuer,
    keys,
    systemClock(),
  )
  if (!event.ok) throw new Error(event.failure.description)
  return event.value
}

test('a subject that is revoked here is told as CAEP session-revoked, signed, without the reason', async () => {
  const { tenant, store } = await withReceiver('caep')
  await store.revoke(revocation(tenant, 'subject', 'https://idp.example|alice'))
  expect(await deliver()).toBe(1)
  expect(received[0]?.type).toBe('application/secevent+jwt')
  expect(await verified()).toMatchObject({
    subject: { format: 'iss_sub', iss: 'https://idp.example', sub: 'alice' },
    type: 'https://schemas.openid.net/secevent/caep/event-type/session-revoked',
  })
  expect(Buffer.from(received[0]?.body.split('.')[1] ?? '', 'base64url').toString()).not.toContain('why')
  expect(await deliver()).toBe(0)
})

test('an agent that is suspended or retired is told to other systems as a revoked one is, to gateways by its hash', async () => {
  const now = systemClock()
  for (const kind of ['caep', 'webhook'] as const) {
    const { tenant, store } = await withReceiver(kind)
    const about = { tenant, agent: 'bot', reason: 'incident 12' }
    await addAgent(store, { ...about, owner: 'alice' }, now)
    const told: number[] = []
    for (const action of ['activate', 'suspend', 'resume', 'suspend', 'retire'] as const) {
      expect(await stepAgent(store, action, about, now)).toMatchObject({ ok: true })
      told.push(await deliver())
    }
    expect(told).toEqual([0, 1, 0, 1, 1])
  }
  const revoked = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'
  for (const at of [0, 1, 2])
    expect(await verified(at)).toMatchObject({ type: revoked, subject: { format: 'opaque', id: 'bot' } })
  for (const at of [3, 4, 5])
    expect(await verified(at)).toMatchObject({
      type: 'urn:warder:event:revoked',
      payload: { kind: 'agent', id: hash('sha256', 'agent:bot') },
    })
})

test('a gateway is told of every revocation, by the hash that the stream has', async () => {
  const { tenant, store } = await withReceiver('webhook')
  await store.revoke(revocation(tenant, 'tool', 'crm/delete'))
  await deliver()
  const event = await verified()
  expect(event).toMatchObject({ type: 'urn:warder:event:revoked', payload: { kind: 'tool' } })
  expect(JSON.stringify(event)).not.toContain('crm/delete')
})

test('what another system can not know is not told as CAEP', async () => {
  const { tenant, store } = await withReceiver('caep')
  await store.revoke(revocation(tenant, 'tool', 'crm/delete'))
  expect(await deliver()).toBe(0)
})

test('no receiver hears of another tenant, and each of what concerns all', async () => {
  const [first, second] = [await withReceiver('webhook'), await withReceiver('webhook')]
  await first.store.revoke(revocation(first.tenant, 'agent', 'bot'))
  expect(await deliver()).toBe(1)
  await second.store.revoke(revocation(null, 'agent', 'bot'))
  expect(await deliver()).toBe(2)
})

test('what came as a signal is not sent on to other systems', async () => {
  const { tenant } = await withReceiver('caep')
  const { issuer, subjectIssuers, wide } = streamOf(tenant, await makeKey('ES256', 'k'))
  const added = await createSignalAdminStore(db, ACTOR).addStream(
    tenant,
    'idp',
    { issuer, subjectIssuers, wide },
    'x',
  )
  if (typeof added === 'string') throw new Error(added)
  const store = createSignalStore(db)
  const stream = await store.findStream(added.stream)
  if (stream === undefined) throw new Error('not found')
  const target = { kind: 'subject', id: 'https://idp.example|alice' } as const
  const event = { id: 'e', issuedAt: 1 as never, subject: {}, type: 't', payload: {} }
  await store.apply(stream, event, [{ do: 'revoke', target }])
  expect(await deliver()).toBe(0)
})

test.each([400, 401, 301, 503])(
  'an answer %i is tried again later, with the same token id',
  async (failing) => {
    const { tenant, store } = await withReceiver('webhook')
    await store.revoke(revocation(tenant, 'agent', 'bot'))
    status = failing
    expect(await deliver()).toBe(1)
    expect(faults[0]).toContain(`it answered ${failing}`)
    expect(await deliver()).toBe(0)
    await db.owner`update signal_outbox set next_at = now()`
    status = 202
    expect(await deliver()).toBe(1)
    expect((await verified(0)).id).toBe((await verified(1)).id)
    await db.owner`update signal_outbox set next_at = now()`
    expect(await deliver()).toBe(0)
  },
)

test('two servers do not deliver the same event', async () => {
  const { tenant, store } = await withReceiver('webhook')
  for (let i = 0; i < 5; i++) await store.revoke(revocation(tenant, 'agent', `bot-${i}`))
  const counts = await Promise.all([deliver(), deliver(), deliver()])
  expect([counts.reduce((a, b) => a + b, 0), received.length]).toEqual([5, 5])
})

test('a receiver does not become the way to what only we can reach', async () => {
  const { tenant, store } = await withReceiver('webhook', { privateNetwork: false })
  await store.revoke(revocation(tenant, 'agent', 'bot'))
  await deliver()
  expect([received.length, faults.length]).toEqual([0, 1])
})

test('a receiver that was removed is told nothing more', async () => {
  const { tenant, store } = await withReceiver('webhook')
  await store.revoke(revocation(tenant, 'agent', 'bot'))
  expect(await store.removeReceiver(tenant, 'edge')).toBe('removed')
  expect(await deliver()).toBe(0)
})
