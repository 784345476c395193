import { hash } from 'node:crypto'
import { createServer, request } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { addReceiver, revokeReceiver, rotateReceiver } from '#admin/receivers.ts'
import { systemClock } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import type { OutgoingStreams, StreamOwner } from '#signals/outgoing.ts'
import { createServePoll } from '#signals/serve-poll.ts'
import { createAdminStore } from '#store/admin-store.ts'
import { createOutgoingStreams } from '#store/outgoing.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { newTenant } from '../support/store-samples.ts'
import {
  ACTOR,
  deliver,
  PUSH,
  type Served,
  STATUS,
  STREAM,
  sealing,
  serve,
  startReceiver,
  withReceiver,
  withStream,
} from './receivers.ts'

let db: TestDatabase
let served: Served
beforeAll(async () => {
  db = await openTestDatabase()
  served = await serve(db)
})
afterAll(async () => {
  await served.close()
  await db.close()
})

/** Sends a request up to the first byte of its body; `finish` sends the rest, once the server has it. */
function slowly(method: string, path: string, key: string, body: object) {
  const text = JSON.stringify(body)
  const asked = request({
    ...{ host: '127.0.0.1', port: served.port, method, path },
    headers: {
      authorization: `Bearer ${key}`,
      'content-type': 'application/json',
      'content-length': text.length,
      expect: '100-continue',
    },
  })
  const answer = new Promise<number>((resolve, reject) => {
    asked.once('error', reject)
    asked.once('response', (incoming) => {
      incoming.resume()
      resolve(incoming.statusCode ?? 0)
    })
  })
  const reached = new Promise<void>((resolve) => asked.once('continue', resolve))
  asked.write(text.slice(0, 1))
  return {
    reached,
    finish: () => {
      asked.end(text.slice(1))
      return answer
    },
  }
}

describe('a credential that ends while its request is under way', () => {
  test.each(['revoked', 'rotated'])('(%s) changes nothing, whatever the request was', async (end) => {
    const { key, stream, store, tenant, name } = await withStream(db, served)
    const delivery = { method: PUSH, endpoint_url: 'https://evil.example/e' }
    const slow = [
      slowly('PATCH', STREAM, key, { stream_id: stream, delivery }),
      slowly('POST', STATUS, key, { stream_id: stream, status: 'paused' }),
      slowly('POST', '/v1/ssf/verify', key, { stream_id: stream }),
    ]
    await Promise.all(slow.map(({ reached }) => reached))
    const given = { tenant, name, keepSeconds: 0, mayOpenPrivate: true }
    const ended =
      end === 'revoked'
        ? await revokeReceiver(store, { tenant, name })
        : await rotateReceiver(store, given, systemClock())
    expect(ended.ok).toBe(true)
    const before = await store.findReceiver(tenant, name)
    expect(await Promise.all(slow.map(({ finish }) => finish()))).toEqual([401, 401, 401])
    expect(await store.findReceiver(tenant, name)).toEqual(before)
  })

  test('writes nothing, even if it was good when it was last looked at', async () => {
    const { key, store, tenant, name, revoke, poll } = await withStream(db, served)
    const streams = createOutgoingStreams(db, () => Promise.resolve(sealing))
    await revoke('bot')
    const [token = ''] = Object.keys((await poll()).json.sets)
    const owner = await streams.find(hash('sha256', key))
    if (!isOwner(owner)) throw new Error('no stream')
    await rotateReceiver(store, { tenant, name, keepSeconds: 0, mayOpenPrivate: true }, systemClock())
    const before = await store.findReceiver(tenant, name)
    const settings = {
      url: undefined,
      requested: [],
      wanted: false,
      description: 'x',
      authorization: undefined,
    }
    expect([
      await streams.create(owner, settings),
      await streams.change(owner, settings),
      await streams.setStatus(owner, 'disabled', undefined),
      await streams.verify(owner, undefined, 60),
      await streams.remove(owner),
    ]).toEqual(new Array(5).fill('unauthenticated'))
    await streams.settle(owner, { acknowledged: [token], refused: [] })
    expect(await streams.waiting(owner, 10)).toEqual([])
    expect(await store.findReceiver(tenant, name)).toEqual(before)
    expect(before).toMatchObject({ waiting: 1, status: 'enabled' })
  })
})

