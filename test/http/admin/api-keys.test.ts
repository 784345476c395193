import { afterAll, beforeAll, expect, test } from 'vitest'
import { openScene, type Scene } from './scene.ts'

let scene: Scene
beforeAll(async () => {
  scene = await openScene()
})
afterAll(() => scene.close())

const call = (method: string, path: string, body?: object, token = scene.acme.operator) =>
  scene.call(method, `/v1/tenants/acme/${path}`, token, body)

test('an API key is made, listed without its secret, rotated and revoked, and each is in the audit', async () => {
  await call('POST', 'agents', { agent: 'bot', owner: 'ann', reason: 'new' })
  const made = await call('POST', 'api-keys', { name: 'nightly', agent: 'bot', expires_in_seconds: 3600 })
  expect(made).toMatchObject({ status: 201, json: { name: 'nightly', agent: 'bot', bound_to: null } })
  expect(made.json.key).toMatch(/^wak_/)
  expect(await call('POST', 'api-keys', { name: 'nightly', agent: 'bot' })).toMatchObject({
    status: 409,
    json: { code: 'api_key.exists' },
  })
  const rotated = await call('POST', 'api-keys/nightly/rotate', {})
  expect(rotated.status).toBe(201)
  const listed = await call('GET', 'api-keys?agent=bot')
  expect(listed.json.items).toHaveLength(2)
  expect(await call('POST', 'api-keys/nightly/revoke', { reason: 'leaked' })).toMatchObject({
    status: 200,
    json: { revoked: [{ name: 'nightly' }, { name: 'nightly' }] },
  })
  expect(await call('GET', 'api-keys')).toMatchObject({ json: { items: [] } })
  expect((await call('GET', 'api-keys?all=true')).json.items).toHaveLength(2)
  const audit = await scene.call('GET', '/v1/audit', scene.acme.admin)
  const targets = audit.json.items.map(({ target }: { readonly target: string }) => target)
  expect(targets.filter((target: string) => target === 'api key nightly').length).toBeGreaterThanOrEqual(4)
  for (const { key } of [made.json, rotated.json]) {
    expect(audit.text).not.toContain(key)
    expect(listed.text).not.toContain(key)
  }
})

test('scopes and gateways of an API key are shown, and a gateway that is not registered is refused', async () => {
  await call('POST', 'agents', { agent: 'reader', owner: 'ann', reason: 'new' })
  const asked = { name: 'limited', agent: 'reader', scopes: ['crm.read'] }
  expect(await call('POST', 'api-keys', { ...asked, gateways: ['nowhere'] })).toMatchObject({
    status: 404,
    json: { code: 'gateway.unknown' },
  })
  expect(await call('POST', 'api-keys', { ...asked, gateways: [] })).toMatchObject({ status: 400 })
  expect(await call('POST', 'api-keys', asked)).toMatchObject({
    status: 201,
    json: { scopes: ['crm.read'], gateways: null },
  })
  expect(await call('GET', 'api-keys?agent=reader')).toMatchObject({
    json: { items: [{ name: 'limited', scopes: ['crm.read'], gateways: null }] },
  })
})

test('an unknown key, an unknown agent and a small role are refused', async () => {
  expect(await call('POST', 'api-keys/nothing/rotate', {})).toMatchObject({
    status: 404,
    json: { code: 'api_key.unknown' },
  })
  expect(await call('POST', 'api-keys/nothing/revoke', { reason: 'r' })).toMatchObject({ status: 404 })
  expect(await call('POST', 'api-keys', { name: 'k', agent: 'nobody' })).toMatchObject({
    json: { code: 'agent.unknown' },
  })
  const body = { name: 'k', agent: 'bot' }
  expect(await call('POST', 'api-keys', body, scene.acme.approver)).toMatchObject({ status: 403 })
  expect(await scene.call('GET', '/v1/tenants/globex/api-keys', scene.acme.admin)).toMatchObject({
    status: 404,
  })
})
