import { afterAll, beforeAll, expect, test } from 'vitest'
import { DEFAULT_LIMITS } from '#http/port.ts'
import { checkRequest, type EnvoyClient, envoyClient } from '../support/envoy-client.ts'
import { fakeDecider, GATEWAY_KEY, obligation } from '../support/fake-decider.ts'
import { request } from '../support/raw-http.ts'
import { startListener, type WireListener } from '../support/wire-listener.ts'

const KEY = { 'x-warder-gateway-key': GATEWAY_KEY }
let envoy: WireListener
let client: EnvoyClient
beforeAll(async () => {
  envoy = await startListener('ext-authz', {
    decider: fakeDecider(({ route }) =>
      route?.path === '/obliged'
        ? {
            identity: { agent: 'a', user: 'u' },
            upstreamHeaders: ['x-team', 'x-other'],
            proofNonce: 'nonce-1',
            obligations: [
              obligation('set_header', { name: 'X-Team', value: 'blue' }),
              obligation('strip_authorization', {}),
            ],
          }
        : {},
    ),
  })
  client = envoyClient(envoy.port)
})
afterAll(async () => {
  client.close()
  await envoy.listener.close(0)
})

test('an allow sets, overwrites and removes what Envoy is told, as genuine protocol files read it', async () => {
  const reply = await client.check(checkRequest({ path: '/obliged?x=1', method: 'PUT' }), KEY)
  expect(reply).toMatchObject({ code: 0, message: { ok_response: {}, dynamic_metadata: {} } })
  expect(reply.message?.status?.code ?? 0).toBe(0)
  const ok = reply.message?.ok_response
  const headers = Object.fromEntries((ok?.headers ?? []).map(({ header }) => [header.key, header.value]))
  expect(headers).toMatchObject({
    'x-team': 'blue',
    'x-warder-agent': 'a',
    'x-warder-user': 'u',
    'x-warder-tenant': 'acme',
    'x-warder-authorization': 'strip',
    'x-decision-id': expect.stringMatching(/^[0-9a-f-]{36}$/),
  })
  // 2 is OVERWRITE_IF_EXISTS_OR_ADD; with 0, the default, a client's forged value would come first.
  const written = [...(ok?.headers ?? []), ...(ok?.response_headers_to_add ?? [])]
  expect(new Set(written.map(({ append_action: action }) => action))).toEqual(new Set([2]))
  expect(ok?.headers_to_remove.toSorted()).toEqual([
    'authorization',
    'x-other',
    'x-warder-gateway-key',
    'x-warder-subject',
  ])
  const toClient = (ok?.response_headers_to_add ?? []).map(({ header }) => header.key)
  expect(toClient.toSorted()).toEqual(['dpop-nonce', 'x-decision-id'])
  expect(headers).not.toHaveProperty('dpop-nonce')
  expect(Object.keys(reply.message?.dynamic_metadata?.fields ?? {}).toSorted()).toEqual([
    'decision_id',
    'obligations',
    'reason',
  ])
})

test('a deny has a status, a body and metadata', async () => {
  const { code, message } = await client.check(checkRequest({ path: '/deny' }), KEY)
  expect(code).toBe(0)
  expect(message?.status).toMatchObject({ code: 7, message: 'policy.forbid' })
  expect(message?.denied_response?.status.code).toBe(403)
  expect(JSON.parse(message?.denied_response?.body ?? '')).toMatchObject({ decision: 'deny' })
  expect(message?.dynamic_metadata?.fields).toHaveProperty('decision_id')
  expect(message?.ok_response ?? undefined).toBeUndefined()
})

test('HTTP/1.1 and gRPC share the port', async () => {
  expect((await request(envoy.port, 'GET', '/x', [['x-warder-gateway-key', GATEWAY_KEY]])).status).toBe(200)
  expect((await client.check(checkRequest({ path: '/x' }), KEY)).message?.ok_response).toBeDefined()
})

test('a gateway that proves nothing gets an error, never a message', async () => {
  const { code, message } = await client.check(checkRequest({ path: '/x' }), {})
  expect([code, message]).toEqual([16, undefined])
})

test('the key may be in what only the configuration writes', async () => {
  const { message } = await client.check(checkRequest({ path: '/x' }, { context_extensions: KEY }))
  expect(message?.ok_response).toBeDefined()
})

test.each([
  ['in the headers of the client', {}, { headers: KEY }, {}],
  ['in metadata, but wrong', { 'x-warder-gateway-key': 'wgk_unknown_unknown_unknown' }, {}, KEY],
  ['in the configuration, but wrong', KEY, {}, { 'x-warder-gateway-key': 'wgk_unknown_unknown' }],
])('a key %s proves nothing', async (_where, metadata, http, context) => {
  const { code } = await client.check(checkRequest(http, { context_extensions: context }), metadata)
  expect(code).toBe(16)
})

test('a deadline that passes ends in an error', async () => {
  const slow = await startListener('ext-authz', {
    decider: { ...fakeDecider(), decide: () => new Promise(() => undefined) },
  })
  const other = envoyClient(slow.port)
  expect((await other.check(checkRequest({}), KEY, 100)).code).toBe(4)
  other.close()
  await slow.listener.close(0)
})

test('a message over the limit is a deny', async () => {
  const small = await startListener('ext-authz', { limits: { ...DEFAULT_LIMITS, bodyBytesMax: 500 } })
  const other = envoyClient(small.port)
  const { message } = await other.check(checkRequest({ raw_body: Buffer.alloc(5_000) }), KEY)
  expect(message?.status).toMatchObject({ code: 7, message: 'request.too_large' })
  other.close()
  await small.listener.close(0)
})

test('a fault of ours is a deny, never an empty message', async () => {
  const broken = await startListener('ext-authz', {
    decider: { ...fakeDecider(), decide: () => Promise.reject(new Error('boom')) },
  })
  const other = envoyClient(broken.port)
  const { message } = await other.check(checkRequest({}), KEY)
  expect(message?.status).toMatchObject({ code: 7, message: 'internal.fault' })
  other.close()
  await broken.listener.close(0)
})

test('without room the answer is a deny', async () => {
  const full = await startListener('ext-authz', { limits: { ...DEFAULT_LIMITS, requestsInFlightMax: 0 } })
  const other = envoyClient(full.port)
  const { message } = await other.check(checkRequest({}), KEY)
  expect(message?.status).toMatchObject({ code: 7, message: 'http.overloaded' })
  other.close()
  await full.listener.close(0)
})
