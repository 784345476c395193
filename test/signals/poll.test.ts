import type { ServerResponse } from 'node:http'
import { exportJWK, generateKeyPair } from 'jose'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { createKeySets } from '#identity/key-sets.ts'
import { sendOutbound } from '#identity/outbound.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { SignalEffect } from '#signals/effects.ts'
import { createPollStream, type PolledStream } from '#signals/poll.ts'
import { parseStream } from '#signals/stream.ts'
import { createTransmitterTokens } from '#signals/transmitter-access.ts'
import { makeKey, type SigningKey, TENANT } from '../support/tokens.ts'
import { json, startTransmitter } from '../support/transmitter.ts'
import { ALICE, NOW, RECEIVER, SECOND, setClaims, signSet, TRANSMITTER } from './vectors.ts'

let key: SigningKey
let other: SigningKey
beforeAll(async () => {
  ;[key, other] = await Promise.all([makeKey('ES256', 'k-1'), makeKey('ES256', 'k-2')])
})

type Running = Awaited<ReturnType<typeof startTransmitter>>
const running: Running[] = []
afterEach(async () => {
  await Promise.all(running.splice(0).map((each) => each.close()))
})

/** A transmitter, a stream that is fetched from it, and what was stored; `more` goes into the member `poll`. */
async function world(more: object = {}) {
  const transmitter = await startTransmitter()
  running.push(transmitter)
  const record = parseStream({
    issuer: TRANSMITTER,
    audience: RECEIVER,
    jwks: { keys: [key.jwk] },
    private_network: true,
    poll: { url: transmitter.url, secret: 'poll-token', ...more },
  })
  if (!record.ok) throw new Error(record.failure)
  const { source } = record.value
  if (source === undefined) throw new Error('the file has no source')
  const stream: PolledStream = { id: 'stream-1', tenant: TENANT, name: 'idp', ...record.value, source }
  const time = { now: NOW as number }
  const clock = () => time.now as EpochMilliseconds
  const stored = new Map<string, readonly SignalEffect[]>()
  const broken = { is: false }
  const fetch = () => Promise.reject(new Error('no network'))
  const poll = createPollStream({
    send: sendOutbound,
    tokens: createTransmitterTokens(sendOutbound, clock),
    keys: createKeySets({ clock, fetch, onFault: () => undefined }),
    clock,
    store: {
      findStream: async () => undefined,
      apply: async (_stream, event, effects) => {
        if (broken.is) throw new Error('the database does not answer')
        const isKnown = stored.has(event.id)
        if (!isKnown) stored.set(event.id, effects)
        return isKnown ? 'known' : 'applied'
      },
    },
  })
  const session = (signal = new AbortController().signal) => poll(stream, signal)
  return { transmitter, session, stored, time, broken, stream }
}

/** Puts an event of alice into a transmitter. */
async function send(
  transmitter: Running,
  jti: string,
  more: object = {},
  by = key,
  type = 'caep:session-revoked',
) {
  transmitter.add(jti, await signSet(by, setClaims(type, ALICE, {}, { jti, ...more })))
}

test('events are stored, then acknowledged, and the transmitter has them no more', async () => {
  const { transmitter, session, stored } = await world()
  await send(transmitter, 'a')
  await send(transmitter, 'b')
  expect(await session()).toEqual({ taken: 2, refused: 0, more: false })
  expect([...stored.keys()]).toEqual(['a', 'b'])
  expect(transmitter.waiting.size).toBe(0)
  expect(transmitter.requests.map(({ body }) => body)).toEqual([
    { maxEvents: 32, returnImmediately: true },
    { maxEvents: 0, returnImmediately: true, ack: ['a', 'b'] },
  ])
})

test('more events than one answer holds are fetched in one session', async () => {
  const { transmitter, session, stored } = await world()
  for (let n = 0; n < 70; n++) await send(transmitter, `e-${n}`)
  expect(await session()).toEqual({ taken: 70, refused: 0, more: false })
  expect(stored.size).toBe(70)
  expect(transmitter.waiting.size).toBe(0)
})

