import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { createClientDocuments, type FetchedClientDocuments } from '#identity/client-documents.ts'
import { parseIssuer } from '#identity/issuer.ts'
import { sendOutbound } from '#identity/outbound.ts'
import type { EpochMilliseconds } from '#lib/clock.ts'
import type { TenantId } from '#model/ids.ts'
import { issuer, TENANT } from '../support/tokens.ts'

const MINUTE = 60_000
/** It may reach this machine, where the test's server is. */
const trusting = issuer([], { clientMetadata: true, privateNetwork: true })

let server: Server
let base: string
let url: string
let now = 0
let asked: string[] = []
let faults: string[] = []
let answer: (response: ServerResponse, path: string) => void
let documents: FetchedClientDocuments

const publish = (document: object, type = 'application/json') => {
  answer = (response) => response.setHeader('content-type', type).end(JSON.stringify(document))
}

beforeEach(async () => {
  ;[now, asked, faults] = [1_800_000_000_000, [], []]
  server = createServer((request, response) => {
    asked.push(request.url ?? '')
    answer(response, request.url ?? '')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  url = `${base}/clients/7.json`
  publish({ client_id: url, client_name: 'Seven' })
  documents = createClientDocuments({
    send: sendOutbound,
    clock: () => now as EpochMilliseconds,
    onFault: (_, cause) => faults.push(cause),
  })
})
afterEach(() => {
  documents.close()
  server.closeAllConnections()
  server.close()
})

const at = (id = url, by = trusting, tenant = TENANT) =>
  documents.standingOf(id, by, tenant, now as EpochMilliseconds)
/** What is known once the fetch that a question caused has ended. */
async function found(id = url, by = trusting) {
  at(id, by)
  await documents.settled()
  return at(id, by)
}

test('nothing waits for a document: it is unknown at first, and good once it was fetched, once', async () => {
  expect(at()).toBe('unknown')
  expect(at()).toBe('unknown')
  expect(await found()).toBe('good')
  expect(at()).toBe('good')
  expect(asked).toEqual(['/clients/7.json'])
})

test.each<[string, (response: ServerResponse) => void, string]>([
  ['of another client', (r) => r.end(JSON.stringify({ client_id: `${url}x` })), 'wrong'],
  ['that names nobody', (r) => r.end('{}'), 'wrong'],
  ['that names its client twice', (r) => r.end(`{"client_id":"${url}","client_id":"${url}"}`), 'wrong'],
  ['with a secret', (r) => r.end(JSON.stringify({ client_id: url, client_secret: 's' })), 'wrong'],
  [
    'of a client with a secret',
    (r) => r.end(JSON.stringify({ client_id: url, token_endpoint_auth_method: 'client_secret_post' })),
    'wrong',
  ],
  ['that is a list', (r) => r.end('[]'), 'wrong'],
  ['that is a page', (r) => r.setHeader('content-type', 'text/html').end('{}'), 'wrong'],
  ['that is not there', (r) => r.writeHead(404).end('{}'), 'wrong'],
  ['that is somewhere else', (r) => r.writeHead(302, { location: `${base}/other` }).end(), 'wrong'],
  [
    'that is larger than 5 KiB',
    (r) => r.end(JSON.stringify({ client_id: url, x: 'x'.repeat(5_200) })),
    'unknown',
  ],
  ['of a server in trouble', (r) => r.writeHead(503).end('{}'), 'unknown'],
  ['that is cut', (r) => r.writeHead(200, { 'content-length': '500' }).destroy(), 'unknown'],
])('a document %s is %s', async (_, broken, expected) => {
  answer = (response) => broken(response.setHeader('content-type', 'application/json'))
  expect(await found()).toBe(expected)
  expect(asked).toEqual(['/clients/7.json'])
  expect(faults).toHaveLength(1)
})

test.each([
  ['a site', () => `${base}/`],
  ['dot segments', () => `${base}/clients/../7.json`],
  ['a fragment', () => `${url}#x`],
  ['an empty fragment', () => `${url}#`],
  ['credentials', () => url.replace('//', '//a:b@')],
  ['another spelling', () => url.replace('http', 'HTTP')],
  ['a blank', () => `${url} `],
  ['another scheme', () => 'file:///etc/passwd'],
  ['http to another host', () => 'http://idp.example/clients/7.json'],
  ['too many characters', () => `${url}${'x'.repeat(600)}`],
])('%s is no URL of a document, and nothing is fetched', async (_, id) => {
  expect(await found(id())).toBe('wrong')
  expect(asked).toEqual([])
})

test('only an issuer that may reach private networks makes this machine be asked', async () => {
  const guarded = issuer([], { clientMetadata: true })
  expect(await found(url, guarded)).toBe('wrong')
  const secure = url.replace('http:', 'https:')
  expect(await found(secure, guarded)).toBe('unknown')
  expect(faults.join()).toContain('not public')
  expect(asked).toEqual([])
})

test('a failure is asked about again after a while that grows, and keeps a good document for an hour', async () => {
  answer = (response) => response.writeHead(500).end()
  expect(await found()).toBe('unknown')
  expect(await found()).toBe('unknown')
  expect(asked).toHaveLength(1)
  publish({ client_id: url })
  now += 1_000
  expect(await found()).toBe('good')
  answer = (response) => response.writeHead(500).end()
  now += 6 * MINUTE
  expect(await found()).toBe('good')
  expect(asked).toHaveLength(3)
  now += 54 * MINUTE
  expect(await found()).toBe('unknown')
})

test('a document that became wrong serves no more', async () => {
  expect(await found()).toBe('good')
  publish({ client_id: 'https://evil.example/7.json' })
  now += 6 * MINUTE
  expect(await found()).toBe('wrong')
})

test('tenants fetch for themselves, and one tenant has a bounded number of fetches under way', async () => {
  const held: ServerResponse[] = []
  answer = (response) => void held.push(response)
  for (let i = 0; i < 100; i++) expect(at(`${base}/clients/${i}`)).toBe('unknown')
  await expect.poll(() => held.length, { timeout: 20_000 }).toBe(8)
  expect(at(url, trusting, 'globex' as TenantId)).toBe('unknown')
  await expect.poll(() => held.length, { timeout: 20_000 }).toBe(9)
  for (const response of held) response.destroy()
  await documents.settled()
  expect(asked).toHaveLength(9)
})

describe('an issuer file', () => {
  const file = { issuer: 'https://idp.example', audience: 'a', jwks_uri: 'https://idp.example/jwks' }
  test.each([
    [{}, undefined],
    [{ client_metadata: false }, undefined],
    [{ client_metadata: true }, true],
  ])('with %j says whether its clients have documents: %s', (more, expected) => {
    const read = parseIssuer({ ...file, ...more })
    expect(read.ok && read.value.clientMetadata).toBe(expected)
  })
  test('that says something else is refused', () => {
    expect(parseIssuer({ ...file, client_metadata: 'yes' })).toMatchObject({ ok: false })
  })
})
