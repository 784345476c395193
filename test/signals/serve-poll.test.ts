import { connect, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { revokeReceiver, rotateReceiver } from '#admin/receivers.ts'
import { systemClock } from '#lib/clock.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { claimsOf, PUBLIC_URL, type Served, serve, withReceiver, withStream } from './receivers.ts'

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

const idsOf = (answer: { readonly json: { readonly sets: object } }) => Object.keys(answer.json.sets)

describe('what a receiver fetches', () => {
  test('is signed, names the issuer of the tenant and the receiver, and has no reason in it', async () => {
    const { poll, revoke, tenant, name } = await withStream(db, served, { kind: 'caep' })
    await revoke('https://idp.example|alice', 'subject')
    const answer = await poll()
    const [claims] = await claimsOf(answer, served)
    expect(claims).toMatchObject({
      iss: `${PUBLIC_URL}/tenants/${tenant}`,
      aud: `urn:warder:receiver:${tenant}:${name}`,
      jti: idsOf(answer)[0],
      sub_id: { format: 'iss_sub', iss: 'https://idp.example', sub: 'alice' },
    })
    expect(JSON.stringify(claims)).not.toContain('secret reason')
    expect(answer.headers.get('cache-control')).toBe('no-store')
  })

  test('comes again until it is acknowledged, and then never', async () => {
    const { poll, revoke } = await withStream(db, served)
    await revoke('bot')
    const [id = ''] = idsOf(await poll())
    expect(idsOf(await poll())).toEqual([id])
    expect(idsOf(await poll({ ack: [id] }))).toEqual([])
    expect(idsOf(await poll())).toEqual([])
    expect(idsOf(await poll({ ack: [id] }))).toEqual([])
  })

  test('comes again from another server, and after all have started anew', async () => {
    const { poll, revoke } = await withStream(db, served)
    await revoke('bot')
    const ids = idsOf(await poll())
    const second = await serve(db, served.signer)
    expect(idsOf(await poll({}, second))).toEqual(ids)
    await second.close()
    const third = await serve(db, served.signer)
    expect(idsOf(await poll({}, third))).toEqual(ids)
    expect(idsOf(await poll({ ack: ids }, third))).toEqual([])
    await third.close()
    expect(idsOf(await poll())).toEqual([])
  })
})

describe('how much of it comes, and when:', () => {
  test('comes oldest first, as many as are asked for, and says whether there is more', async () => {
    const { poll, revoke } = await withStream(db, served)
    for (const bot of ['a', 'b', 'c']) await revoke(bot)
    const all = idsOf(await poll())
    const two = await poll({ maxEvents: 2 })
    expect([idsOf(two), two.json.moreAvailable]).toEqual([all.slice(0, 2), true])
    const rest = await poll({ maxEvents: 2, ack: all.slice(0, 2) })
    expect([idsOf(rest), rest.json.moreAvailable]).toEqual([all.slice(2), undefined])
    const none = await poll({ maxEvents: 0 })
    expect(none.json).toEqual({ sets: {}, moreAvailable: true })
  })

  test('never has more than 64 at once', async () => {
    const { poll, stream } = await withStream(db, served)
    await db.owner`
      insert into signal_outbox (receiver, subject, events) select receiver, '{}', '{}' from signal_receivers,
        generate_series(1, 70) where stream = ${stream}::text::uuid`
    const answer = await poll({ maxEvents: 1_000 })
    expect([idsOf(answer).length, answer.json.moreAvailable]).toEqual([64, true])
  })

  test('does not come again once it was refused, and the operator sees why, without control characters', async () => {
    const { poll, revoke, store, tenant, name } = await withStream(db, served)
    await revoke('bot')
    const [id = ''] = idsOf(await poll())
    const setErrs = { [id]: { err: 'invalid_key', description: 'no\u001b[31m such key' } }
    expect(idsOf(await poll({ setErrs }))).toEqual([])
    expect(await store.findReceiver(tenant, name)).toMatchObject({
      waiting: 0,
      refused: 1,
      last_refusal: 'invalid_key: no [31m such key',
    })
  })

  test('is waited for when the receiver does not ask for an answer at once', async () => {
    const { poll, revoke } = await withStream(db, served)
    const [answer] = await Promise.all([poll({ returnImmediately: false }), revoke('bot')])
    expect(idsOf(answer)).toHaveLength(1)
  })

  test('is not waited for by more than two polls of one receiver; a third is answered at once', async () => {
    const { poll, revoke } = await withStream(db, served)
    const three = [1, 2, 3].map(() => poll({ returnImmediately: false }))
    expect(idsOf(await Promise.race(three))).toEqual([])
    await revoke('bot')
    await Promise.all(three)
  })
})

test('a receiver with four requests under way gets 429, another one does not', async () => {
  const [busy, other] = [await withStream(db, served), await withStream(db, served)]
  const head = `POST ${busy.path} HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${busy.key}\r\nContent-Length: 9\r\n\r\n`
  const slow: Socket[] = []
  let answer = await busy.poll()
  // One more of them each time: one that comes while a poll is under way may itself be the one too many.
  while (answer.status === 200 && slow.length < 1_000) {
    slow.push(connect(served.port, '127.0.0.1'))
    slow.at(-1)?.write(head)
    answer = await busy.poll()
  }
  expect([answer.status, answer.headers.get('retry-after')]).toEqual([429, '1'])
  expect((await other.poll()).status).toBe(200)
  for (const socket of slow) socket.destroy()
})

describe('nobody else', () => {
  test('one receiver never sees the stream of another, of its own tenant or a foreign one', async () => {
    const mine = await withStream(db, served)
    const sibling = await withStream(db, served, { tenant: mine.tenant, name: 'other' })
    const foreign = await withStream(db, served)
    await mine.revoke('bot')
    const unknown = await served.call(
      'POST',
      '/v1/ssf/poll/00000000-0000-4000-8000-000000000000',
      mine.key,
      {},
    )
    expect([unknown.status, unknown.json.err]).toEqual([404, 'stream.unknown'])
    for (const other of [sibling, foreign]) {
      const answer = await served.call('POST', mine.path, other.key, { returnImmediately: true })
      expect([answer.status, answer.text]).toEqual([unknown.status, unknown.text])
    }
  })

  test("another tenant's events never appear, those of all tenants appear to each", async () => {
    const [first, second] = [await withStream(db, served), await withStream(db, served)]
    await first.revoke('bot')
    expect([idsOf(await first.poll()).length, idsOf(await second.poll()).length]).toEqual([1, 0])
    await first.store.revoke({
      tenant: null,
      kind: 'agent',
      id: 'worm',
      mode: 'deny',
      source: 'admin',
      reason: 'r',
    })
    expect([idsOf(await first.poll()).length, idsOf(await second.poll()).length]).toEqual([2, 1])
    const [claims] = await claimsOf(await second.poll(), served)
    expect(claims).toMatchObject({ iss: `${PUBLIC_URL}/tenants/${second.tenant}` })
  })

  test("an acknowledgement of another one's event has no effect", async () => {
    const [first, second] = [await withStream(db, served), await withStream(db, served)]
    await first.revoke('bot')
    const ids = idsOf(await first.poll())
    await second.poll({ ack: ids, setErrs: { [ids[0] ?? '']: { err: 'jwtParse' } } })
    expect(idsOf(await first.poll())).toEqual(ids)
  })

  test('no, a wrong, a doubled and another kind of credential get the same bytes', async () => {
    const { path, key } = await withStream(db, served)
    const body = { returnImmediately: true }
    const answers = await Promise.all([
      served.call('POST', path, undefined, body),
      served.call('POST', path, `wrk_${'a'.repeat(43)}`, body),
      served.call('POST', path, `wgk_${'a'.repeat(43)}`, body),
      served.call('POST', path, undefined, body, { authorization: `Basic ${key}` }),
      served.call('POST', `${path}?access_token=${key}`, undefined, body),
    ])
    for (const { status, text, headers } of answers) {
      expect([status, text]).toEqual([401, answers[0]?.text])
      expect(headers.get('www-authenticate')).toBe('Bearer realm="warder-signals"')
    }
    expect(answers[0]?.json.err).toBe('http.unauthenticated')
  })
})

describe('a credential', () => {
  test('that was revoked stops at once, on every server and for a poll that is held', async () => {
    const { poll, revoke, store, tenant, name } = await withStream(db, served)
    const second = await serve(db, served.signer)
    expect((await poll({}, second)).status).toBe(200)
    const held = poll({ returnImmediately: false })
    expect(await revokeReceiver(store, { tenant, name })).toMatchObject({ ok: true })
    await revoke('bot')
    for (const answer of [await poll(), await poll({}, second), await held])
      expect([answer.status, answer.json.err]).toEqual([401, 'http.unauthenticated'])
    await second.close()
  })

  test('that is rotated is followed by another; the older one ends when it was told to', async () => {
    const { poll, store, tenant, name } = await withStream(db, served)
    const kept = await rotateReceiver(
      store,
      { tenant, name, keepSeconds: 3_600, mayOpenPrivate: true },
      systemClock(),
    )
    const now = await rotateReceiver(
      store,
      { tenant, name, keepSeconds: 0, mayOpenPrivate: true },
      systemClock(),
    )
    if (!kept.ok || !now.ok) throw new Error('not rotated')
    expect((await poll()).status).toBe(401)
    expect((await poll({}, served, kept.value.key)).status).toBe(401)
    expect((await poll({}, served, now.value.key)).status).toBe(200)
    const next = await rotateReceiver(
      store,
      { tenant, name, keepSeconds: 3_600, mayOpenPrivate: true },
      systemClock(),
    )
    if (!next.ok) throw new Error('not rotated')
    expect((await poll({}, served, now.value.key)).status).toBe(200)
    expect((await poll({}, served, next.value.key)).status).toBe(200)
  })

  test('is not kept, neither in its table nor in the audit', async () => {
    const { key, tenant, name, store } = await withReceiver(db)
    await rotateReceiver(store, { tenant, name, keepSeconds: 0, mayOpenPrivate: true }, systemClock())
    const rows = await db.owner`
      select to_json(k)::text as row from signal_receiver_keys k union all select to_json(r)::text from signal_receivers r
      union all select to_json(a)::text from admin_audit a`
    expect(JSON.stringify(rows)).not.toContain(key)
    expect(JSON.stringify(rows)).toContain(key.slice(0, 10))
  })
})

describe('a full queue', () => {
  test('loses its oldest events, says so and takes new ones', async () => {
    const { poll, revoke, store, tenant, name, stream } = await withStream(db, served)
    await db.owner`
      insert into signal_outbox (receiver, subject, events, next_at)
      select receiver, json_build_object('n', n), '{}', 'infinity' from signal_receivers, generate_series(1, 10000) n
      where stream = ${stream}::text::uuid`
    for (const bot of ['a', 'b']) await revoke(bot)
    expect(await store.findReceiver(tenant, name)).toMatchObject({ waiting: 10_000, dropped: 2 })
    const [oldest] = await claimsOf(await poll({ maxEvents: 1 }), served)
    expect(oldest).toMatchObject({ sub_id: { n: 3 } })
  })
})

describe('a poll that can not be read', () => {
  test.each([
    ['no JSON', 400, 'request.malformed_json', '{'],
    ['an empty body', 400, 'request.malformed_json', ''],
    ['a list', 400, 'request.wrong_type', '[]'],
    ['a name twice', 400, 'request.duplicate_key', '{"ack":[],"ack":[]}'],
    ['a text for a number', 400, 'request.wrong_type', '{"maxEvents":"5"}'],
    ['a negative number', 400, 'request.wrong_type', '{"maxEvents":-1}'],
    ['a list of numbers', 400, 'request.wrong_type', '{"ack":[1]}'],
    [
      'too many acknowledgements',
      400,
      'request.wrong_type',
      JSON.stringify({ ack: new Array(1_001).fill('x') }),
    ],
    ['errors that are none', 400, 'request.wrong_type', '{"setErrs":{"x":"y"}}'],
    ['too long a body', 413, 'request.too_large', `{"ack":["${'x'.repeat(65_536)}"]}`],
  ])('(%s) gets %i and %s', async (_name, status, err, body) => {
    const { path, key } = await withStream(db, served)
    const answer = await served.call('POST', path, key, body)
    expect([answer.status, answer.json.err]).toEqual([status, err])
    expect(answer.json.description.length).toBeGreaterThan(10)
  })

  test('another media type gets 415, another method 405', async () => {
    const { path, key } = await withStream(db, served)
    const typed = await served.call('POST', path, key, '{}', { 'content-type': 'text/plain' })
    expect([typed.status, typed.json.err]).toEqual([415, 'request.unsupported_media_type'])
    const got = await served.call('GET', path, key)
    expect([got.status, got.headers.get('allow')]).toEqual([405, 'POST'])
  })

  test('ids that no token has do no harm', async () => {
    const { poll, revoke } = await withStream(db, served)
    await revoke('bot')
    const odd = ['', '\u0000', "'; drop table signal_outbox", '00000000-0000-4000-8000-000000000000']
    const answer = await poll({
      ack: odd,
      setErrs: Object.fromEntries(odd.map((id) => [id, { err: '\u0000' }])),
    })
    expect([answer.status, answer.status === 200 && idsOf(answer).length]).toEqual([200, 1])
  })
})
