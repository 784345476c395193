import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import {
  claimsOf,
  countOf,
  deliver,
  PUSH,
  type Served,
  STATUS,
  STREAM,
  serve,
  startReceiver,
  VERIFY,
  withReceiver,
  withStream,
} from './receivers.ts'

const VERIFICATION = 'https://schemas.openid.net/secevent/ssf/event-type/verification'

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

describe('the status', () => {
  const set = (key: string, stream: string, status: string, reason?: string) =>
    served.call('POST', STATUS, key, { stream_id: stream, status, ...(reason !== undefined && { reason }) })

  test('paused keeps events and sends none; after it is enabled they come', async () => {
    const { key, stream, poll, revoke } = await withStream(db, served)
    await revoke('before')
    const paused = await set(key, stream, 'paused', 'maintenance')
    expect([paused.status, paused.json]).toEqual([
      200,
      { stream_id: stream, status: 'paused', reason: 'maintenance' },
    ])
    await revoke('during')
    expect(countOf(await poll())).toBe(0)
    expect((await served.call('GET', `${STATUS}?stream_id=${stream}`, key)).json).toEqual(paused.json)
    expect((await set(key, stream, 'enabled')).json).toEqual({ stream_id: stream, status: 'enabled' })
    expect(countOf(await poll())).toBe(2)
  })

  test('disabled drops what waits and what comes', async () => {
    const { key, stream, poll, revoke } = await withStream(db, served)
    await revoke('before')
    await set(key, stream, 'disabled')
    await revoke('during')
    expect(countOf(await poll())).toBe(0)
    await set(key, stream, 'enabled')
    expect(countOf(await poll())).toBe(0)
    await revoke('after')
    expect(countOf(await poll())).toBe(1)
  })

  test('holds for pushes too', async () => {
    const receiver = await startReceiver()
    const { key, revoke } = await withReceiver(db)
    const { json } = await served.call('POST', STREAM, key, {
      delivery: { method: PUSH, endpoint_url: receiver.url },
    })
    await set(key, json.stream_id, 'paused')
    await revoke('bot')
    await deliver(db, served)
    expect(receiver.got).toHaveLength(0)
    await set(key, json.stream_id, 'enabled')
    await deliver(db, served)
    expect(receiver.got).toHaveLength(1)
    receiver.server.close()
  })
})

describe('a verification event', () => {
  test('comes with the state that was given, about the stream itself, at most once a minute', async () => {
    const { key, stream, poll } = await withStream(db, served)
    const asked = await served.call('POST', VERIFY, key, { stream_id: stream, state: 'VGhp\u0000cyBp' })
    expect([asked.status, asked.text]).toEqual([204, ''])
    const [claims] = await claimsOf(await poll(), served)
    expect(claims).toMatchObject({
      sub_id: { format: 'opaque', id: stream },
      events: { [VERIFICATION]: { state: 'VGhp\u0000cyBp' } },
    })
    const again = await served.call('POST', VERIFY, key, { stream_id: stream })
    expect([again.status, again.json.err]).toEqual([429, 'stream.verified_lately'])
    const seconds = Number(again.headers.get('retry-after'))
    expect(seconds > 0 && seconds <= 60).toBe(true)
    await db.owner`
      update signal_receivers set verification_at = now() - interval '60 seconds' where stream = ${stream}::text::uuid`
    expect((await served.call('POST', VERIFY, key, { stream_id: stream })).status).toBe(204)
    const all = await claimsOf(await poll(), served)
    expect(all.at(-1)).toMatchObject({ events: { [VERIFICATION]: {} } })
  })

  test('comes to who asked for no event at all, waits for a paused stream, and is refused for a disabled one', async () => {
    const { key, stream, poll } = await withStream(db, served)
    await served.call('PATCH', STREAM, key, { stream_id: stream, events_requested: [] })
    await served.call('POST', STATUS, key, { stream_id: stream, status: 'paused' })
    expect((await served.call('POST', VERIFY, key, { stream_id: stream })).status).toBe(204)
    expect(countOf(await poll())).toBe(0)
    await served.call('POST', STATUS, key, { stream_id: stream, status: 'enabled' })
    expect(countOf(await poll())).toBe(1)
    await served.call('POST', STATUS, key, { stream_id: stream, status: 'disabled' })
    const refused = await served.call('POST', VERIFY, key, { stream_id: stream })
    expect([refused.status, refused.json.err]).toEqual([400, 'stream.disabled'])
  })
})