function isOwner(receiver: Awaited<ReturnType<OutgoingStreams['find']>>): receiver is StreamOwner {
  return receiver?.stream !== undefined
}

test('a receiver in a private network keeps the origin that it was added with, also in its next stream', async () => {
  const tenant: TenantId = newTenant()
  const store = createAdminStore(db, ACTOR)
  await store.addTenant(tenant)
  const url = 'https://10.0.0.1/e'
  await addReceiver(store, {
    ...{ tenant, name: 'in', kind: 'webhook', url, audience: undefined, privateNetwork: true },
  })
  const rotated = await rotateReceiver(
    store,
    { tenant, name: 'in', keepSeconds: 0, mayOpenPrivate: true },
    systemClock(),
  )
  if (!rotated.ok) throw new Error('not rotated')
  const { key } = rotated.value
  const [{ stream_id: id }] = (await served.call('GET', STREAM, key)).json
  const at = (endpoint: string) => ({ method: PUSH, endpoint_url: endpoint })
  const others = [
    'https://10.0.0.2/e',
    'https://10.0.0.1:8443/e',
    'http://127.0.0.1/e',
    'https://r.example/e',
  ]
  const moved = (delivery: object) => served.call('PATCH', STREAM, key, { stream_id: id, delivery })
  for (const other of others) expect((await moved(at(other))).status, other).toBe(400)
  expect((await moved(at('https://10.0.0.1/other'))).status).toBe(200)
  expect((await served.call('DELETE', `${STREAM}?stream_id=${id}`, key)).status).toBe(204)
  for (const other of others)
    expect((await served.call('POST', STREAM, key, { delivery: at(other) })).status, other).toBe(400)
})

describe('changes of a stream', () => {
  test('do not touch what waits, and one that changes nothing writes nothing', async () => {
    const { key, stream, revoke } = await withStream(db, served)
    await revoke('bot')
    const set = (status: string) => served.call('POST', STATUS, key, { stream_id: stream, status })
    const rows = () => db.owner`
      select o.xmin::text as event from signal_outbox o join signal_receivers r using (receiver)
      where r.stream = ${stream}::text::uuid`
    const kept = () => db.owner`
      select r.xmin::text as row, r.xmax::text as lock, (select count(*)::int from admin_audit) as audited
      from signal_receivers r where r.stream = ${stream}::text::uuid`
    const events = await rows()
    for (const status of ['paused', 'enabled']) expect((await set(status)).status).toBe(200)
    expect(await rows()).toEqual(events)
    const before = await kept()
    expect((await set('enabled')).status).toBe(200)
    expect(await kept()).toEqual(before)
  })

  test('are ten at once, then get 429 and are not in the audit; another receiver is not held up', async () => {
    const [busy, other] = [await withStream(db, served), await withStream(db, served)]
    // As if nothing but this moment were spent, for how long the test may take.
    await db.owner`
      update signal_receivers set changes_until = now() + interval '1 hour' where stream = ${busy.stream}::text::uuid`
    const pause = ({ key, stream }: { readonly key: string; readonly stream: string }) =>
      served.call('POST', STATUS, key, { stream_id: stream, status: 'paused' })
    const refused = await pause(busy)
    expect([refused.status, refused.json.err]).toEqual([429, 'stream.changed_lately'])
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(3_000)
    const patched = await served.call('PATCH', STREAM, busy.key, { stream_id: busy.stream, description: 'x' })
    expect(patched.status).toBe(429)
    expect((await pause(other)).status).toBe(200)
    const [row] = await db.owner<{ count: number }[]>`
      select count(*)::int as count from admin_audit where tenant = ${busy.tenant} and route = 'POST /v1/ssf/status'`
    expect(row?.count).toBe(0)
    await db.owner`
      update signal_receivers set changes_until = now() + interval '8 seconds' where stream = ${busy.stream}::text::uuid`
    expect((await pause(busy)).status).toBe(200)
  })
})