test('events act in the order in which they happened, whatever their names', async () => {
  const { transmitter, session, stored } = await world()
  await send(transmitter, 'late', { iat: SECOND - 1 }, key, 'risc:account-enabled')
  await send(transmitter, '1', { iat: SECOND - 2 }, key, 'risc:account-disabled')
  await send(transmitter, 'early', { iat: SECOND - 3 })
  await session()
  expect([...stored.keys()]).toEqual(['early', '1', 'late'])
})

test('an event that was received before is acknowledged and acts once', async () => {
  const { transmitter, session, stored } = await world()
  await send(transmitter, 'a')
  await session()
  const first = stored.get('a')
  await send(transmitter, 'a')
  expect(await session()).toEqual({ taken: 1, refused: 0, more: false })
  expect(stored.get('a')).toBe(first)
  expect(transmitter.waiting.size).toBe(0)
})

test("what can not be taken is reported with its reason, and stands in no other event's way", async () => {
  const { transmitter, session, stored } = await world()
  transmitter.add('text', 'no token at all')
  await send(transmitter, 'foreign', { iss: 'https://evil.example' })
  await send(transmitter, 'elsewhere', { aud: 'https://else.example' })
  transmitter.add('renamed', await signSet(key, setClaims('caep:session-revoked', ALICE, {}, { jti: 'x' })))
  await send(transmitter, 'good')
  expect(await session()).toEqual({ taken: 1, refused: 4, more: false })
  const errors = transmitter.requests[1]?.body.setErrs ?? {}
  expect(Object.entries(errors).map(([jti, { err }]) => [jti, err])).toEqual([
    ['text', 'invalid_request'],
    ['foreign', 'invalid_issuer'],
    ['elsewhere', 'invalid_audience'],
    ['renamed', 'invalid_request'],
  ])
  expect([...stored.keys()]).toEqual(['good'])
})

test('an event whose key is not known yet is not given up before two minutes have passed', async () => {
  const { transmitter, session, time } = await world()
  await send(transmitter, 'rotated', {}, other)
  expect(await session()).toEqual({ taken: 0, refused: 0, more: false })
  time.now += 119_000
  expect(await session()).toEqual({ taken: 0, refused: 0, more: false })
  expect(transmitter.waiting.has('rotated')).toBe(true)
  time.now += 1_000
  expect(await session()).toMatchObject({ refused: 1 })
  expect(transmitter.requests.at(-1)?.body.setErrs).toMatchObject({ rotated: { err: 'invalid_key' } })
})

test('nothing is acknowledged that is not durable', async () => {
  const { transmitter, session, broken, stored } = await world()
  await send(transmitter, 'a')
  broken.is = true
  await expect(session()).rejects.toThrow('the database does not answer')
  expect(transmitter.waiting.has('a')).toBe(true)
  broken.is = false
  await session()
  expect([stored.has('a'), transmitter.waiting.size]).toEqual([true, 0])
})

test('a transmitter that always has more is left after sixteen answers', async () => {
  const { transmitter, session } = await world()
  let count = 0
  transmitter.answer = async (_, outgoing) => {
    const jti = `endless-${count++}`
    const set = await signSet(key, setClaims('caep:session-revoked', ALICE, {}, { jti }))
    json(outgoing, 200, { sets: { [jti]: set }, moreAvailable: true })
  }
  expect(await session()).toEqual({ taken: 16, refused: 0, more: true })
  expect(transmitter.requests).toHaveLength(17)
})

test('a transmitter that says that it has more and gives nothing is left at once', async () => {
  const { transmitter, session } = await world()
  transmitter.answer = (_, outgoing) => json(outgoing, 200, { sets: {}, moreAvailable: true })
  expect(await session()).toEqual({ taken: 0, refused: 0, more: true })
  expect(transmitter.requests).toHaveLength(1)
})

