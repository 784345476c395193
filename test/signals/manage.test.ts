import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import {
  countOf,
  POLL,
  PUBLIC_URL,
  PUSH,
  type Served,
  STATUS,
  STREAM,
  serve,
  VERIFY,
  withReceiver,
  withStream,
} from './receivers.ts'

const SESSION_REVOKED = 'https://schemas.openid.net/secevent/caep/event-type/session-revoked'

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

describe('the configuration of the transmitter', () => {
  test('is found under the issuer of a tenant, whether or not there is such a tenant', async () => {
    const { tenant } = await withReceiver(db)
    const known = await served.call('GET', `/.well-known/ssf-configuration/tenants/${tenant}`)
    expect(known).toMatchObject({ status: 200 })
    expect(known.json).toEqual({
      spec_version: '1_0',
      issuer: `${PUBLIC_URL}/tenants/${tenant}`,
      jwks_uri: `${PUBLIC_URL}/.well-known/jwks.json`,
      delivery_methods_supported: [PUSH, POLL],
      configuration_endpoint: `${PUBLIC_URL}${STREAM}`,
      status_endpoint: `${PUBLIC_URL}${STATUS}`,
      verification_endpoint: `${PUBLIC_URL}${VERIFY}`,
      authorization_schemes: [{ spec_urn: 'urn:ietf:rfc:6750' }],
      default_subjects: 'ALL',
    })
    const unknown = await served.call('GET', '/.well-known/ssf-configuration/tenants/nowhere')
    expect(unknown.text.replaceAll('nowhere', tenant)).toBe(known.text)
  })

  test.each(['', '/tenants', '/tenants/', '/tenants/A%20b', '/tenants/a/b'])('is not at %j', async (path) => {
    expect((await served.call('GET', `/.well-known/ssf-configuration${path}`)).status).toBe(404)
  })

  test('is only read', async () => {
    expect(
      (await served.call('POST', '/.well-known/ssf-configuration/tenants/acme', undefined, {})).status,
    ).toBe(405)
  })
})

describe('a stream', () => {
  test('is made by its receiver, fetched unless it says otherwise, and is the only one', async () => {
    const { key, tenant, name } = await withReceiver(db, { kind: 'caep' })
    expect((await served.call('GET', STREAM, key)).json).toEqual([])
    const made = await served.call('POST', STREAM, key, { description: 'for the SIEM\u0007' })
    const { stream_id: id } = made.json
    expect([made.status, made.json]).toEqual([
      201,
      {
        stream_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
        iss: `${PUBLIC_URL}/tenants/${tenant}`,
        aud: `urn:warder:receiver:${tenant}:${name}`,
        delivery: { method: POLL, endpoint_url: `${PUBLIC_URL}/v1/ssf/poll/${id}` },
        events_supported: [SESSION_REVOKED],
        events_delivered: [SESSION_REVOKED],
        min_verification_interval: 60,
        description: 'for the SIEM ',
      },
    ])
    expect((await served.call('GET', `${STREAM}?stream_id=${id}`, key)).json).toEqual(made.json)
    expect((await served.call('GET', STREAM, key)).json).toEqual([made.json])
    const again = await served.call('POST', STREAM, key, {})
    expect([again.status, again.json.err]).toEqual([409, 'stream.exists'])
  })

  test('has only events that we support, and is told only what it asked for', async () => {
    const { key, revoke, tenant, name, store } = await withReceiver(db, { kind: 'caep' })
    const asked = ['https://example.com/other', '\u0000 odd', 'https://example.com/other']
    const made = await served.call('POST', STREAM, key, { events_requested: asked })
    expect(made.json).toMatchObject({
      events_requested: ['https://example.com/other'],
      events_delivered: [],
    })
    await revoke('bot')
    expect(await store.findReceiver(tenant, name)).toMatchObject({ waiting: 0 })
    const body = { stream_id: made.json.stream_id, events_requested: [...asked, SESSION_REVOKED] }
    expect((await served.call('PATCH', STREAM, key, body)).json.events_delivered).toEqual([SESSION_REVOKED])
    await revoke('bot-2')
    expect(await store.findReceiver(tenant, name)).toMatchObject({ waiting: 1 })
  })

  test('PATCH leaves what it does not mention, PUT takes it away', async () => {
    const { key, stream } = await withStream(db, served, { kind: 'caep' })
    const change = (method: string, body: object) =>
      served.call(method, STREAM, key, { stream_id: stream, ...body })
    await change('PATCH', { description: 'first', events_requested: [SESSION_REVOKED] })
    const patched = await change('PATCH', { delivery: { method: PUSH, endpoint_url: 'https://r.example/e' } })
    expect(patched.json).toMatchObject({
      description: 'first',
      events_requested: [SESSION_REVOKED],
      delivery: { method: PUSH, endpoint_url: 'https://r.example/e' },
    })
    const put = await change('PUT', { description: 'second' })
    expect(put.json).toMatchObject({ description: 'second', delivery: { method: POLL } })
    expect(put.json.events_requested).toBeUndefined()
    expect((await served.call('PUT', STREAM, key, put.json)).json).toEqual(put.json)
  })
})