test('a receiver that never answers delays no push to another, and gets one at a time', async () => {
  let hits = 0
  const tarpit = createServer(() => {
    hits++
  })
  await new Promise<void>((resolve) => tarpit.listen(0, '127.0.0.1', resolve))
  const slow = await withReceiver(db)
  const endpoint = `http://127.0.0.1:${(tarpit.address() as AddressInfo).port}/e`
  await served.call('POST', STREAM, slow.key, { delivery: { method: PUSH, endpoint_url: endpoint } })
  for (let i = 0; i < 20; i++) await slow.revoke(`bot-${i}`)
  const good = await startReceiver()
  const quick = await withReceiver(db)
  await served.call('POST', STREAM, quick.key, { delivery: { method: PUSH, endpoint_url: good.url } })
  for (let i = 0; i < 3; i++) await quick.revoke(`urgent-${i}`)
  const faults = await deliver(db, served)
  expect([good.got.length, hits, faults.length]).toEqual([3, 1, 1])
  for (const server of [tarpit, good.server]) {
    server.close()
    server.closeAllConnections()
  }
})

test('polls of the same events sign each of them once, one after the other', async () => {
  const { key, revoke } = await withStream(db, served)
  for (let i = 0; i < 5; i++) await revoke(`bot-${i}`)
  const store = createOutgoingStreams(db, () => Promise.resolve(sealing))
  const owner = await store.find(hash('sha256', key))
  if (!isOwner(owner)) throw new Error('no stream')
  let [signing, most, signed] = [0, 0, 0]
  const sign = async (claims: object): Promise<string> => {
    most = Math.max(most, ++signing)
    signed++
    await new Promise((resolve) => setImmediate(resolve))
    signing--
    return JSON.stringify(claims)
  }
  const poll = createServePoll({ store, sign, issuerOf: () => 'us' })
  const asked = { maxEvents: undefined, returnImmediately: true, acknowledged: [], refused: [] }
  const polls = Array.from({ length: 4 }, () => poll(owner, asked, () => Promise.resolve(false)))
  const answers = await Promise.all([...polls, poll(owner, asked, () => Promise.resolve(false))])
  expect([signed, most]).toEqual([5, 1])
  for (const answer of answers) expect(answer).toEqual(answers[0])
})

test('who gets a credential after a revocation does not inherit where events were pushed to', async () => {
  const thief = await startReceiver()
  const { key, stream, store, tenant, name, revoke } = await withStream(db, served)
  const delivery = { method: PUSH, endpoint_url: thief.url, authorization_header: 'Bearer thief' }
  await served.call('PATCH', STREAM, key, { stream_id: stream, delivery })
  await revokeReceiver(store, { tenant, name })
  expect(await store.findReceiver(tenant, name)).toMatchObject({
    status: 'disabled',
    stream: null,
    url: null,
  })
  const rotated = await rotateReceiver(
    store,
    { tenant, name, keepSeconds: 0, mayOpenPrivate: true },
    systemClock(),
  )
  if (!rotated.ok) throw new Error('not rotated')
  const enabled = await served.call('POST', STATUS, rotated.value.key, {
    stream_id: stream,
    status: 'enabled',
  })
  expect(enabled.status).toBe(404)
  expect((await served.call('POST', STREAM, rotated.value.key, {})).status).toBe(201)
  await revoke('bot')
  await deliver(db, served)
  expect(thief.got).toHaveLength(0)
  thief.server.close()
})
