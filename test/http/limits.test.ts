import { connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { DEFAULT_LIMITS } from '#http/port.ts'
import type { Decision } from '#model/decision.ts'
import { type FakeDecider, fakeDecider, GATEWAY_KEY } from '../support/fake-decider.ts'
import { exchange, header, parseAnswer, request } from '../support/raw-http.ts'
import { startListener, type WireListener } from '../support/wire-listener.ts'

const AUTH: readonly (readonly [string, string])[] = [
  ['authorization', `Bearer ${GATEWAY_KEY}`],
  ['content-type', 'application/json'],
]
const QUESTION = '{"tool":"s/t"}'
const HEAD = `POST /v1/decide HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${GATEWAY_KEY}\r\nContent-Type: application/json\r\n`

let open: WireListener[] = []
afterEach(async () => {
  await Promise.all(open.map(({ listener }) => listener.close(0)))
  open = []
})
async function start(...parts: Parameters<typeof startListener>): Promise<WireListener> {
  const started = await startListener(...parts)
  open.push(started)
  return started
}

/** A decider that answers when it is told to. */
function heldDecider(): FakeDecider & { readonly release: () => void } {
  const inner = fakeDecider()
  let release = (): void => undefined
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  const decide = async (...asked: Parameters<FakeDecider['decide']>): Promise<Decision> => {
    await gate
    return await inner.decide(...asked)
  }
  return { ...inner, decide, release: () => release() }
}

test('a body beyond the limit is refused, whether its length was announced or not', async () => {
  const { port, decider } = await start('decision', { limits: { ...DEFAULT_LIMITS, bodyBytesMax: 100 } })
  const announced = await request(port, 'POST', '/v1/decide', AUTH, 'x'.repeat(101))
  const chunked = parseAnswer(
    await exchange(port, `${HEAD}Transfer-Encoding: chunked\r\n\r\n65\r\n${'x'.repeat(101)}\r\n0\r\n\r\n`),
  )
  for (const answer of [announced, chunked]) {
    expect(answer.status).toBe(413)
    expect(JSON.parse(answer.body).error).toEqual({
      code: 'request.too_large',
      message: 'the body may have 100 bytes',
    })
    expect(header(answer, 'x-decision-id')).toBeDefined()
  }
  expect(decider.refused.map(({ code }) => code)).toEqual(['request.too_large', 'request.too_large'])
})

test('a body of exactly the limit is read', async () => {
  const limits = { ...DEFAULT_LIMITS, bodyBytesMax: QUESTION.length }
  const { port } = await start('decision', { limits })
  expect((await request(port, 'POST', '/v1/decide', AUTH, QUESTION)).status).toBe(200)
})

test('a client that is too slow with its headers or its body is cut off', async () => {
  const limits = { ...DEFAULT_LIMITS, headersTimeoutMilliseconds: 100, requestTimeoutMilliseconds: 200 }
  const { port, counts } = await start('decision', { limits })
  const answers = await Promise.all([
    exchange(port, 'POST /v1/decide HTTP/1.1\r\nHost: h\r\nX-Slow: '),
    exchange(port, `${HEAD}Content-Length: 100\r\n\r\n{"tool"`),
  ])
  for (const bytes of answers) expect(bytes.split('\r\n')[0]).toBe('HTTP/1.1 408 Request Timeout')
  expect(counts.get('client_error')).toBe(2)
  await expect.poll(() => counts.get('in_flight')).toBe(0)
})

test('headers beyond the limit are refused before anything is read', async () => {
  const { port } = await start('decision', { limits: { ...DEFAULT_LIMITS, headerBytesMax: 1_024 } })
  const answer = await request(port, 'POST', '/v1/decide', [...AUTH, ['x-long', 'x'.repeat(2_000)]], QUESTION)
  expect(answer.status).toBe(431)
})

test('a second Authorization behind thousands of other headers is still seen', async () => {
  const { port } = await start('decision', { limits: { ...DEFAULT_LIMITS, headerBytesMax: 65_536 } })
  const filler = Array.from({ length: 2_500 }, (_, i): readonly [string, string] => [`x${i}`, ''])
  const call = [
    ['x-forwarded-method', 'GET'],
    ['x-forwarded-uri', '/'],
    ['authorization', 'Bearer a'],
  ] as const
  const headers = [...call, ...filler, ['authorization', 'Bearer b']] as const
  const answer = await request(port, 'GET', `/g/${GATEWAY_KEY}/forward-auth`, headers)
  expect([answer.status, header(answer, 'x-warder-reason')]).toEqual([403, 'request.header_conflict'])
})

test.each([
  ['decision', '/v1/decide', QUESTION, 503],
  ['ext-authz', `/g/${GATEWAY_KEY}/x`, '', 403],
] as const)(
  'too many requests in flight are refused at once on the %s listener',
  async (kind, target, body, status) => {
    const decider = heldDecider()
    const { port, counts } = await start(kind, {
      decider,
      limits: { ...DEFAULT_LIMITS, requestsInFlightMax: 1 },
    })
    const first = request(port, 'POST', target, AUTH, body)
    while (counts.get('in_flight') !== 1) await wait(5)
    const second = await request(port, 'POST', target, AUTH, body)
    expect([second.status, JSON.parse(second.body).error.code]).toEqual([status, 'http.overloaded'])
    decider.release()
    expect((await first).status).toBe(200)
    expect([counts.get('overloaded'), counts.get('in_flight')]).toEqual([1, 0])
  },
)

test('one gateway takes at most half of the room', async () => {
  const decider = heldDecider()
  const { port, counts } = await start('decision', {
    decider,
    limits: { ...DEFAULT_LIMITS, requestsInFlightMax: 4 },
  })
  const held = [1, 2].map(() => request(port, 'POST', '/v1/decide', AUTH, QUESTION))
  while (counts.get('in_flight') !== 2) await wait(5)
  const third = await request(port, 'POST', '/v1/decide', AUTH, QUESTION)
  expect([third.status, JSON.parse(third.body).error.code]).toEqual([503, 'http.overloaded'])
  decider.release()
  for (const answer of await Promise.all(held)) expect(answer.status).toBe(200)
  expect((await request(port, 'POST', '/v1/decide', AUTH, QUESTION)).status).toBe(200)
})

test('stopping lets the answer in flight finish, tells the client to go, and accepts nobody new', async () => {
  const decider = heldDecider()
  const { port, listener, counts } = await start('decision', { decider })
  const first = exchange(port, `${HEAD}Content-Length: ${QUESTION.length}\r\n\r\n${QUESTION}`)
  while (counts.get('in_flight') !== 1) await wait(5)
  const closed = listener.close(5_000)
  await expect(
    new Promise((resolve, reject) => {
      connect(port, '127.0.0.1').on('connect', resolve).on('error', reject)
    }),
  ).rejects.toThrow('ECONNREFUSED')
  decider.release()
  const answer = parseAnswer(await first)
  expect([answer.status, header(answer, 'connection')]).toEqual([200, 'close'])
  await closed
})

test('stopping cuts what does not finish in time', async () => {
  const { port, listener, counts } = await start('decision', { decider: heldDecider() })
  const first = exchange(port, `${HEAD}Content-Length: ${QUESTION.length}\r\n\r\n${QUESTION}`)
  while (counts.get('in_flight') !== 1) await wait(5)
  await listener.close(50)
  expect(await first).toBe('')
})

test('a decider that breaks its promise still ends in a deny', async () => {
  const broken: FakeDecider = { ...fakeDecider(), decide: () => Promise.reject(new Error('secret detail')) }
  const decision = await start('decision', { decider: broken })
  const envoy = await start('ext-authz', { decider: broken })
  const native = await request(decision.port, 'POST', '/v1/decide', AUTH, QUESTION)
  const status = await request(envoy.port, 'GET', `/g/${GATEWAY_KEY}/x`)
  expect([native.status, status.status]).toEqual([500, 403])
  expect(JSON.parse(native.body)).toMatchObject({ decision: 'deny', error: { code: 'internal.fault' } })
  expect(native.bytes + status.bytes).not.toContain('secret')
  expect(decision.counts.get('fault')).toBe(1)
})

test('a connection is kept for the next request', async () => {
  const { port } = await start('decision')
  const one = `${HEAD}Content-Length: ${QUESTION.length}\r\n\r\n${QUESTION}`
  const missing = 'GET /x HTTP/1.1\r\nHost: h\r\n\r\n'
  const last = one.replace('Host: h', 'Host: h\r\nConnection: close')
  const bytes = await exchange(port, `${missing}${one}${last}`)
  expect(bytes.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 404', 'HTTP/1.1 200', 'HTTP/1.1 200'])
})
