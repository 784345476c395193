import { afterAll, beforeAll, expect, test } from 'vitest'
import { GATEWAY_KEY } from '../support/fake-decider.ts'
import { header, request } from '../support/raw-http.ts'
import { startListener, type WireListener } from '../support/wire-listener.ts'

const OWN = ['x-warder-gateway-key', GATEWAY_KEY] as const
let envoy: WireListener
beforeAll(async () => {
  envoy = await startListener('ext-authz')
})
afterAll(() => envoy.listener.close(0))

test.each([
  ['a key in the path', `/g/${GATEWAY_KEY}/todos/7?x=/../y`, [], '/todos/7'],
  ['a key in the path alone', `/g/${GATEWAY_KEY}`, [], '/'],
  ['a key in the header', '/todos/7', [OWN], '/todos/7'],
  ['a key in the header and a path that looks like one', '/g/something/admin', [OWN], '/g/something/admin'],
] as const)('%s: the rest of the path is the original one', async (_name, target, headers, path) => {
  const answer = await request(envoy.port, 'PATCH', target, headers)
  expect(answer.status).toBe(200)
  expect(envoy.decider.asked.at(-1)?.route).toMatchObject({ method: 'PATCH', path })
})

test.each([
  ['no path but a check is served', '/openapi.json', [], 401],
  ['health of another listener can not be climbed to', `/g/${GATEWAY_KEY}/../../livez`, [], 403],
  ['nor in its encoded form', `/g/${GATEWAY_KEY}/%2e%2e/livez`, [], 403],
  ['an unknown key', '/g/wgk_unknown_unknown_unknown/x', [], 401],
  ["another gateway's key beside the path's", `/g/${'wgk_'.padEnd(47, 'x')}/x`, [OWN], 401],
  ['the same key in path and header', `/g/${GATEWAY_KEY}/x`, [OWN], 401],
  ['a partial body', '/x', [OWN, ['x-envoy-auth-partial-body', 'true']], 403],
  ['a forged identity header under an alias', '/x', [OWN, ['x_warder_agent', 'root']], 403],
  ['two credentials', '/x', [OWN, ['authorization', 'Bearer a'], ['authorization', 'Bearer b']], 403],
] as const)('must not be 200: %s', async (_name, target, headers, status) => {
  expect((await request(envoy.port, 'GET', target, headers)).status).toBe(status)
})

test('the body of a GET is read, and a chunked one too', async () => {
  const encoded = [OWN, ['content-encoding', 'gzip']] as const
  const withBody = await request(envoy.port, 'GET', '/x', encoded, 'abc')
  const chunked = await request(
    envoy.port,
    'GET',
    '/x',
    [...encoded, ['transfer-encoding', 'chunked']],
    '3\r\nabc\r\n0\r\n\r\n',
  )
  for (const answer of [withBody, chunked]) {
    expect([answer.status, header(answer, 'x-warder-reason')]).toEqual([403, 'request.unsupported_encoding'])
  }
})

test('an upgrade is checked like any other request', async () => {
  const upgrade = [OWN, ['connection', 'Upgrade, close'], ['upgrade', 'websocket']] as const
  expect((await request(envoy.port, 'GET', '/deny', upgrade)).status).toBe(403)
  expect((await request(envoy.port, 'GET', '/socket', upgrade)).status).toBe(200)
})
