import { afterAll, beforeAll, expect, test } from 'vitest'
import { openScene, type Scene } from './scene.ts'

let scene: Scene
beforeAll(async () => {
  scene = await openScene()
})
afterAll(() => scene.close())

const call = (method: string, path: string, body?: object) =>
  scene.call(method, `/v1/tenants/acme/${path}`, scene.acme.admin, body)

test('an agent whose id is a URL goes through its life', async () => {
  const id = 'spiffe://example.org/agents/1'
  const at = `agents?id=${encodeURIComponent(id)}`
  const made = await call('POST', 'agents', {
    agent: id,
    owner: 'ann',
    expires_in_seconds: 60,
    reason: 'new',
  })
  expect(made).toMatchObject({ status: 201, json: { agent: id, status: 'pending' } })
  expect(await call('POST', 'agents', { agent: id, reason: 'again' })).toMatchObject({
    status: 409,
    json: { code: 'agent.exists' },
  })
  const step = (action: string) => call('PATCH', at, { action, reason: 'r' })
  expect(await step('activate')).toMatchObject({ status: 200, json: { status: 'active' } })
  expect(await step('resume')).toMatchObject({ status: 409, json: { code: 'agent.state' } })
  expect(await step('revive')).toMatchObject({ status: 400 })
  expect(await call('GET', at)).toMatchObject({ status: 200, json: { items: [{ agent: id, owner: 'ann' }] } })
  expect(await call('GET', 'agents?id=nobody')).toMatchObject({
    status: 404,
    json: { code: 'agent.unknown' },
  })
  expect(await call('GET', 'agents?ownerless=true')).toMatchObject({ json: { items: [] } })
  expect(await call('GET', 'agents?dormant_days=30')).toMatchObject({ json: { items: [{ agent: id }] } })
})

test('grants are added, listed and revoked, each with its reason in the audit', async () => {
  const made = await call('POST', 'grants', {
    from: 'user:alice',
    to: 'bot',
    authorization_details: [{ type: 'tool_call' }],
    reason: 'asked for',
  })
  expect(made.status).toBe(201)
  const { grant } = made.json
  expect(await call('GET', 'grants?to=bot')).toMatchObject({
    json: { items: [{ grant, reason: 'asked for' }] },
  })
  expect(await call('DELETE', `grants/${grant}?reason=over`)).toMatchObject({
    status: 200,
    json: { revoked_reason: 'over' },
  })
  expect(await call('DELETE', `grants/${grant}?reason=over`)).toMatchObject({ status: 404 })
  expect(await call('POST', 'grants', { from: 'x', to: 'bot', reason: 'r' })).toMatchObject({
    status: 400,
    json: { code: 'grant.invalid' },
  })
  const audit = await scene.call('GET', '/v1/audit', scene.acme.admin)
  const targets = audit.json.items.map(({ target }: { readonly target: string }) => target)
  expect(targets).toContain(`grant ${grant}`)
})

test('a federation needs both tenants, and who may see only one can not answer for the other', async () => {
  const terms = { with: 'globex', direction: 'in', agents: ['guest'], tools: ['*'], expires_in_seconds: 60 }
  const made = await call('POST', 'federations', terms)
  expect(made).toMatchObject({ status: 201, json: { state: 'proposed', signed_by: ['acme'] } })
  const path = `federations/${made.json.federation}`
  expect(await call('POST', `${path}/accept`)).toMatchObject({ status: 409 })
  const foreign = await scene.call('POST', `/v1/tenants/globex/${path}/accept`, scene.acme.admin)
  expect(foreign).toMatchObject({ status: 404, json: { code: 'tenant.unknown' } })
  const accepted = await scene.call('POST', `/v1/tenants/globex/${path}/accept`, scene.tokens.admin)
  expect(accepted).toMatchObject({ status: 200, json: { state: 'in force' } })
  expect(await call('POST', `${path}/withdraw`, { reason: 'over' })).toMatchObject({
    status: 200,
    json: { state: 'withdrawn' },
  })
  expect(await call('GET', 'federations')).toMatchObject({ json: { items: [{ withdrawn_by: 'acme' }] } })
})

test('a proposal tells nothing about whether the other tenant exists', async () => {
  const terms = { direction: 'in', agents: ['guest'], tools: ['*'], expires_in_seconds: 60 }
  const [real, made] = await Promise.all(
    ['globex', 'nowhere'].map((other) => call('POST', 'federations', { ...terms, with: other })),
  )
  expect([real?.status, made?.status]).toEqual([201, 201])
  expect(Object.keys(real?.json)).toEqual(Object.keys(made?.json))
})
