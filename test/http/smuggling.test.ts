import { afterAll, beforeAll, expect, test } from 'vitest'
import { GATEWAY_KEY } from '../support/fake-decider.ts'
import { exchange, parseAnswer } from '../support/raw-http.ts'
import { startListener, type WireListener } from '../support/wire-listener.ts'

const HEAD = `POST /v1/decide HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${GATEWAY_KEY}\r\nContent-Type: application/json\r\n`

let decision: WireListener
beforeAll(async () => {
  decision = await startListener('decision')
})
afterAll(() => decision.listener.close(0))

test.each([
  ['two framings', 'Content-Length: 14\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nPOST /v1/decide'],
  ['two lengths', 'Content-Length: 14\r\nContent-Length: 2\r\n\r\n{"tool":"s/t"}'],
  ['a length with a sign', 'Content-Length: +14\r\n\r\n{"tool":"s/t"}'],
  ['an unknown transfer coding', 'Transfer-Encoding: xchunked\r\n\r\n{"tool":"s/t"}'],
  ['a blank before the colon', 'Content-Length : 14\r\n\r\n{"tool":"s/t"}'],
  ['a folded header', 'X-A: b\r\n c\r\nContent-Length: 14\r\n\r\n{"tool":"s/t"}'],
  ['a bare line feed', 'X-A: b\nX-B: c\r\nContent-Length: 14\r\n\r\n{"tool":"s/t"}'],
  ['a NUL in a header', 'X-A: b\u0000c\r\nContent-Length: 14\r\n\r\n{"tool":"s/t"}'],
  ['a broken chunk', 'Transfer-Encoding: chunked\r\n\r\nzz\r\n{"tool":"s/t"}\r\n0\r\n\r\n'],
])('a request that two servers could frame differently decides nothing: %s', async (_name, rest) => {
  const asked = decision.decider.asked.length
  const bytes = await exchange(decision.port, HEAD + rest, undefined, 'with the request')
  expect(parseAnswer(bytes).status).toBe(400)
  expect(decision.decider.asked.length).toBe(asked)
})

test('a body that ends before its announced length decides nothing', async () => {
  const asked = decision.decider.asked.length
  await exchange(
    decision.port,
    `${HEAD}Content-Length: 200\r\n\r\n{"tool":"s/t"}`,
    undefined,
    'with the request',
  )
  expect(decision.decider.asked.length).toBe(asked)
  await expect.poll(() => decision.counts.get('in_flight') ?? 0).toBe(0)
})
