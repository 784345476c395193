import { afterAll, beforeAll, expect, test } from 'vitest'
import { createAdminListener } from '#http/admin-listener.ts'
import { createQueryLog } from '#store/decisions.ts'
import { fakeDecider, frozenClock } from '../support/fake-decider.ts'
import { request } from '../support/raw-http.ts'
import { openScene, type Scene, transmitterClient } from './admin/scene.ts'

let scene: Scene
beforeAll(async () => {
  scene = await openScene()
})
afterAll(() => scene.close())

const READY = { ready: true, checks: [{ name: 'release', ok: true, detail: 'sha256:ab' }] }

function parts() {
  return {
    readiness: () => READY,
    metrics: { contentType: 'text/plain; version=0.0.4', text: () => Promise.resolve('warder_x 1\n') },
    status: () => ({ version: '0.1.0' }),
    store: scene.store,
    log: createQueryLog(scene.database),
    transmitters: transmitterClient(),
    explain: { decider: fakeDecider(), clock: frozenClock },
    installationSecret: () => Promise.resolve(new Uint8Array(32).fill(7)),
    onUnauthenticated: (_count: number) => undefined,
    onFault: () => undefined,
  }
}

test('/livez, /readyz and /metrics are open, because probes carry no token', async () => {
  const live = await scene.call('GET', '/livez')
  expect([live.status, live.json]).toEqual([200, { alive: true }])
  const ready = await scene.call('GET', '/readyz')
  expect([ready.status, ready.json]).toEqual([200, READY])
  const metrics = await scene.call('GET', '/metrics')
  expect([metrics.headers.get('content-type'), metrics.text]).toEqual([
    'text/plain; version=0.0.4',
    'warder_x 1\n',
  ])
})

test('/readyz is 503 as long as a check fails, over a real socket', async () => {
  const failing = { ready: false, checks: [{ name: 'database', ok: false, detail: 'no answer for 12 s' }] }
  const listener = createAdminListener({ ...parts(), readiness: () => failing })
  const { port } = await listener.listen('127.0.0.1', 0)
  const answer = await request(port, 'GET', '/readyz')
  expect([answer.status, JSON.parse(answer.body)]).toEqual([503, failing])
  await listener.close(100)
})

test('calls without a token are counted, and one line tells how many', async () => {
  const counts: number[] = []
  const listener = createAdminListener({ ...parts(), onUnauthenticated: (count) => counts.push(count) })
  const { port } = await listener.listen('127.0.0.1', 0)
  for (let i = 0; i < 5; i++) expect((await request(port, 'GET', '/v1/tenants')).status).toBe(401)
  await listener.close(100)
  expect(counts).toEqual([1, 4])
})

test('an unknown path is a problem document, a fault names nothing and is reported', async () => {
  const unknown = await scene.call('GET', '/admin')
  expect([unknown.status, unknown.headers.get('content-type'), unknown.json]).toEqual([
    404,
    'application/problem+json',
    {
      type: 'about:blank',
      title: 'not found',
      status: 404,
      detail: 'there is nothing at this path; see /openapi.json',
      code: 'http.not_found',
    },
  ])
  expect((await scene.call('GET', '/v1/nothing')).status).toBe(401)
  const known = await scene.call('GET', '/v1/nothing', scene.tokens.viewer)
  expect([known.status, known.json.code]).toEqual([404, 'http.not_found'])
})

test('the documentation works without the internet and runs nothing inline', async () => {
  const page = await scene.call('GET', '/docs/')
  expect(page.status).toBe(200)
  expect(page.headers.get('content-security-policy')).toContain("default-src 'self'")
  expect(page.headers.get('content-security-policy')).not.toContain('unsafe')
  expect(page.text).not.toMatch(/<script>|<style|style=| on\w+=|https?:\/\//)
  const sources = [...page.text.matchAll(/(?:src|href)="([^"]+)"/g)].map((match) => match[1] ?? '')
  expect(sources).toHaveLength(3)
  for (const source of sources) {
    const answer = await scene.call('GET', source)
    expect([answer.status, answer.text.length > 50]).toEqual([200, true])
  }
})