describe('an answer that is wrong ends the session, and nothing is stored or acknowledged:', () => {
  const many = Object.fromEntries(Array.from({ length: 33 }, (_, n) => [`e-${n}`, 'x']))
  test.each<[string, (outgoing: ServerResponse) => void, RegExp]>([
    ['a refusal', (outgoing) => json(outgoing, 403, {}), /answered 403/],
    ['a fault', (outgoing) => json(outgoing, 500, { sets: {} }), /answered 500/],
    ['nothing', (outgoing) => outgoing.writeHead(204).end(), /answered 204/],
    [
      'a redirect, which is not followed',
      (outgoing) => outgoing.writeHead(307, { location: 'http://127.0.0.1:9/' }).end(),
      /answered 307/,
    ],
    [
      'another type',
      (outgoing) => outgoing.writeHead(200, { 'content-type': 'text/html' }).end('{"sets":{}}'),
      /something else than JSON/,
    ],
    ['no JSON', (outgoing) => outgoing.writeHead(200, JSON_TYPE).end('{"sets":'), /no `sets`/],
    [
      'a member twice',
      (outgoing) => outgoing.writeHead(200, JSON_TYPE).end('{"sets":{},"sets":{}}'),
      /no `sets`/,
    ],
    ['no events', (outgoing) => json(outgoing, 200, {}), /no `sets`/],
    ['events in a list', (outgoing) => json(outgoing, 200, { sets: ['x'] }), /no `sets`/],
    [
      '`moreAvailable` as text',
      (outgoing) => json(outgoing, 200, { sets: {}, moreAvailable: 'no' }),
      /no `sets`/,
    ],
    ['an event that is no text', (outgoing) => json(outgoing, 200, { sets: { a: 5 } }), /no event/],
    [
      'an event of 33 KiB',
      (outgoing) => json(outgoing, 200, { sets: { a: 'x'.repeat(33_000) } }),
      /no event/,
    ],
    ['an event without a name', (outgoing) => json(outgoing, 200, { sets: { '': 'x' } }), /no event/],
    ['more events than were asked for', (outgoing) => json(outgoing, 200, { sets: many }), /more events/],
    ['two mebibytes', (outgoing) => json(outgoing, 200, { sets: { a: 'x'.repeat(2 ** 21) } }), /larger than/],
  ])('%s', async (_what, answer, message) => {
    const { transmitter, session, stored } = await world()
    transmitter.answer = (_request, outgoing) => answer(outgoing)
    await expect(session()).rejects.toThrow(message)
    expect([stored.size, transmitter.requests.length]).toEqual([0, 1])
  })
})

const JSON_TYPE = { 'content-type': 'application/json' }

test('a stream that may not reach this machine is not fetched from it', async () => {
  const { transmitter, stream } = await world()
  const { privateNetwork: _, ...issuer } = stream.issuer
  const clock = () => NOW
  const fetch = () => Promise.reject(new Error('no network'))
  const poll = createPollStream({
    send: sendOutbound,
    tokens: createTransmitterTokens(sendOutbound, clock),
    keys: createKeySets({ clock, fetch, onFault: () => undefined }),
    clock,
    store: { findStream: async () => undefined, apply: () => expect.unreachable() },
  })
  await expect(poll({ ...stream, issuer }, new AbortController().signal)).rejects.toThrow('not https')
  expect(transmitter.requests).toEqual([])
})

describe('a request that waits', () => {
  test('brings an event as soon as there is one', async () => {
    const { transmitter, session, stored } = await world({ long: true })
    const waiting = session()
    await expect.poll(() => transmitter.requests.length, { timeout: 10_000 }).toBe(1)
    expect(transmitter.requests[0]?.body).toEqual({ maxEvents: 32, returnImmediately: false })
    await send(transmitter, 'a')
    expect(await waiting).toEqual({ taken: 1, refused: 0, more: false })
    expect(stored.has('a')).toBe(true)
  })

  test('ends with the server that polls', async () => {
    const { transmitter, session } = await world({ long: true })
    const closing = new AbortController()
    const waiting = session(closing.signal)
    await expect.poll(() => transmitter.requests.length, { timeout: 10_000 }).toBe(1)
    closing.abort()
    await expect(waiting).rejects.toThrow()
  })
})

