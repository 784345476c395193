import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import {
  countOf,
  deliver,
  POLL,
  PUSH,
  type Served,
  STREAM,
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

/** Everything that is told of streams: rows, audit and the answer to whoever lists receivers. */
async function everythingKept(): Promise<string> {
  const rows = await db.owner`
    select to_json(r)::text as row from signal_receivers r union all select to_json(a)::text from admin_audit a`
  return JSON.stringify(rows)
}

describe('pushes', () => {
  test('go to the URL of the receiver with its header, which nobody is told and no other URL gets', async () => {
    const receiver = await startReceiver()
    const { key, revoke } = await withReceiver(db)
    const header = 'Bearer push-secret-0123456789'
    const at = (url: string) => ({ method: PUSH, endpoint_url: url })
    const made = await served.call('POST', STREAM, key, {
      delivery: { ...at(receiver.url), authorization_header: header },
    })
    expect(made.text).not.toContain('push-secret')
    const { stream_id: id } = made.json
    await revoke('one')
    await deliver(db, served)
    expect(receiver.got.at(-1)?.headers).toMatchObject({
      authorization: header,
      'content-type': 'application/secevent+jwt',
    })
    // The same URL again keeps it, another one does not.
    await served.call('PATCH', STREAM, key, { stream_id: id, delivery: at(receiver.url) })
    await revoke('two')
    await deliver(db, served)
    expect(receiver.got.at(-1)?.headers.authorization).toBe(header)
    await served.call('PATCH', STREAM, key, { stream_id: id, delivery: at(`${receiver.url}/new`) })
    await revoke('three')
    await deliver(db, served)
    expect(receiver.got).toHaveLength(3)
    expect(receiver.got.at(-1)?.headers.authorization).toBeUndefined()
    expect(await everythingKept()).not.toContain('push-secret')
    receiver.server.close()
  })

  test('begin with what waits when a stream that is fetched becomes one that is pushed, and the other way round', async () => {
    const receiver = await startReceiver()
    const { key, stream, poll, revoke } = await withStream(db, served)
    await revoke('bot')
    const [id] = Object.keys((await poll()).json.sets)
    const delivery = { method: PUSH, endpoint_url: receiver.url }
    await served.call('PATCH', STREAM, key, { stream_id: stream, delivery })
    const refused = await poll()
    expect([refused.status, refused.json.err]).toEqual([400, 'stream.invalid'])
    await deliver(db, served)
    expect(receiver.got).toHaveLength(1)
    const claims = JSON.parse(Buffer.from(receiver.got[0]?.body.split('.')[1] ?? '', 'base64url').toString())
    expect(claims.jti).toBe(id)
    receiver.server.close()
    receiver.server.closeAllConnections()
    await revoke('bot-2')
    await deliver(db, served)
    await served.call('PATCH', STREAM, key, { stream_id: stream, delivery: { method: POLL } })
    expect(countOf(await poll())).toBe(1)
  })

  test('never reach where only we can, though the name of the host was fine', async () => {
    const receiver = await startReceiver()
    const { key, revoke, tenant } = await withReceiver(db)
    const delivery = { method: PUSH, endpoint_url: receiver.url }
    await served.call('POST', STREAM, key, { delivery })
    await db.owner`update signal_receivers set private_network = false where tenant = ${tenant}`
    await revoke('bot')
    const faults = await deliver(db, served)
    expect([receiver.got.length, faults.length]).toEqual([0, 1])
    receiver.server.close()
  })
})

describe('pushes that can not be meant:', () => {
  test.each([
    ['no URL', undefined],
    ['text that is no URL', 'events'],
    ['plain http', 'http://receiver.example/events'],
    ['another scheme', 'file:///etc/passwd'],
    ['this machine', 'https://localhost/events'],
    ['a private address', 'https://10.0.0.1/events'],
    ['the metadata of a cloud', 'https://169.254.169.254/latest'],
    ['a private address in IPv6 clothes', 'https://[::ffff:10.0.0.1]/events'],
    ['an address as a number', 'https://2130706433/events'],
    ['credentials in it', 'https://user:pass@receiver.example/events'],
    ['a fragment', 'https://receiver.example/events#x'],
    ['a line break', 'https://receiver.example/\r\nx: y'],
    ['too long a URL', `https://receiver.example/${'x'.repeat(2_000)}`],
  ])('to %s are refused', async (_name, url) => {
    const { key, tenant } = await withReceiver(db)
    await db.owner`update signal_receivers set private_network = false where tenant = ${tenant}`
    const answer = await served.call('POST', STREAM, key, { delivery: { method: PUSH, endpoint_url: url } })
    expect([answer.status, answer.json.err]).toEqual([400, 'stream.invalid'])
    expect((await served.call('GET', STREAM, key)).json).toEqual([])
  })

  test.each([
    ['an unknown method', { method: 'urn:ietf:rfc:9999' }],
    ['a header with a line break', { authorization_header: 'Bearer x\r\ny: z' }],
    ['an empty header', { authorization_header: '' }],
    ['too long a header', { authorization_header: 'x'.repeat(4_097) }],
  ])('with %s are refused', async (_name, more) => {
    const { key } = await withReceiver(db)
    const delivery = { method: PUSH, endpoint_url: 'https://r.example/e', ...more }
    const answer = await served.call('POST', STREAM, key, { delivery })
    expect([answer.status, answer.json.err]).toEqual([400, 'stream.invalid'])
  })
})
