import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest'
import { rpc } from './bypasses.ts'
import { addGateway, TENANT } from './demo.ts'
import { envoyStarter, type RunningGateway } from './gateway-process.ts'
import { send } from './http.ts'
import { createIssuer, type TestIssuer } from './issuer.ts'
import { type ReachedServer, startModernServer } from './mcp-servers.ts'
import { startDemo } from './prepared.ts'
import { startUpstream, type Upstream } from './upstream.ts'
import type { Warder } from './warder.ts'

const PAGE = 'docs/gateways/envoy-grpc.md'
const EXT_AUTHZ = '                  - name: envoy.filters.http.ext_authz\n'

let warder: Warder
let issuer: TestIssuer
const running: RunningGateway[] = []
beforeAll(async () => {
  ;({ warder, issuer } = await startDemo())
})
afterAll(async () => {
  for (const each of running) await each.stop()
  await warder?.remove()
})

/** The filter of this name as the page shows it. */
function shownFilter(name: string): string {
  const blocks = [...readFileSync(PAGE, 'utf8').matchAll(/^```yaml\n([\s\S]*?)^```/gm)]
  const found = blocks.map((match) => match[1] ?? '').find((block) => block.includes(`- name: ${name}\n`))
  if (found === undefined) throw new Error(`${PAGE} does not show ${name}`)
  return found
}

/** The shipped configuration with a filter before Warder's. */
async function open(
  name: string,
  upstreamPort: number,
  filter: string,
  { options = [], more = [] }: { options?: readonly string[]; more?: readonly [string, string][] },
): Promise<number> {
  const inserted = filter.replace(/^(?=.)/gm, ' '.repeat(18))
  const change = [EXT_AUTHZ, `${inserted}${EXT_AUTHZ}`] as const
  const gateway = await envoyStarter(inject('envoy'), 'envoy-grpc.yaml', [change, ...more])({
    key: await addGateway(warder, name, ...options),
    decisionPort: warder.decisionPort,
    extAuthzPort: warder.extAuthzPort,
    upstreamPort,
  })
  running.push(gateway)
  return gateway.port
}

describe('a token that jwt_authn of a real Envoy has verified and taken out', () => {
  let upstream: Upstream
  const ports = { asserting: 0, plain: 0 }
  beforeAll(async () => {
    upstream = await startUpstream()
    const file = join(warder.dataDir, 'jwks.json')
    writeFileSync(file, JSON.stringify(Reflect.get(issuer.document, 'jwks')))
    const filter = shownFilter('envoy.filters.http.jwt_authn').replace('/etc/envoy/jwks.json', file)
    ports.asserting = await open('jwt', upstream.port, filter, { options: ['--assert', 'identity'] })
    ports.plain = await open('jwt-plain', upstream.port, filter, {})
  })
  afterAll(async () => await upstream?.close())
  beforeEach(() => upstream.forget())

  const ask = (port: number, token: string, method = 'GET', headers: Record<string, string> = {}) =>
    send(port, {
      method,
      path: method === 'GET' ? '/repos' : '/repos/7',
      headers: { authorization: `Bearer ${token}`, ...headers },
    })

  test('names agent and user, and reaches nobody behind', async () => {
    expect((await ask(ports.asserting, await issuer.token('triage-bot', 'alice'))).status).toBe(200)
    expect(upstream.last().headers).toMatchObject({
      'x-warder-agent': 'triage-bot',
      'x-warder-user': 'alice',
    })
    expect(upstream.last().headers).not.toHaveProperty('authorization')
  })

  test('permits no more than the two may, and nothing to who is suspended', async () => {
    const denied = await ask(ports.asserting, await issuer.token('triage-bot', 'alice'), 'DELETE')
    expect([denied.status, denied.body]).toEqual([403, expect.stringContaining('policy.no_permit')])
    const suspended = await ask(ports.asserting, await issuer.token('old-bot', 'alice'))
    expect([suspended.status, suspended.body]).toEqual([403, expect.stringContaining('agent.suspended')])
    expect(upstream.received).toEqual([])
  })

  test('gets no user from a header of the client', async () => {
    const alone = await issuer.token('triage-bot', 'triage-bot')
    for (const headers of [{ 'x-warder-user': 'alice' }, { 'x-warder-agent': 'release-bot' }]) {
      const answer = await ask(ports.asserting, alone, 'GET', headers)
      expect([answer.status, answer.body]).toEqual([403, expect.stringContaining('request.header_conflict')])
    }
    expect(upstream.received).toEqual([])
  })

  test('counts for nothing from a gateway that may not assert identity', async () => {
    const answer = await ask(ports.plain, await issuer.token('triage-bot', 'alice'))
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(answer.body).toContain('credentials.missing')
    expect(upstream.received).toEqual([])
  })

  test('without one, or with one of somebody else’s, Envoy itself refuses', async () => {
    const other = await (await createIssuer()).token('triage-bot', 'alice')
    expect((await ask(ports.asserting, other)).status).toBe(401)
    expect((await send(ports.asserting, { path: '/repos' })).status).toBe(401)
    expect(upstream.received).toEqual([])
  })
})

