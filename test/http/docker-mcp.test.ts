import { hash } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { GATEWAY_KEY } from '../support/fake-decider.ts'
import { request } from '../support/raw-http.ts'
import { startListener, type WireListener } from '../support/wire-listener.ts'
import { createWorld, NOON, policyFile } from '../support/world.ts'

const tenant = { __entity: { type: 'Warder::Tenant', id: 'acme' } }
const POLICIES = `
@id("results") @obligation("{\\"type\\":\\"redact\\",\\"fields\\":[\\"iban\\"],\\"in\\":\\"result\\"}")
permit (principal, action == Warder::Action::"bank/mcp:result", resource);
@id("calls") permit (principal, action == Warder::Action::"bank/accounts", resource);`

let listener: WireListener
beforeAll(async () => {
  const world = await createWorld('acme', {
    policies: [
      {
        name: 'tools.cedarschema',
        text: `namespace Warder {
          action "bank/mcp:result" in [readTools] appliesTo { principal: [Agent, User], resource: [Tool, Resource] };
          action "bank/accounts" in [readTools] appliesTo { principal: [Agent, User], resource: [Tool, Resource] };
        }`,
      },
      policyFile(POLICIES),
    ],
    entities: [
      {
        uid: { type: 'Warder::Agent', id: 'desktop' },
        attrs: { tenant, status: 'active', environment: 'any' },
        tags: {},
        parents: [],
      },
    ],
    gateway: { asserts: new Set(['identity']), obligations: new Set(['redact']) },
  })
  listener = await startListener('decision', {
    decider: { ...world.decider, asked: [], refused: [] },
    clock: () => NOON,
    findGateway: (found) => (found === hash('sha256', GATEWAY_KEY) ? world.gateway : undefined),
  })
})
afterAll(() => listener.listener.close(0))

const QUERY = 'server=bank&agent=desktop&user=ann'
const post = (path: string, body: unknown, key = GATEWAY_KEY) =>
  request(
    listener.port,
    'POST',
    `/g/${key}${path}`,
    [['content-type', 'application/json']],
    JSON.stringify(body),
  )
const RESULT = { content: [{ type: 'text', text: '{"iban":"DE1","bank":"b"}' }] }

test('a call passes on its way there and is redacted on its way back', async () => {
  const call = { params: { name: 'accounts', arguments: {} } }
  expect(await post(`/docker/before?${QUERY}`, call)).toMatchObject({ status: 200, body: '' })
  const back = await post(`/docker/after?${QUERY}`, RESULT)
  expect(JSON.parse(back.body)).toEqual({ content: [{ type: 'text', text: '{"bank":"b"}' }] })
})

test.each([
  ['another server’s result', `/docker/after?server=mail&agent=desktop&user=ann`, GATEWAY_KEY],
  ['an agent that nobody registered', '/docker/after?server=bank&agent=nobody&user=ann', GATEWAY_KEY],
  ['a query that says nothing', '/docker/after', GATEWAY_KEY],
  ['a key that is none', `/docker/after?${QUERY}`, 'wgk_unknown_unknown_unknown'],
])('%s never has an empty answer, and nothing of the result', async (_what, path, key) => {
  const { body } = await post(path, RESULT, key)
  expect(body).not.toBe('')
  expect(body).not.toContain('DE1')
})
