import { type ClientHttp2Session, connect } from 'node:http2'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { DEFAULT_LIMITS } from '#http/port.ts'
import { checkRequest, type EnvoyClient, envoyClient } from '../support/envoy-client.ts'
import { GATEWAY_KEY } from '../support/fake-decider.ts'
import { startListener, type WireListener } from '../support/wire-listener.ts'

const CALL = {
  ':method': 'POST',
  ':path': '/envoy.service.auth.v3.Authorization/Check',
  'content-type': 'application/grpc',
  te: 'trailers',
}
let envoy: WireListener
let client: EnvoyClient
let attacker: ClientHttp2Session
beforeAll(async () => {
  envoy = await startListener('ext-authz', {
    // Room for two calls whose key is in their message.
    limits: {
      ...DEFAULT_LIMITS,
      requestsInFlightMax: 8,
      requestTimeoutMilliseconds: 200,
      headersTimeoutMilliseconds: 200,
    },
  })
  client = envoyClient(envoy.port)
  attacker = connect(`http://127.0.0.1:${envoy.port}`)
  attacker.on('error', () => undefined)
})
afterAll(async () => {
  attacker.destroy()
  client.close()
  await envoy.listener.close(0)
})

test('calls that never end their message do not keep the room of those who have one', async () => {
  const ended = [1, 2].map(
    () =>
      new Promise<void>((resolve) => {
        // No end of the stream, ever: neither a message nor a reset.
        const stream = attacker.request(CALL, { endStream: false })
        stream.on('error', () => undefined)
        stream.on('response', () => resolve())
        stream.resume()
      }),
  )
  await Promise.all(ended)
  const request = checkRequest(
    { path: '/x' },
    { context_extensions: { 'x-warder-gateway-key': GATEWAY_KEY } },
  )
  await expect
    .poll(async () => (await client.check(request)).message?.ok_response !== undefined, { timeout: 3_000 })
    .toBe(true)
})
