import { afterAll, beforeAll, expect, test } from 'vitest'
import { openScene, type Scene } from './scene.ts'

let scene: Scene
beforeAll(async () => {
  scene = await openScene()
})
afterAll(async () => {
  expect(scene.faults).toEqual([])
  await scene.close()
})

const QUESTION = { agent: 'bot', user: 'ann', tool: 'repos/read', risk: { score: 80 } }
const explain = (body: unknown, token = scene.acme.author) =>
  scene.call('POST', '/v1/tenants/acme/explain', token, body)

test('an author learns which term kept a permit from holding, and what the agent would be told', async () => {
  const { status, json } = await explain(QUESTION)
  expect(status).toBe(200)
  expect(json.decision.effect).toBe('deny')
  const { policies } = json.operator.parties[0]
  expect(policies.find(({ near_miss }: { near_miss: boolean }) => near_miss)).toMatchObject({
    id: 'agents',
    terms: [{ value: 'false', text: 'context.risk.score < 50', file: 'policies.cedar', line: 2 }],
  })
  expect(json.operator.text).toContain('policies.cedar:2 when context.risk.score < 50: false')
  expect(JSON.stringify(json.agent)).not.toMatch(/agents|risk|cedar|bot|ann/)
})

test('an explanation is one row that says so, and one line of the audit', async () => {
  const before = scene.explained.length
  await explain({ ...QUESTION, risk: { score: 1 } })
  const row = scene.explained.at(-1)
  expect(scene.explained.length - before).toBe(1)
  expect([row?.decision, row?.tenant, row?.trace['explained']]).toEqual(['allow', 'acme', 'operator'])
  const audit = await scene.call('GET', '/v1/audit?limit=1', scene.tokens.admin)
  expect(audit.json.items[0]).toMatchObject({
    actor: 'token:acme-author',
    route: 'POST /v1/tenants/{tenant}/explain',
    tenant: 'acme',
  })
})

test('a viewer is not told', async () => {
  const { status, json } = await explain(QUESTION, scene.acme.viewer)
  expect([status, json.code]).toEqual([403, 'http.forbidden'])
})

test.each([
  ['credentials', { credentials: { access_token: 'x', token_type: 'DPoP' } }, 'request.unknown_field'],
  ['proofs', { proofs: { dpop: ['x'] } }, 'request.unknown_field'],
  ['a reserved key', { arguments: { __entity: 1 } }, 'request.reserved_key'],
  ['an unknown field', { explain: 'agent' }, 'request.unknown_field'],
])('%s: refused before anything is decided', async (_, more, code) => {
  const before = scene.explained.length
  const { status, json } = await explain({ ...QUESTION, ...more })
  expect([status, json.code, scene.explained.length]).toEqual([400, code, before])
})

test('a question about another tenant is denied and explains nothing of it', async () => {
  const { status, json } = await explain({ ...QUESTION, tenant: 'globex' })
  expect([status, json.decision.effect, json.operator.parties]).toEqual([200, 'deny', []])
})
