import { hash } from 'node:crypto'
import { connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import type { Decision } from '#model/decision.ts'
import type { GatewayId } from '#model/ids.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import { type FakeDecider, fakeDecider, GATEWAY } from '../support/fake-decider.ts'
import { header, request } from '../support/raw-http.ts'
import { startListener, type WireListener } from '../support/wire-listener.ts'

const SEARCH =
  '{"subject":{"type":"agent","id":"a"},"action":{"name":"tools/call"},"resource":{"type":"tool"}}'
const QUESTION =
  '{"subject":{"type":"agent","id":"a"},"action":{"name":"x"},"resource":{"type":"tool","id":"s/t"}}'

/** Three gateways: `a`, `b` and `c`. */
const GATEWAYS = new Map(
  ['a', 'b', 'c'].map((name, at) => {
    const id = `018f0000-0000-7000-8000-00000000000${at}` as GatewayId
    return [hash('sha256', keyOf(name)), { ...GATEWAY, id, name }]
  }),
)

function keyOf(name: string): string {
  return `wgk_test_0123456789abcdef012345678${name}`
}

/** A decider that answers searches when it is told to, and anything else at once. */
function heldSearches(): FakeDecider & { readonly begun: AuthorizationRequest[]; release(): void } {
  const inner = fakeDecider((asked) => (asked.search ? { found: { results: [], nextToken: '' } } : {}))
  const begun: AuthorizationRequest[] = []
  let release = (): void => undefined
  const gate = new Promise<void>((resolve) => {
    release = resolve
  })
  const decide = async (...asked: Parameters<FakeDecider['decide']>): Promise<Decision> => {
    if (asked[0].search !== undefined) {
      begun.push(asked[0])
      await gate
    }
    return await inner.decide(...asked)
  }
  return { ...inner, decide, begun, release: () => release() }
}

let open: WireListener[] = []
afterEach(async () => {
  await Promise.all(open.map(({ listener }) => listener.close(0)))
  open = []
})
async function start(decider: FakeDecider): Promise<WireListener> {
  const started = await startListener('decision', {
    decider,
    findGateway: (keyHash) => GATEWAYS.get(keyHash),
  })
  open.push(started)
  return started
}

const post = (
  port: number,
  gateway: string,
  path: string,
  body: string,
  more: readonly [string, string][] = [],
) =>
  request(
    port,
    'POST',
    `/access/v1/${path}`,
    [['authorization', `Bearer ${keyOf(gateway)}`], ['content-type', 'application/json'], ...more],
    body,
  )

test('a gateway has room for two searches and a process for four; any other question finds its own room', async () => {
  const decider = heldSearches()
  const { port, counts } = await start(decider)
  const find = (gateway: string) => post(port, gateway, 'search/resource', SEARCH)
  const held = [find('a'), find('a')]
  await expect.poll(() => decider.begun.length, { timeout: 20_000 }).toBe(2)
  const third = await find('a')
  expect([third.status, header(third, 'retry-after'), JSON.parse(third.body)]).toEqual([
    503,
    '1',
    expect.stringMatching(/^http\.overloaded: /),
  ])
  held.push(find('b'), find('b'))
  await expect.poll(() => decider.begun.length, { timeout: 20_000 }).toBe(4)
  expect((await find('c')).status).toBe(503)
  for (const gateway of ['a', 'b', 'c'])
    expect((await post(port, gateway, 'evaluation', QUESTION)).status).toBe(200)
  expect(counts.get('overloaded')).toBe(2)
  decider.release()
  for (const answer of await Promise.all(held)) expect(answer.status).toBe(200)
  // The places are free again, also those of searches that ended.
  for (let i = 0; i < 5; i += 1) expect((await find('a')).status).toBe(200)
})

test('a search that found no room can be repeated under its key', async () => {
  const decider = heldSearches()
  const { port } = await start(decider)
  const keyed = (key: string) => post(port, 'a', 'search/resource', SEARCH, [['idempotency-key', `"${key}"`]])
  const held = [keyed('1'), keyed('2')]
  await expect.poll(() => decider.begun.length, { timeout: 20_000 }).toBe(2)
  expect((await keyed('3')).status).toBe(503)
  decider.release()
  for (const answer of await Promise.all(held)) expect(answer.status).toBe(200)
  expect((await keyed('3')).status).toBe(200)
})

test('a fault in a search leaves its place', async () => {
  const decider = heldSearches()
  const faulty: FakeDecider = { ...decider, decide: () => Promise.reject(new Error('a bug')) }
  const { port } = await start(faulty)
  for (let i = 0; i < 5; i += 1) expect((await post(port, 'a', 'search/resource', SEARCH)).status).toBe(500)
})

test('a search is wanted until its client has left', async () => {
  const decider = heldSearches()
  const { port, counts } = await start(decider)
  const socket = connect(port, '127.0.0.1')
  const head = `POST /access/v1/search/resource HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer ${keyOf('a')}\r\nContent-Type: application/json`
  socket.write(`${head}\r\nContent-Length: ${SEARCH.length}\r\n\r\n${SEARCH}`)
  await expect.poll(() => decider.begun.length, { timeout: 20_000 }).toBe(1)
  expect(decider.begun[0]?.search?.isWanted?.()).toBe(true)
  socket.destroy()
  await expect.poll(() => decider.begun[0]?.search?.isWanted?.(), { timeout: 20_000 }).toBe(false)
  decider.release()
  await expect.poll(() => counts.get('in_flight'), { timeout: 20_000 }).toBe(0)
})
