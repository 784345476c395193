import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { FindGateway } from '#http/gateway-key.ts'
import { createRevocationEvents, type RevocationEvents } from '#revocation/events.ts'
import { revocation } from '../revocation/subjects.ts'
import { findGateway, GATEWAY_KEY } from '../support/fake-decider.ts'
import { request } from '../support/raw-http.ts'
import { startListener, type WireListener } from '../support/wire-listener.ts'

const PATH = '/v1/revocations/stream'
const KEY = ['authorization', `Bearer ${GATEWAY_KEY}`] as const

let events: RevocationEvents
let listener: WireListener
let isRevoked = false
const sockets: Socket[] = []
const find: FindGateway = (hash) => (isRevoked ? undefined : findGateway(hash))

beforeEach(async () => {
  isRevoked = false
  events = createRevocationEvents()
  events.settled(undefined, 10, true)
  listener = await startListener('decision', { events, findGateway: find })
})
afterEach(async () => {
  for (const socket of sockets.splice(0)) socket.destroy()
  await listener.listener.close(0)
})

/** Opens a stream; `text` is what has come, `until` waits for a part of it. */
async function open(lastEventId?: string) {
  const socket = connect(listener.port, '127.0.0.1')
  sockets.push(socket)
  await once(socket, 'connect')
  const point = lastEventId === undefined ? '' : `Last-Event-ID: ${lastEventId}\r\n`
  socket.write(
    `GET ${PATH} HTTP/1.1\r\nHost: pdp.test\r\nAuthorization: Bearer ${GATEWAY_KEY}\r\n${point}\r\n`,
  )
  let text = ''
  socket.setEncoding('utf8').on('data', (part: string) => {
    text += part
  })
  const ended = once(socket, 'close')
  return {
    socket,
    ended,
    text: () => text,
    until: async (part: string) => {
      while (!text.includes(part)) await once(socket, 'data')
    },
  }
}

function revokeAgent(version: number): void {
  const tenant = findGateway('')?.tenant ?? null
  events.revoked([{ tenant, version, revocation: revocation({ kind: 'agent', id: 'bot' }) }])
}

test('a gateway hears what is revoked, as server-sent events that nobody may keep', async () => {
  const stream = await open()
  await stream.until('event: reset\nid: 10\ndata: {"seq":10}\n\n')
  expect(stream.text()).toMatch(/^HTTP\/1\.1 200/)
  expect(stream.text().toLowerCase()).toContain('content-type: text/event-stream')
  expect(stream.text().toLowerCase()).toContain('cache-control: no-store')
  revokeAgent(11)
  await stream.until('event: revoked\ndata: {"seq":11,"revoked":[{"kind":"agent","id":"')
})

test.each([
  ['10', 'event: epoch\nid: 10'],
  ['9', 'event: reset\nid: 10'],
  ['11', 'event: reset\nid: 10'],
  ['-1', 'event: reset\nid: 10'],
  ['10 ', 'event: epoch\nid: 10'],
  ['1e1', 'event: reset\nid: 10'],
])('`Last-Event-ID: %s` gives %j', async (id, first) => {
  const stream = await open(id)
  await stream.until('data:')
  expect(stream.text()).toContain(first)
})

test('nobody follows without a key of a gateway, or with another method', async () => {
  for (const headers of [[], [['authorization', 'Bearer another-key-0123456789']]] as const)
    expect((await request(listener.port, 'GET', PATH, headers)).status).toBe(401)
  const posted = await request(listener.port, 'POST', PATH, [KEY], '{}')
  expect([posted.status, posted.headers.find(([name]) => name === 'allow')?.[1]]).toEqual([405, 'GET'])
  expect(listener.counts.get('unauthenticated')).toBe(2)
})

test('a gateway that was revoked hears nothing more', async () => {
  const stream = await open()
  await stream.until('event: reset')
  isRevoked = true
  revokeAgent(11)
  await stream.ended
  expect(stream.text()).not.toContain('event: revoked')
})

test('who does not read is cut off, and nobody else notices', async () => {
  const [slow, other] = [await open(), await open()]
  await slow.until('event: reset')
  await other.until('event: reset')
  slow.socket.pause()
  // Enough for the buffers of both sockets and ours.
  for (let version = 11; version < 100_000; version++) {
    revokeAgent(version)
    if (version % 100 === 0) await setImmediate()
  }
  slow.socket.resume()
  await slow.ended
  expect(slow.text()).not.toContain('"seq":99999,')
  await other.until('"seq":99999,')
})

test('the seventeenth stream of one gateway is refused', async () => {
  for (let i = 0; i < 16; i++) await (await open()).until('event: reset')
  expect((await request(listener.port, 'GET', PATH, [KEY])).status).toBe(503)
})

test('a listener that stops ends its streams', async () => {
  const stream = await open()
  await stream.until('event: reset')
  await listener.listener.close(5_000)
  await stream.ended
})
