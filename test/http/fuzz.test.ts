import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { DEFAULT_LIMITS } from '#http/port.ts'
import { createTransmitter } from '#signals/transmitter.ts'
import { createOutgoingStreams } from '#store/outgoing.ts'
import { PUBLIC_URL, sealing, withReceiver } from '../signals/receivers.ts'
import { openTestDatabase, type TestDatabase } from '../support/database.ts'
import { GATEWAY_KEY } from '../support/fake-decider.ts'
import { exchange, parseAnswer, request } from '../support/raw-http.ts'
import { startListener, type WireListener } from '../support/wire-listener.ts'

const LIMITS = {
  ...DEFAULT_LIMITS,
  bodyBytesMax: 4_096,
  headersTimeoutMilliseconds: 300,
  requestTimeoutMilliseconds: 600,
}
// What a test of the whole wire may use up at one time; each run opens its own connection.
const RUNS = 300
/** Nothing waits for it but what hangs, and what does would take as long on an idle machine. */
const HANGS_MILLISECONDS = 15_000

let db: TestDatabase
/** A receiver with a stream. */
let receiver: Awaited<ReturnType<typeof withReceiver>>
let decision: WireListener
let envoy: WireListener
beforeAll(async () => {
  db = await openTestDatabase()
  receiver = await withReceiver(db)
  await db.owner`update signal_receivers set stream = ${STREAM}::text::uuid`
  const store = createOutgoingStreams(db, () => Promise.resolve(sealing))
  const transmitter = createTransmitter({
    publicUrl: PUBLIC_URL,
    store,
    sign: () => Promise.resolve('a.b.c'),
  })
  decision = await startListener('decision', { limits: LIMITS, publicUrl: PUBLIC_URL, transmitter })
  envoy = await startListener('ext-authz', { limits: LIMITS })
})
afterAll(async () => {
  await Promise.all([decision, envoy].map(({ listener }) => listener.close(0)))
  await db.close()
})

const STREAM = '00000000-0000-4000-8000-000000000001'

const method = fc.constantFrom(
  'GET',
  'POST',
  'PUT',
  'HEAD',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'TRACE',
  'PROPFIND',
  'NONSENSE',
  'get',
)
const route = fc.constantFrom(
  '/v1/decide',
  '/v1/decide/batch',
  '/access/v1/evaluation',
  '/access/v1/evaluations',
  '/access/v1/search/subject',
  '/access/v1/search/resource',
  '/access/v1/search/action',
  '/forward-auth',
  '/openapi.json',
  '/.well-known/authzen-configuration',
  '/.well-known/ssf-configuration/tenants/acme',
  '/v1/ssf/stream',
  `/v1/ssf/stream?stream_id=${STREAM}`,
  '/v1/ssf/status',
  `/v1/ssf/status?stream_id=${STREAM}`,
  '/v1/ssf/verify',
  `/v1/ssf/poll/${STREAM}`,
)
const printable = fc.string({ unit: fc.constantFrom(...'/..%2e%5c\\;?#&=abc{}"\u00e9'), maxLength: 20 })
const target = fc.oneof(
  route,
  fc
    .tuple(fc.constantFrom(`/g/${GATEWAY_KEY}`, '/g/wrong', '/g/', ''), fc.oneof(route, printable))
    .map((parts) => parts.join('')),
)
const headerName = fc.constantFrom(
  'Authorization',
  'X-Warder-Gateway-Key',
  'X-Warder-User',
  'X_Warder_User',
  'X-Forwarded-Method',
  'X-Forwarded-Uri',
  'X-Original-URI',
  'X-Request-ID',
  'Content-Type',
  'Content-Encoding',
  'Expect',
  'Upgrade',
  'traceparent',
)
const headerValue = fc.oneof(
  fc.constantFrom(
    `Bearer ${GATEWAY_KEY}`,
    GATEWAY_KEY,
    'application/json',
    'GET',
    '/todos',
    '/a/../b',
    '100-continue',
    'gzip',
    '',
  ),
  fc.string({ unit: fc.constantFrom(...'abc ,;=\t\u00ff'), maxLength: 12 }),
)
const headers = fc.array(fc.tuple(headerName, headerValue), { maxLength: 8 })
const body = fc.oneof(
  fc.json({ maxDepth: 4 }),
  fc.constantFrom(
    '{"tool":"s/t"}',
    '{"requests":[{}]}',
    '{"evaluations":[{}]}',
    '{"subject":{"type":"user"},"action":{"name":"a"},"resource":{"type":"r","id":"1"},"page":{"token":"x"}}',
    '[',
    '{"a":1,"a":2}',
    '['.repeat(1_000),
    'x'.repeat(5_000),
  ),
  fc.uint8Array({ maxLength: 200 }),
)
const shaped = { method, target, headers, body, cut: fc.option(fc.nat({ max: 400 }), { nil: undefined }) }

function bytesOf({
  method: verb,
  target: path,
  headers: list,
  body: content,
}: {
  method: string
  target: string
  headers: [string, string][]
  body: string | Uint8Array
}): Buffer {
  const payload = Buffer.from(content)
  const lines = [
    `${verb} ${path} HTTP/1.1`,
    'Host: h',
    'Connection: close',
    `Content-Length: ${payload.length}`,
  ]
  for (const [name, value] of list) lines.push(`${name}: ${value}`)
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), payload])
}