describe('Warder proves itself', () => {
  test('by the access token that was given', async () => {
    const { transmitter, session } = await world()
    await session()
    expect(transmitter.requests[0]?.authorization).toBe('Bearer poll-token')
    expect(transmitter.forms).toEqual([])
  })

  test('by a token that it gets with its private key, once for its lifetime', async () => {
    const { privateKey } = await generateKeyPair('ES256', { extractable: true })
    const secret = JSON.stringify({ ...(await exportJWK(privateKey)), alg: 'ES256' })
    const transmitter = await startTransmitter()
    running.push(transmitter)
    const more = { client_id: 'warder', token_url: transmitter.tokenUrl, secret }
    const { session, time, transmitter: polled } = await world(more)
    await session()
    await session()
    expect(transmitter.forms).toHaveLength(1)
    const [form] = transmitter.forms
    expect(Object.fromEntries(form ?? [])).toMatchObject({
      grant_type: 'client_credentials',
      client_id: 'warder',
      client_assertion: expect.stringMatching(/^ey.*\..*\..*/),
    })
    expect(form?.toString()).not.toContain(secret)
    expect(polled.requests[0]?.authorization).toBe('Bearer poll-token')
    time.now += 271_000
    await session()
    expect(transmitter.forms).toHaveLength(2)
  })

  test('by another token after one was refused', async () => {
    const { privateKey } = await generateKeyPair('ES256', { extractable: true })
    const secret = JSON.stringify({ ...(await exportJWK(privateKey)), alg: 'ES256' })
    const tokens = await startTransmitter('another')
    running.push(tokens)
    const { session } = await world({ client_id: 'warder', token_url: tokens.tokenUrl, secret })
    await expect(session()).rejects.toThrow('answered 401')
    await expect(session()).rejects.toThrow('answered 401')
    expect(tokens.forms).toHaveLength(2)
  })
})

test.each<[string, unknown, RegExp | object]>([
  [
    'a URL and a token',
    { url: 'https://x.example/p', secret: 's' },
    { url: 'https://x.example/p', long: false, secret: 's' },
  ],
  [
    'a client with a key',
    {
      url: 'https://x.example/p',
      secret: '{}',
      token_url: 'https://x.example/t',
      client_id: 'w',
      long: true,
    },
    {
      long: true,
      client: { tokenUrl: 'https://x.example/t', clientId: 'w', authentication: 'private_key_jwt' },
    },
  ],
  ['text', 'https://x.example/p', /must be an object/],
  ['no URL', { secret: 's' }, /poll.url/],
  ['a URL with credentials', { url: 'https://u:p@x.example/p', secret: 's' }, /poll.url.*credentials/],
  ['a URL with a user', { url: 'https://u@x.example/p', secret: 's' }, /poll.url.*credentials/],
  ['a URL with a fragment', { url: 'https://x.example/p#s', secret: 's' }, /poll.url.*fragment/],
  [
    'a token URL with credentials',
    { url: 'https://x.example/p', secret: 's', client_id: 'w', token_url: 'https://u:p@x.example/t' },
    /poll.token_url.*credentials/,
  ],
  ['no secret', { url: 'https://x.example/p' }, /poll.secret/],
  ['an empty secret', { url: 'https://x.example/p', secret: '' }, /poll.secret/],
  ['an unknown member', { url: 'https://x.example/p', secret: 's', token: 't' }, /poll.token/],
  [
    'a client without a token URL',
    { url: 'https://x.example/p', secret: 's', client_id: 'w' },
    /poll.token_url/,
  ],
  [
    'a token URL without a client',
    { url: 'https://x.example/p', secret: 's', token_url: 'https://x.example/t' },
    /poll.client_id/,
  ],
  [
    'a client that proves itself in no known way',
    {
      url: 'https://x.example/p',
      secret: 's',
      token_url: 'https://x.example/t',
      client_id: 'w',
      authentication: 'none',
    },
    /poll.authentication/,
  ],
])('a stream file whose `poll` has %s', (_what, poll, expected) => {
  const parsed = parseStream({ issuer: TRANSMITTER, audience: RECEIVER, jwks: { keys: [{}] }, poll })
  if (expected instanceof RegExp) expect(!parsed.ok && parsed.failure).toMatch(expected)
  else expect(parsed.ok && parsed.value.source).toMatchObject(expected)
})
