import { afterAll, beforeAll, expect, test } from 'vitest'
import { GATEWAY_KEY } from '../support/fake-decider.ts'
import { header, request } from '../support/raw-http.ts'
import { startListener, type WireListener } from '../support/wire-listener.ts'

const KEY = ['authorization', `Bearer ${GATEWAY_KEY}`] as const
const JSON_TYPE = ['content-type', 'application/json'] as const
const QUESTION = '{"tool":"s/t"}'
const EVALUATION =
  '{"subject":{"type":"user","id":"alice"},"action":{"name":"read"},"resource":{"type":"record","id":"r"}}'

let decision: WireListener
beforeAll(async () => {
  decision = await startListener('decision', { publicUrl: 'https://authz.acme.test/' })
})
afterAll(() => decision.listener.close(0))

test.each([
  ['/v1/decide', QUESTION],
  ['/v1/decide?x=1', QUESTION],
  ['/v1/explain', QUESTION],
  ['/v1/decide/batch', `{"requests":[${QUESTION}]}`],
  ['/access/v1/evaluation', EVALUATION],
  ['/access/v1/evaluations', `{"evaluations":[${EVALUATION}]}`],
  ['/access/v1/search/subject', EVALUATION],
  ['/access/v1/search/resource', EVALUATION],
  ['/access/v1/search/action', EVALUATION],
])('%s takes the key as a bearer token and in the path', async (target, body) => {
  const bearer = await request(decision.port, 'POST', target, [KEY, JSON_TYPE], body)
  const path = await request(decision.port, 'POST', `/g/${GATEWAY_KEY}${target}`, [JSON_TYPE], body)
  expect([bearer.status, path.status]).toEqual([200, 200])
  expect(header(bearer, 'x-decision-id')).toMatch(/^[0-9a-f-]{36}$/)
})

test.each([
  ['GET', '/openapi.json', 200],
  ['HEAD', '/openapi.json', 200],
  ['POST', '/openapi.json', 405],
  ['GET', '/.well-known/authzen-configuration', 200],
  ['GET', '/v1/../openapi.json', 404],
  ['GET', '/%6fpenapi.json', 404],
  ['GET', `/g/${GATEWAY_KEY}/openapi.json`, 404],
  ['GET', `/g/${GATEWAY_KEY}/../openapi.json`, 404],
  ['GET', `/g/${GATEWAY_KEY}/forward-auth/../openapi.json`, 404],
  ['GET', `/g/${GATEWAY_KEY}/forward-auth/`, 404],
  ['POST', '/V1/decide', 404],
  ['POST', '/v1/decide/', 404],
  ['GET', '/livez', 404],
  ['GET', '/', 404],
])('%s %s is %i: paths are matched byte for byte', async (method, target, status) => {
  const answer = await request(decision.port, method, target, [['x-request-id', 'r-9']])
  expect([answer.status, header(answer, 'x-request-id')]).toEqual([status, 'r-9'])
})

test.each([
  ['printable', 'r-1', 'r-1'],
  ['too long', 'r'.repeat(129), undefined],
  ['blank inside', 'a b', undefined],
  ['not ASCII', 'r\u00e9', undefined],
])(
  'an X-Request-ID that is %s is echoed only when it is safe, errors included',
  async (_name, id, echoed) => {
    for (const headers of [[KEY, JSON_TYPE], [JSON_TYPE]] as const) {
      const answer = await request(
        decision.port,
        'POST',
        '/v1/decide',
        [...headers, ['x-request-id', id]],
        '{',
      )
      expect([answer.status >= 400, header(answer, 'x-request-id')]).toEqual([true, echoed])
    }
  },
)

test('an explained allow is not what an allow looks like, in body and headers', async () => {
  const ask = (target: string) => request(decision.port, 'POST', target, [KEY, JSON_TYPE], QUESTION)
  const [decided, explained] = [await ask('/v1/decide'), await ask('/v1/explain')]
  expect(JSON.parse(decided.body).decision).toBe('allow')
  expect(header(decided, 'x-warder-revocation-epoch')).toBeDefined()
  expect(JSON.parse(explained.body).decision).toMatchObject({ effect: 'allow' })
  expect(header(explained, 'x-warder-revocation-epoch')).toBeUndefined()
  expect(explained.body).not.toMatch(/obligations|expires_at|revocation_epoch/)
})

test('every item of a batch has its decision id in the header, in order, broken ones too', async () => {
  const before = decision.decider.refused.length
  const body = `{"requests":[${QUESTION},{},${QUESTION}]}`
  const answer = await request(decision.port, 'POST', '/v1/decide/batch', [KEY, JSON_TYPE], body)
  const ids = header(answer, 'x-decision-id')?.split(', ') ?? []
  const { decisions } = JSON.parse(answer.body)
  expect(ids).toHaveLength(3)
  expect([decisions[0].decision_id, decisions[2].decision_id]).toEqual([ids[0], ids[2]])
  expect(decision.decider.refused.length).toBe(before + 1)
})

test('a short-circuited batch decides nothing behind the item that stopped it', async () => {
  const before = decision.decider.asked.length
  const options = '"options":{"evaluations_semantic":"deny_on_first_deny"}'
  const deny = EVALUATION.replace('read', 'deny')
  const body = `{"evaluations":[${EVALUATION},${deny},${EVALUATION}],${options}}`
  const answer = await request(decision.port, 'POST', '/access/v1/evaluations', [KEY, JSON_TYPE], body)
  expect(JSON.parse(answer.body)).toEqual({ evaluations: [{ decision: true }, { decision: false }] })
  expect(decision.decider.asked.length).toBe(before + 2)
})

test('the same AuthZEN request gets the same body again', async () => {
  const body = `{"evaluations":[${EVALUATION},{}]}`
  const ask = () => request(decision.port, 'POST', '/access/v1/evaluations', [KEY, JSON_TYPE], body)
  expect((await ask()).body).toBe((await ask()).body)
})

test('an address that is taken is an error, not silence', async () => {
  await expect(decision.listener.listen('127.0.0.1', decision.port)).rejects.toThrow()
})
