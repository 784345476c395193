import { connect } from 'node:net'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { findGateway, GATEWAY_KEY } from '../support/fake-decider.ts'
import { parseAnswer } from '../support/raw-http.ts'
import { startListener } from '../support/wire-listener.ts'

test('a key that is revoked while its body comes in slowly is worth nothing', async () => {
  const key: { isRevoked: boolean } = { isRevoked: false }
  const pdp = await startListener('decision', {
    findGateway: (hash) => (key.isRevoked ? undefined : findGateway(hash)),
  })
  const socket = connect(pdp.port, '127.0.0.1')
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  socket.write(
    `POST /v1/decide HTTP/1.1\r\nHost: h\r\nConnection: close\r\nAuthorization: Bearer ${GATEWAY_KEY}\r\n` +
      'Content-Type: application/json\r\nContent-Length: 14\r\n\r\n{"tool"',
  )
  await wait(50)
  key.isRevoked = true
  socket.write(':"s/t"}')
  await new Promise((resolve) => socket.once('close', resolve))
  await pdp.listener.close(0)
  expect(parseAnswer(Buffer.concat(chunks).toString('latin1')).status).toBe(401)
  expect(pdp.decider.asked).toEqual([])
})
