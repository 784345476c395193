import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { rpc } from './bypasses.ts'
import { envoyStarter } from './gateway-process.ts'
import { openScene, type Scene } from './scene.ts'

// What `allow_partial_message` sends is the beginning of the body; what is cut off would reach the API unseen.
describe.each([
  ['over gRPC', 'envoy-grpc.yaml', '1000000'],
  ['over HTTP', 'mcp.yaml', '1048576'],
])('Envoy %s that sends parts of bodies', (_how, config, bytes) => {
  let scene: Scene | undefined
  beforeAll(async () => {
    const partly = [
      ['allow_partial_message: false', 'allow_partial_message: true'],
      [`max_request_bytes: ${bytes}`, 'max_request_bytes: 200'],
    ] as const
    scene = await openScene(envoyStarter(inject('envoy'), config, partly))
  })
  afterAll(async () => await scene?.close())

  test.each([
    ['a body that was cut denies', 'x'.repeat(500), 403],
    ['a body that was not cut is read', '', 200],
  ])('%s', async (_what, padding, status) => {
    const body = rpc('read_file', padding)
    // node:http frames the body of a GET only when it is told to.
    const headers = { 'content-type': 'application/json', 'content-length': body.length }
    scene?.upstream.forget()
    const answer = await scene?.ask('triage-bot', 'alice', { path: '/repos', headers, body })
    expect(answer?.status).toBe(status)
    if (status === 403) expect(answer?.body).toContain('request.too_large')
    if (status === 200) expect(scene?.upstream.last().headers['content-length']).toBe(String(body.length))
    expect(scene?.upstream.received.length).toBe(status === 200 ? 1 : 0)
  })
})
