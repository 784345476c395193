import { afterAll, beforeAll, expect, test } from 'vitest'
import { GATEWAY_KEY } from '../support/fake-decider.ts'
import { header, request } from '../support/raw-http.ts'
import { startListener, type WireListener } from '../support/wire-listener.ts'
import { createWorld, type World } from '../support/world.ts'

const HEADERS = [
  ['authorization', `Bearer ${GATEWAY_KEY}`],
  ['content-type', 'application/json'],
  ['x-request-id', 'r-1'],
] as const
const BODY = '{"subject":{"type":"user","id":"bob"},"action":{"name":"view"},"resource":{"type":"record"}'

let world: World
let pdp: WireListener
beforeAll(async () => {
  world = await createWorld('acme', { policies: 'authzen-search' })
  const decider: WireListener['decider'] = { ...world.decider, asked: [], refused: [] }
  pdp = await startListener('decision', { decider, publicUrl: 'https://authz.acme.test' })
})
afterAll(() => pdp.listener.close(0))

const post = (open: string, body: string) =>
  request(pdp.port, 'POST', `/access/v1/search/${open}`, HEADERS, body)

test('a search over HTTP, page by page, each with the id of its row', async () => {
  const found: string[] = []
  let token = ''
  do {
    const page = token === '' ? '{"limit":4}' : `{"limit":4,"token":"${token}"}`
    const answer = await post('resource', `${BODY},"page":${page}}`)
    expect([answer.status, header(answer, 'content-type'), header(answer, 'x-request-id')]).toEqual([
      200,
      'application/json',
      'r-1',
    ])
    expect(header(answer, 'x-decision-id')).toBe(world.rows.at(-1)?.decision_id)
    const body = JSON.parse(answer.body)
    found.push(...body.results.map(({ id }: { id: string }) => id))
    token = body.page.next_token
  } while (token !== '')
  const whole = JSON.parse((await post('resource', `${BODY}}`)).body)
  expect(whole).toEqual({ results: found.map((id) => ({ type: 'record', id })) })
  expect(found).toEqual(['101', '102', '103', '105', '108', '112', '114', '116', '117', '119', '120'])
})

test('a token of nobody is refused with a text, and has a row too', async () => {
  const answer = await post('resource', `${BODY},"page":{"token":"x"}}`)
  expect([answer.status, JSON.parse(answer.body)]).toEqual([
    400,
    expect.stringMatching(/^search\.page_token: /),
  ])
  expect(world.rows.at(-1)).toMatchObject({
    decision: 'deny',
    reason: 'search.page_token',
    trace: { replayable: false },
  })
})

test('a search that can not be read is a 400, as is one that repeats a key', async () => {
  for (const body of [
    '',
    '[]',
    '{}',
    '{"subject":1}',
    `${BODY},"page":{"limit":"1"}}`,
    `${BODY},"page":{},"page":{}}`,
  ])
    expect([body, (await post('resource', body)).status]).toEqual([body, 400])
  expect((await request(pdp.port, 'GET', '/access/v1/search/resource', HEADERS)).status).toBe(405)
  expect(
    (await request(pdp.port, 'POST', '/access/v1/search/resource', HEADERS.slice(1), `${BODY}}`)).status,
  ).toBe(401)
  expect((await post('subjects', `${BODY}}`)).status).toBe(404)
})

test('the metadata names each search', async () => {
  const { body } = await request(pdp.port, 'GET', '/.well-known/authzen-configuration')
  for (const open of ['subject', 'resource', 'action'])
    expect(JSON.parse(body)[`search_${open}_endpoint`]).toBe(
      `https://authz.acme.test/access/v1/search/${open}`,
    )
})
