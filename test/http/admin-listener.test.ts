import { expect, test } from 'vitest'
import { adminRoutes, createAdminListener } from '#http/admin-listener.ts'
import { request } from '../support/raw-http.ts'

const TOKEN = 'wat_0123456789abcdef'
const parts = {
  readiness: () => ({ ready: true, checks: [{ name: 'release', ok: true, detail: 'sha256:ab' }] }),
  metrics: { contentType: 'text/plain; version=0.0.4', text: () => Promise.resolve('warder_x 1\n') },
  isAdminToken: (token: string) => Promise.resolve(token === TOKEN),
  status: () => ({ version: '0.1.0' }),
}
const app = adminRoutes(parts)

test('/livez says that the process runs', async () => {
  const answer = await app.request('/livez')
  expect([answer.status, await answer.json()]).toEqual([200, { alive: true }])
})

test('/readyz gives each check, and 503 as long as one fails', async () => {
  const ready = await app.request('/readyz')
  expect([ready.status, await ready.json()]).toEqual([200, parts.readiness()])
  const failing = { ready: false, checks: [{ name: 'database', ok: false, detail: 'no answer for 12 s' }] }
  const answer = await adminRoutes({ ...parts, readiness: () => failing }).request('/readyz')
  expect([answer.status, await answer.json()]).toEqual([503, failing])
})

test('/metrics is Prometheus text', async () => {
  const answer = await app.request('/metrics')
  expect([answer.headers.get('content-type'), await answer.text()]).toEqual([
    'text/plain; version=0.0.4',
    'warder_x 1\n',
  ])
})

test('/v1/status needs an admin token', async () => {
  const ask = (authorization?: string) =>
    app.request('/v1/status', authorization === undefined ? {} : { headers: { authorization } })
  for (const wrong of [
    undefined,
    TOKEN,
    'Bearer x',
    'Bearer wat_0123456789abcdeX',
    `Bearer ${TOKEN}, Bearer ${TOKEN}`,
  ]) {
    const answer = await ask(wrong)
    expect([answer.status, answer.headers.get('www-authenticate')]).toEqual([
      401,
      'Bearer realm="warder-admin"',
    ])
  }
  const answer = await ask(`Bearer ${TOKEN}`)
  expect([answer.status, await answer.json()]).toEqual([200, { version: '0.1.0' }])
})

test('an unknown path names the known ones, a fault names nothing', async () => {
  const unknown = await app.request('/admin')
  expect([unknown.status, await unknown.json()]).toEqual([
    404,
    { error: { code: 'http.not_found', message: 'try /livez, /readyz, /metrics or /v1/status' } },
  ])
  const broken = adminRoutes({
    ...parts,
    readiness: () => {
      throw new Error('secret')
    },
  })
  const fault = await broken.request('/readyz')
  expect([fault.status, await fault.json()]).toEqual([
    500,
    { error: { code: 'internal.fault', message: 'the request failed' } },
  ])
})

test('the listener speaks HTTP and stops', async () => {
  const listener = createAdminListener(parts)
  const { port } = await listener.listen('127.0.0.1', 0)
  const answer = await request(port, 'GET', '/readyz')
  expect([answer.status, JSON.parse(answer.body)]).toEqual([200, parts.readiness()])
  await listener.close(100)
})