async function isHealthy(): Promise<boolean> {
  const auth = [
    ['authorization', `Bearer ${GATEWAY_KEY}`],
    ['content-type', 'application/json'],
  ] as const
  const native = await request(decision.port, 'POST', '/v1/decide', auth, '{"tool":"s/t"}')
  const status = await request(envoy.port, 'GET', `/g/${GATEWAY_KEY}/x`)
  return native.status === 200 && status.status === 200
}

test.each(['decision', 'envoy'] as const)(
  'no request makes the %s listener answer 5xx, crash, hang or keep a request',
  async (name) => {
    const { port, counts } = name === 'decision' ? decision : envoy
    await fc.assert(
      fc.asyncProperty(fc.record(shaped), async ({ cut, ...parts }) => {
        const started = performance.now()
        const ends = cut === undefined ? 'never' : 'with the request'
        const bytes = await exchange(port, bytesOf(parts).subarray(0, cut), HANGS_MILLISECONDS, ends)
        expect(performance.now() - started).toBeLessThan(HANGS_MILLISECONDS)
        const { status } = parseAnswer(bytes)
        expect(status === 0 || (status >= 200 && status < 500)).toBe(true)
      }),
      { numRuns: RUNS, interruptAfterTimeLimit: 20_000 },
    )
    expect(counts.get('fault')).toBeUndefined()
    expect(counts.get('in_flight') ?? 0).toBe(0)
    expect(await isHealthy()).toBe(true)
  },
)

const word = fc.constantFrom(
  ...['stream_id', 'status', 'reason', 'state', 'delivery', 'method', 'endpoint_url', 'authorization_header'],
  ...[
    'events_requested',
    'description',
    'maxEvents',
    'ack',
    'setErrs',
    'err',
    'paused',
    'enabled',
    'disabled',
  ],
  ...['urn:ietf:rfc:8935', 'urn:ietf:rfc:8936', 'https://r.example/e', STREAM],
)
const { value: told } = fc.letrec((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.oneof(
      word,
      fc.string({ maxLength: 8 }),
      fc.integer(),
      fc.constantFrom(null, true, -0.5, '\u0000', '\ud800'),
    ),
    fc.array(tie('value'), { maxLength: 3 }),
    fc.dictionary(word, tie('value'), { maxKeys: 4 }),
  ),
}))

test('nothing that a receiver says makes the listener answer 5xx, nor revocations fail', async () => {
  const paths = ['/v1/ssf/stream', '/v1/ssf/status', '/v1/ssf/verify', `/v1/ssf/poll/${STREAM}`]
  const methods = ['GET', 'POST', 'POST', 'PUT', 'PATCH', 'DELETE']
  const asked = fc.record({
    verb: fc.constantFrom(...methods),
    path: fc.constantFrom(
      ...paths,
      `/v1/ssf/stream?stream_id=${STREAM}`,
      `/v1/ssf/status?stream_id=${STREAM}`,
    ),
    said: fc.dictionary(word, told, { maxKeys: 5 }),
    owns: fc.boolean(),
  })
  const auth = [
    ['authorization', `Bearer ${receiver.key}`],
    ['content-type', 'application/json'],
  ] as const
  await fc.assert(
    fc.asyncProperty(asked, async ({ verb, path, said, owns }) => {
      // A poll that waits would be no fault, and take its time.
      const text = JSON.stringify({ ...said, ...(owns && { stream_id: STREAM }), returnImmediately: true })
      const { status } = await request(decision.port, verb, path, auth, verb === 'GET' ? '' : text)
      expect(status >= 200 && status < 500).toBe(true)
      await db.owner`update signal_receivers set stream = ${STREAM}::text::uuid`
    }),
    { numRuns: 200, interruptAfterTimeLimit: 20_000 },
  )
  expect(await receiver.revoke('bot')).toBeDefined()
  expect(decision.counts.get('fault')).toBeUndefined()
})

test('bytes that are no HTTP at all do not hurt either', async () => {
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ minLength: 1, maxLength: 200 }), async (noise) => {
      const { status } = parseAnswer(
        await exchange(decision.port, noise, HANGS_MILLISECONDS, 'with the request'),
      )
      expect([0, 400, 408, 431]).toContain(status)
    }),
    { numRuns: 100, interruptAfterTimeLimit: 10_000 },
  )
  expect(await isHealthy()).toBe(true)
})

test('without a valid key nothing but public documents is ever answered with 2xx', async () => {
  const withoutKey = fc.record({
    ...shaped,
    target: fc.oneof(
      route,
      printable.map((path) => `/${path}`),
    ),
  })
  await fc.assert(
    fc.asyncProperty(withoutKey, async ({ cut: _cut, ...parts }) => {
      const isKeyed = parts.headers.some(([, value]) => value.includes(GATEWAY_KEY))
      const isDocument = parts.target === '/openapi.json' || parts.target.startsWith('/.well-known/')
      fc.pre(!isKeyed && !isDocument)
      const { status } = parseAnswer(await exchange(decision.port, bytesOf(parts), HANGS_MILLISECONDS))
      expect(status).toBeGreaterThanOrEqual(400)
    }),
    { numRuns: 150, interruptAfterTimeLimit: 10_000 },
  )
})
