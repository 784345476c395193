import { afterAll, beforeAll, expect, test } from 'vitest'
import type { TenantId } from '#model/ids.ts'
import { issuer } from '../../support/tokens.ts'
import { openScene, type Scene } from './scene.ts'

const PATH = '/v1/tenants/acme/global-token-revocation'

let scene: Scene
beforeAll(async () => {
  scene = await openScene()
  for (const name of ['https://idp.example', 'https://second.example'])
    await scene.store.putIssuer('acme' as TenantId, { ...issuer([]), issuer: name })
})
afterAll(() => scene.close())

async function inForce(): Promise<readonly string[]> {
  const { json } = await scene.call('GET', '/v1/tenants/acme/revocations', scene.acme.operator)
  return json.items.map((row: { kind: string; id: string }) => `${row.kind} ${row.id}`).toSorted()
}

test('ends the tokens of a subject that were issued before, and says nothing more than that it did', async () => {
  const body = { sub_id: { format: 'iss_sub', iss: 'https://idp.example', sub: 'alice' } }
  const asked = Date.now()
  const answer = await scene.call('POST', PATH, scene.acme.operator, body)
  expect([answer.status, answer.text]).toEqual([204, ''])
  const { json } = await scene.call('GET', '/v1/tenants/acme/revocations', scene.acme.operator)
  expect(json.items).toMatchObject([
    { kind: 'subject', id: 'https://idp.example|alice', actor: 'token:acme-operator' },
  ])
  expect(Date.parse(json.items[0].issued_before)).toBeGreaterThan(asked - 1_000)
})

test('a session is ended at each issuer of the tenant', async () => {
  const body = { sub_id: { format: 'opaque', id: 's-1' } }
  expect((await scene.call('POST', PATH, scene.acme.operator, body)).status).toBe(204)
  expect(await inForce()).toEqual(
    expect.arrayContaining(['session https://idp.example|s-1', 'session https://second.example|s-1']),
  )
})

test.each([
  [
    'a subject of an issuer that the tenant does not have',
    { format: 'iss_sub', iss: 'https://x.example', sub: 'a' },
  ],
  ['a subject of no known format', { format: 'shoe_size' }],
  ['a whole tenant', { format: 'complex', tenant: { format: 'opaque', id: 'acme' } }],
])('%s is refused, and nothing is revoked', async (_name, subject) => {
  const before = await inForce()
  const answer = await scene.call('POST', PATH, scene.acme.operator, { sub_id: subject })
  expect([answer.status, answer.json.code]).toEqual([400, 'revocation.invalid'])
  expect(await inForce()).toEqual(before)
})
