import { afterAll, beforeAll, expect, test } from 'vitest'
import { openScene, type Scene } from './scene.ts'

let scene: Scene
beforeAll(async () => {
  scene = await openScene()
})
afterAll(() => scene.close())

const call = (method: string, path: string, body?: object, token = scene.acme.operator) =>
  scene.call(method, `/v1/tenants/acme/signal-receivers${path}`, token, body)

test('a receiver is added, shown, given another credential, revoked and removed, and each is in the audit', async () => {
  const added = await call('POST', '', { name: 'siem' })
  expect(added).toMatchObject({
    status: 201,
    json: { tenant: 'acme', name: 'siem', kind: 'caep', audience: 'urn:warder:receiver:acme:siem' },
  })
  expect(added.json.key).toMatch(/^wrk_[A-Za-z0-9_-]{43}$/)
  expect(await call('POST', '', { name: 'siem' })).toMatchObject({
    status: 409,
    json: { code: 'receiver.exists' },
  })
  const pushed = await call('POST', '', { name: 'soc', url: 'https://soc.example/e', kind: 'webhook' })
  expect(pushed).toMatchObject({ status: 201, json: { key: null, audience: 'https://soc.example/e' } })

  const listed = await call('GET', '')
  expect(listed.json.items).toMatchObject([
    { name: 'siem', stream: null, delivery: null, waiting: 0, dropped: 0, refused: 0 },
    { name: 'soc', delivery: 'push', url: 'https://soc.example/e', status: 'enabled', key_hints: [] },
  ])
  const page = await call('GET', '?limit=1')
  const next = await call('GET', `?limit=1&after=${page.json.next}`)
  expect([page, next].map(({ json }) => json.items[0].name)).toEqual(['siem', 'soc'])

  const rotated = await call('POST', '/siem/rotate', { keep_seconds: 60 })
  expect(rotated.status).toBe(201)
  const shown = await call('GET', '/siem')
  expect(shown.json.key_hints).toEqual([added, rotated].map(({ json }) => json.key.slice(0, 10)))
  expect((await call('POST', '/siem/revoke')).status).toBe(200)
  expect((await call('GET', '/siem')).json).toMatchObject({ key_hints: [], status: 'disabled' })
  expect((await call('DELETE', '/siem')).status).toBe(200)
  expect((await call('GET', '/siem')).json.code).toBe('receiver.unknown')

  const audit = await scene.call('GET', '/v1/audit', scene.acme.admin)
  const changes = audit.json.items.filter(
    ({ target, outcome }: { readonly target: string; readonly outcome: string }) =>
      target === 'siem' && outcome === 'changed',
  )
  expect(changes).toHaveLength(4)
  for (const { key } of [added.json, rotated.json])
    for (const { text } of [audit, listed, shown]) expect(text).not.toContain(key)
})

test.each([
  ['a name that is none', { name: '../x' }],
  ['plain http', { name: 'x', url: 'http://r.example/e' }],
  ['a private address', { name: 'x', url: 'https://10.0.0.1/e' }],
  ['credentials in the URL', { name: 'x', url: 'https://u:p@r.example/e' }],
  ['an empty audience', { name: 'x', audience: '' }],
])('%s is refused', async (_what, body) => {
  expect(await call('POST', '', body)).toMatchObject({ status: 400, json: { code: 'receiver.invalid' } })
})

test('who administers one tenant can not open a private network to a receiver', async () => {
  const body = { name: 'inside', url: 'https://10.0.0.1/e', private_network: true }
  expect(await call('POST', '', body)).toMatchObject({ status: 403, json: { code: 'http.forbidden' } })
  expect((await call('POST', '', body, scene.tokens.operator)).status).toBe(201)
})

test('who administers one tenant gets no credential of a receiver in a private network', async () => {
  const body = { name: 'within', url: 'https://10.0.0.2/e', private_network: true }
  expect((await call('POST', '', body, scene.tokens.operator)).status).toBe(201)
  expect(await call('POST', '/within/rotate', {})).toMatchObject({
    status: 403,
    json: { code: 'http.forbidden' },
  })
  expect((await call('GET', '/within')).json.key_hints).toEqual([])
  expect((await call('POST', '/within/rotate', {}, scene.tokens.operator)).status).toBe(201)
})

test('nothing is known of a receiver that is not there', async () => {
  const asked = [
    await call('GET', '/none'),
    await call('DELETE', '/none'),
    await call('POST', '/none/rotate', {}),
    await call('POST', '/none/revoke'),
  ]
  for (const { status, json } of asked) expect([status, json.code]).toEqual([404, 'receiver.unknown'])
  expect(await call('POST', '/none/rotate', { keep_seconds: -1 })).toMatchObject({ status: 400 })
})
