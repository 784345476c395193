import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { type SsfTransmitter, startSsfTransmitter } from '../../support/ssf-transmitter.ts'
import { openScene, type Scene } from './scene.ts'

const AT = '/v1/tenants/acme/signal-streams'

let scene: Scene
beforeAll(async () => {
  scene = await openScene()
})
afterAll(() => scene.close())

let transmitter: SsfTransmitter | undefined
afterEach(async () => {
  await transmitter?.close()
  transmitter = undefined
})

async function opened(): Promise<SsfTransmitter> {
  transmitter = await startSsfTransmitter()
  return transmitter
}

const call = (method: string, path: string, body?: object) =>
  scene.call(method, `${AT}${path}`, scene.tokens.operator, body)

test('a stream is set up, shown, paused, verified, changed and removed, each recorded with who and why', async () => {
  const { issuer, calls, streams } = await opened()
  const stream = { issuer, private_network: true, transmitter: { secret: 'management-token' } }
  const added = await call('POST', '', { name: 'idp', stream })
  expect([added.status, added.json]).toMatchObject([
    201,
    { name: 'idp', transmitter_stream: 'st-1', delivery: 'poll', check_fault: null },
  ])
  const listed = await scene.call('GET', AT, scene.tokens.viewer)
  expect(listed.json.items).toMatchObject([{ name: 'idp', standing: 'waiting', verified_at: null }])
  expect(listed.text).not.toContain('management-token')
  expect((await call('GET', '/idp/configuration')).json).toMatchObject({ stream_id: 'st-1', iss: issuer })
  const events_requested = ['https://schemas.openid.net/secevent/caep/event-type/session-revoked']
  const patched = await call('PATCH', '/idp/configuration', { reason: 'less', events_requested })
  expect([patched.status, patched.json.events_delivered]).toEqual([200, events_requested])
  expect((await call('POST', '/idp/status', { status: 'paused', reason: 'move' })).json).toEqual({
    status: 'paused',
    reason: 'move',
  })
  expect((await call('GET', '/idp/status')).json).toMatchObject({ status: 'paused' })
  expect((await call('GET', '')).json.items).toMatchObject([{ status: 'paused', standing: 'paused' }])
  expect((await call('POST', '/idp/verify')).json).toEqual({ asked: true, within_seconds: 600 })
  const subject = { format: 'email', email: 'ann@example.com' }
  const told = await call('POST', '/idp/subjects', { change: 'add', subject, reason: 'new' })
  expect([told.status, calls.at(-1)?.body]).toEqual([200, { stream_id: 'st-1', subject }])
  expect((await call('DELETE', '/idp?reason=over')).status).toBe(200)
  expect(streams.size).toBe(0)
  const audit = await scene.store.listAudit({ tenants: undefined }, { limit: 100 })
  const changes = audit.filter(({ outcome, target }) => outcome === 'changed' && target === 'idp')
  expect(changes.map(({ actor, route, after }) => [actor, route.split(' ')[0], after])).toMatchObject([
    ['token:all-operator', 'DELETE', { removed: true, reason: 'over' }],
    ['token:all-operator', 'DELETE', { removed: true, reason: 'over', done: false }],
    ...[true, false].map((done) => ['token:all-operator', 'POST', { subject: 'add', reason: 'new', done }]),
    ...[true, false].map((done) => [
      'token:all-operator',
      'POST',
      { status: 'paused', reason: 'move', done },
    ]),
    ...[true, false].map((done) => [
      'token:all-operator',
      'PATCH',
      { events_requested, reason: 'less', done },
    ]),
    ['token:all-operator', 'POST', { issuer, stream_id: 'st-1' }],
  ])
})

test('what the transmitter refuses is a problem with its cause, recorded as such', async () => {
  const { issuer } = await opened()
  const stream = { issuer, private_network: true, transmitter: { secret: 'wrong' } }
  const refused = await call('POST', '', { name: 'idp', stream })
  expect([refused.status, refused.json]).toMatchObject([
    409,
    { code: 'stream.transmitter', detail: 'at the transmitter: the configuration endpoint answered 401' },
  ])
  expect(refused.text).not.toContain('wrong')
  const [row] = await scene.store.listAudit({ tenants: undefined }, { limit: 1 })
  expect(row).toMatchObject({ target: 'idp', outcome: 'stream.transmitter' })
  expect((await call('GET', '/idp/status')).json).toMatchObject({ status: 404, code: 'stream.unknown' })
})

test('who administers one tenant reaches nobody in the network that the server stands in', async () => {
  const { issuer, calls } = await opened()
  const file = { issuer, transmitter: { secret: 'management-token' } }
  for (const more of [{ private_network: true }, {}]) {
    const body = { name: 'idp', stream: { ...file, ...more } }
    expect([403, 409]).toContain((await scene.call('POST', AT, scene.acme.operator, body)).status)
  }
  expect(calls).toEqual([])
})

test('a stream that was set up by hand is registered, and what it is pushed with is shown this once', async () => {
  const stream = {
    issuer: 'https://idp.example',
    audience: 'https://w.example',
    jwks_uri: 'https://idp.example/jwks',
  }
  const added = await call('POST', '', { name: 'by-hand', stream })
  expect([added.status, added.json.authorization]).toEqual([201, expect.stringMatching(/^Bearer wss_/)])
  expect((await call('GET', '')).text).not.toContain(added.json.authorization)
  expect((await call('GET', '/by-hand/configuration')).json).toMatchObject({ code: 'stream.unmanaged' })
  expect((await call('DELETE', '/by-hand?reason=over')).status).toBe(200)
})