describe('a stream that is there', () => {
  test.each([
    ['iss', 'https://evil.example'],
    ['aud', 'https://evil.example'],
    ['events_supported', ['x']],
    ['events_delivered', []],
    ['min_verification_interval', 1],
  ])('does not let its receiver choose %s', async (name, value) => {
    const { key, stream } = await withStream(db, served, { kind: 'caep' })
    const answer = await served.call('PATCH', STREAM, key, { stream_id: stream, [name]: value })
    expect([answer.status, answer.json.err]).toEqual([400, 'stream.invalid'])
    expect(answer.json.description).toContain(name)
  })

  test('that was deleted is gone with its events; the next one has another id', async () => {
    const { key, stream, poll, path, revoke } = await withStream(db, served)
    await revoke('bot')
    const removed = await served.call('DELETE', `${STREAM}?stream_id=${stream}`, key)
    expect([removed.status, removed.text]).toEqual([204, ''])
    expect((await poll()).status).toBe(404)
    await revoke('bot-2')
    const made = await served.call('POST', STREAM, key, {})
    expect(made.json.stream_id).not.toBe(stream)
    expect((await served.call('POST', path, key, {})).status).toBe(404)
    const fresh = await served.call('POST', `/v1/ssf/poll/${made.json.stream_id}`, key, {
      returnImmediately: true,
    })
    expect(countOf(fresh)).toBe(0)
  })

  test('each change of it is in the audit, as done by its receiver', async () => {
    const { key, stream, tenant, name, store } = await withStream(db, served)
    await served.call('PATCH', STREAM, key, { stream_id: stream, description: 'x' })
    await served.call('POST', STATUS, key, { stream_id: stream, status: 'paused' })
    await served.call('DELETE', `${STREAM}?stream_id=${stream}`, key)
    const rows = await store.listAudit({ tenants: [tenant] }, { limit: 4 })
    expect(rows.map(({ actor, route, target }) => `${actor} ${route} ${target}`)).toEqual([
      `receiver:${name} DELETE ${STREAM} ${name}`,
      `receiver:${name} POST ${STATUS} ${name}`,
      `receiver:${name} PATCH ${STREAM} ${name}`,
      `receiver:${name} POST ${STREAM} ${name}`,
    ])
  })
})

describe('nobody else', () => {
  const about = (id: string) =>
    [
      ['GET', `${STREAM}?stream_id=${id}`, undefined],
      ['PATCH', STREAM, { stream_id: id, description: 'mine' }],
      ['PUT', STREAM, { stream_id: id, description: 'mine' }],
      ['DELETE', `${STREAM}?stream_id=${id}`, undefined],
      ['GET', `${STATUS}?stream_id=${id}`, undefined],
      ['POST', STATUS, { stream_id: id, status: 'disabled' }],
      ['POST', VERIFY, { stream_id: id }],
      ['POST', `/v1/ssf/poll/${id}`, {}],
    ] as const

  test('touches a stream: an id of another one gets the bytes of one that does not exist', async () => {
    const mine = await withStream(db, served)
    const sibling = await withStream(db, served, { tenant: mine.tenant, name: 'other' })
    const foreign = await withStream(db, served)
    const none = await withReceiver(db)
    await mine.revoke('bot')
    const unknown = about('00000000-0000-4000-8000-000000000000')
    for (const [i, [method, path, body]] of about(mine.stream).entries())
      for (const { key } of [sibling, foreign, none]) {
        const [, unknownPath = '', unknownBody] = unknown[i] ?? []
        const expected = await served.call(method, unknownPath, key, unknownBody)
        const got = await served.call(method, path, key, body)
        expect([got.status, got.text]).toEqual([404, expected.text])
        expect([...got.headers].filter(([name]) => name !== 'date')).toEqual(
          [...expected.headers].filter(([name]) => name !== 'date'),
        )
      }
    expect(countOf(await mine.poll())).toBe(1)
  })

  test('is answered without a credential, the same on every route', async () => {
    const { stream } = await withStream(db, served)
    for (const [method, path, body] of about(stream)) {
      const answer = await served.call(method, path, undefined, body)
      expect([answer.status, answer.json.err]).toEqual([401, 'http.unauthenticated'])
    }
  })

  test('and two ids name no stream', async () => {
    const { key, stream } = await withStream(db, served)
    const path = `${STREAM}?stream_id=${stream}&stream_id=${stream}`
    expect((await served.call('DELETE', path, key)).status).toBe(404)
  })
})

describe('what can not be read', () => {
  test.each([
    ['POST', STREAM, '{', 'request.malformed_json'],
    ['POST', STREAM, '{"delivery":"poll"}', 'request.wrong_type'],
    ['POST', STREAM, '{"delivery":{}}', 'request.missing_field'],
    ['POST', STREAM, '{"events_requested":"all"}', 'request.wrong_type'],
    ['POST', STREAM, '{"description":7}', 'request.wrong_type'],
    ['PATCH', STREAM, '{}', 'request.missing_field'],
    ['PUT', STREAM, '[]', 'request.wrong_type'],
    ['POST', STATUS, '{"stream_id":"x"}', 'request.missing_field'],
    ['POST', STATUS, '{"stream_id":"x","status":"gone"}', 'request.wrong_type'],
    ['POST', VERIFY, '{"stream_id":"x","state":7}', 'request.wrong_type'],
    ['POST', VERIFY, 'null', 'request.wrong_type'],
  ])('%s %s %s gets 400 and %s', async (method, path, body, err) => {
    const { key } = await withReceiver(db)
    const answer = await served.call(method, path, key, body)
    expect([answer.status, answer.json.err]).toEqual([400, err])
    expect(answer.json.description.length).toBeGreaterThan(10)
  })
})
