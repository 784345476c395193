import { afterAll, beforeAll, expect, test } from 'vitest'
import { GATEWAY_KEY } from '../support/fake-decider.ts'
import { request } from '../support/raw-http.ts'
import { startListener, type WireListener } from '../support/wire-listener.ts'

const JSON_TYPE = ['content-type', 'application/json'] as const
const KEY = ['authorization', `Bearer ${GATEWAY_KEY}`] as const
const input = (path: string) => ({ request: { http: { method: 'GET', path, headers: {} } } })
const DATA = '/v1/data/warder/allow'

let listener: WireListener
beforeAll(async () => {
  listener = await startListener('decision')
})
afterAll(() => listener.listener.close(0))

async function ask(target: string, body: unknown, headers: readonly (readonly [string, string])[] = []) {
  const text = JSON.stringify(body)
  const answer = await request(listener.port, 'POST', target, [JSON_TYPE, ...headers], text)
  return { status: answer.status, body: JSON.parse(answer.body) as unknown }
}

test.each([
  ['a bearer key', DATA, [KEY], true],
  ['a key in the path', `/g/${GATEWAY_KEY}${DATA}`, [], true],
  ['any path of data', '/v1/data/a/b/c', [KEY], true],
  ['the older API', '/v0/data/a', [KEY], false],
  ['the root behind a key', `/g/${GATEWAY_KEY}/`, [], false],
] as const)('%s asks', async (_what, target, headers, isWrapped) => {
  for (const [path, allow] of [
    ['/x', true],
    ['/deny', false],
  ] as const) {
    const body = isWrapped ? { input: input(path) } : input(path)
    const answer = await ask(target, body, headers)
    expect(answer).toMatchObject({ status: 200, body: isWrapped ? { result: { allow } } : { allow } })
  }
})

test.each([
  ['no key', DATA, [], 401],
  ['a wrong key', '/g/wgk_unknown_unknown_unknown/v1/data/x', [], 401],
  ['a key in a header that a client could send', DATA, [['x-warder-gateway-key', GATEWAY_KEY]], 401],
  ['the root without a key before it', '/', [KEY], 404],
  ['data without a path', '/v1/data', [KEY], 404],
  ['the API of policies', '/v1/policies/x', [KEY], 404],
] as const)('%s is not answered with a result', async (_what, target, headers, status) => {
  const answer = await ask(target, { input: input('/x') }, headers)
  expect(answer.status).toBe(status)
  expect(JSON.stringify(answer.body)).not.toContain('"allow":true')
})

test('what can not be read is a deny with a boolean', async () => {
  const answer = await ask(DATA, { inptu: {} }, [KEY])
  expect(answer).toMatchObject({ status: 403, body: { result: { allow: false, status_code: 403 } } })
})

test.each(['GET', 'PUT', 'DELETE', 'PATCH'])('%s is no question', async (method) => {
  expect((await request(listener.port, method, DATA, [KEY])).status).toBe(405)
})