describe('a message that the MCP filter of a real Envoy has read', () => {
  let server: ReachedServer
  let url: URL
  beforeAll(async () => {
    server = await startModernServer()
    const action = (name: string, group: string) => ({
      uid: { type: 'Warder::Action', id: `repos/${name}` },
      attrs: {},
      parents: [{ type: 'Warder::Action', id: group }],
    })
    const attrs = { protocol: 'mcp', endpoint: '/mcp' }
    const entities = [
      { uid: { type: 'Warder::Server', id: 'repos' }, attrs, parents: [] },
      action('read_file', 'readTools'),
      action('delete_repo', 'destructiveTools'),
    ]
    const file = join(warder.dataDir, 'mcp-registry.json')
    writeFileSync(file, JSON.stringify({ entities }))
    await warder.cli('registry', 'import', file, '--tenant', TENANT)
    const shipped = readFileSync('integrations/envoy/envoy-grpc.yaml', 'utf8')
    const bodies = /^ +with_request_body:\n(?: +\w+: .*\n){3}/m.exec(shipped)?.[0] ?? 'none'
    const filter = shownFilter('envoy.filters.http.mcp')
    const port = await open('mcp-filter', server.port, filter, { more: [[bodies, '']] })
    url = new URL(`http://127.0.0.1:${port}/mcp`)
  })
  afterAll(async () => await server?.close())

  const headers = async () => ({
    authorization: `Bearer ${await issuer.token('triage-bot', 'alice')}`,
  })

  test('is decided on although no body came along: what is permitted runs, and nothing else', async () => {
    const client = new Client({ name: 'agent', version: '1.0.0' })
    const transport = new StreamableHTTPClientTransport(url, { requestInit: { headers: await headers() } })
    await client.connect(transport as Parameters<typeof client.connect>[0])
    expect((await client.listTools()).tools).toHaveLength(2)
    expect(await client.callTool({ name: 'read_file' })).toMatchObject({
      content: [{ text: 'read_file ran' }],
    })
    await expect(client.callTool({ name: 'delete_repo' })).rejects.toThrow(/403|policy/)
    await client.close()
    expect(server.ran).toEqual(['read_file'])
  })

  const second = '"params":{"name":"delete_repo","arguments":{}}'
  test.each([
    ['parameters twice', `${rpc('read_file').slice(0, -1)},${second}}`],
    ['parameters twice, the other way round', `{${second},${rpc('read_file').slice(1)}`],
    ['a name twice', rpc('read_file').replace('"name":', '"name":"delete_repo","name":')],
    [
      'a name twice, the other way round',
      rpc('delete_repo').replace('"arguments"', '"name":"read_file","arguments"'),
    ],
    ['a method twice', rpc('delete_repo').replace('"method":', '"method":"tools/list","method":')],
    ['a method twice, the other way round', `${rpc('delete_repo').slice(0, -1)},"method":"tools/list"}`],
    [
      'an escaped name',
      rpc('read_file').replace('"params"', '"p\\u0061rams":{"name":"delete_repo"},"params"'),
    ],
    ['a batch', `[${rpc('read_file')},${rpc('delete_repo')}]`],
    ['more behind its end', rpc('read_file') + rpc('delete_repo')],
    ['a long message', rpc('delete_repo', 'x'.repeat(200_000))],
  ])('%s never runs the tool that is not permitted', async (_what, body) => {
    const usual = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
    const response = await fetch(url, { method: 'POST', headers: { ...usual, ...(await headers()) }, body })
    await response.text()
    expect(server.ran).not.toContain('delete_repo')
  })
})
