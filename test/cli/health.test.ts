import { writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { join } from 'node:path'
import { afterAll, afterEach, expect, test } from 'vitest'
import { newAuthority } from '../support/certificates.ts'
import { runner, temporaryFolder } from './harness.ts'

const folder = temporaryFolder()
const run = runner(folder.path)
const servers: Server[] = []

afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve))
})

afterAll(() => folder.remove())

/** Something that answers every request like this; gives the setting that leads there. */
async function answering(
  status: number,
  body: string,
  tls?: { readonly cert: string; readonly key: string },
): Promise<{ readonly WARDER_ADMIN_LISTEN: string }> {
  const listener: RequestListener = (_incoming, outgoing) => outgoing.writeHead(status).end(body)
  const server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener)
  servers.push(server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no TCP address')
  return { WARDER_ADMIN_LISTEN: `127.0.0.1:${address.port}` }
}

test('a ready server is exit 0 and says what was checked', async () => {
  const readiness = { ready: true, checks: [{ name: 'database', ok: true, detail: 'connected' }] }
  const env = await answering(200, JSON.stringify(readiness))
  expect(await run(['health'], { env })).toEqual({ exit: 0, stdout: 'ready\n', stderr: '' })
  expect(JSON.parse((await run(['health', '--json'], { env })).stdout)).toEqual(readiness)
})

test('a server that is not ready is exit 1 with the checks that failed', async () => {
  const checks = [
    { name: 'database', ok: false, detail: 'silent for 12 s' },
    { name: 'engine', ok: true, detail: 'probes pass' },
  ]
  const env = await answering(503, JSON.stringify({ ready: false, checks }))
  const ran = await run(['health'], { env })
  expect(ran).toMatchObject({ exit: 1, stdout: '' })
  expect(ran.stderr).toContain('[health.not_ready]')
  expect(ran.stderr).toContain('database: silent for 12 s')
  expect(ran.stderr).not.toContain('engine')
})

test.each([
  [503, '{"ready":true,"checks":[]}', 'health.not_ready'],
  [200, '<html>', 'health.unreachable'],
  [200, '{}', 'health.unreachable'],
  [302, '{"ready":true,"checks":[]}', 'health.not_ready'],
])('status %i with %s is exit 1, never ready', async (status, body, code) => {
  const ran = await run(['health', '--json'], { env: await answering(status, body) })
  expect(ran).toMatchObject({ exit: 1, stdout: '' })
  expect(JSON.parse(ran.stderr)).toMatchObject({ error: { code } })
})

test('nobody at the address is exit 1', async () => {
  const env = await answering(200, '')
  const server = servers.pop()
  await new Promise((resolve) => server?.close(resolve))
  const ran = await run(['health'], { env })
  expect(ran.exit).toBe(1)
  expect(ran.stderr).toContain('[health.unreachable]')
})

test('over TLS only the server with the configured certificate is believed', async () => {
  const authority = await newAuthority('root')
  const [mine, other] = [await authority.issue('mine'), await authority.issue('other')]
  const files = {
    WARDER_TLS_CERT: join(folder.path, 'cert.pem'),
    WARDER_TLS_KEY: join(folder.path, 'key.pem'),
  }
  writeFileSync(files.WARDER_TLS_CERT, mine.certificate)
  writeFileSync(files.WARDER_TLS_KEY, mine.key)
  const body = '{"ready":true,"checks":[]}'
  const genuine = await answering(200, body, { cert: mine.certificate, key: mine.key })
  expect(await run(['health'], { env: { ...files, ...genuine } })).toMatchObject({ exit: 0 })
  const plain = await answering(200, body)
  const listeners = { WARDER_TLS_LISTENERS: 'decisions' }
  expect(await run(['health'], { env: { ...files, ...listeners, ...plain } })).toMatchObject({ exit: 0 })
  const impostor = await answering(200, body, { cert: other.certificate, key: other.key })
  for (const env of [impostor, plain])
    expect(await run(['health'], { env: { ...files, ...env } })).toMatchObject({ exit: 1, stdout: '' })
})
