import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  Client as ModernClient,
  StreamableHTTPClientTransport as ModernTransport,
} from '@modelcontextprotocol/client'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { addGateway, TENANT } from './demo.ts'
import { envoyStarter, nginxStarter, type RunningGateway, type StartGateway } from './gateway-process.ts'
import type { TestIssuer } from './issuer.ts'
import { type ReachedServer, startModernServer } from './mcp-servers.ts'
import { startDemo } from './prepared.ts'
import type { Warder } from './warder.ts'

const group = (id: string) => [{ type: 'Warder::Action', id }]
const REGISTRY = {
  entities: [
    {
      uid: { type: 'Warder::Server', id: 'repos' },
      attrs: { protocol: 'mcp', endpoint: '/mcp' },
      parents: [],
    },
    { uid: { type: 'Warder::Action', id: 'repos/read_file' }, attrs: {}, parents: group('readTools') },
    {
      uid: { type: 'Warder::Action', id: 'repos/delete_repo' },
      attrs: {},
      parents: group('destructiveTools'),
    },
  ],
}

let warder: Warder
let issuer: TestIssuer
let server: ReachedServer
const gateways: RunningGateway[] = []

beforeAll(async () => {
  server = await startModernServer()
  ;({ warder, issuer } = await startDemo())
  const file = join(warder.dataDir, 'mcp-registry.json')
  writeFileSync(file, JSON.stringify(REGISTRY))
  await warder.cli('registry', 'import', file, '--tenant', TENANT)
})
afterAll(async () => {
  for (const gateway of gateways) await gateway.stop()
  await warder?.remove()
  await server?.close()
})

async function open(name: string, start: StartGateway): Promise<URL> {
  const gateway = await start({
    key: await addGateway(warder, name),
    decisionPort: warder.decisionPort,
    extAuthzPort: warder.extAuthzPort,
    upstreamPort: server.port,
  })
  gateways.push(gateway)
  return new URL(`http://127.0.0.1:${gateway.port}/mcp`)
}

async function authorization(): Promise<{ readonly authorization: string }> {
  return { authorization: `Bearer ${await issuer.token('triage-bot', 'alice')}` }
}

/** What a raw call gets: its status, and whether anything ran. */
async function raw(url: URL, headers: Record<string, string>, body: unknown): Promise<string> {
  const before = server.ran.length
  const usual = { 'content-type': 'application/json', accept: 'application/json, text/event-stream' }
  const init = {
    method: 'POST',
    headers: { ...usual, ...(await authorization()), ...headers },
    body: JSON.stringify(body),
  }
  const { status } = await fetch(url, init)
  return server.ran.length === before ? `${status}` : `${status}, ran ${server.ran.at(-1)}`
}

const toolCall = (name: string) => ({
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name, arguments: {} },
})
const sentinel = (text: string): string => `=?base64?${Buffer.from(text).toString('base64')}?=`

describe('MCP through Envoy, which passes bodies on', () => {
  let url: URL
  beforeAll(async () => {
    url = await open('mcp-envoy', envoyStarter(inject('envoy'), 'mcp.yaml'))
  })

  test('the official client of revision 2025-11-25 calls what is permitted and nothing else', async () => {
    const client = new Client({ name: 'agent', version: '1.0.0' })
    const transport = new StreamableHTTPClientTransport(url, {
      requestInit: { headers: await authorization() },
    })
    await client.connect(transport as Parameters<typeof client.connect>[0])
    expect((await client.listTools()).tools).toHaveLength(2)
    expect(await client.callTool({ name: 'read_file' })).toMatchObject({
      content: [{ text: 'read_file ran' }],
    })
    await expect(client.callTool({ name: 'delete_repo' })).rejects.toThrow(/403|policy/)
    expect(server.ran).not.toContain('delete_repo')
    await client.close()
  })

  test('the official client of revision 2026-07-28 does too', async () => {
    await modern(url)
  })

  test.each([
    [
      'a lying header',
      { 'mcp-protocol-version': '2026-07-28', 'mcp-method': 'tools/call', 'mcp-name': 'read_file' },
      toolCall('delete_repo'),
      '400',
    ],
    ['an old revision and a lying header', { 'mcp-name': 'read_file' }, toolCall('delete_repo'), '400'],
    ['a batch', {}, [toolCall('read_file'), toolCall('delete_repo')], '403'],
    [
      'a batch of an old revision',
      { 'mcp-protocol-version': '2025-03-26' },
      [toolCall('delete_repo')],
      '403',
    ],
  ])('%s runs nothing', async (_, headers, body, status) => {
    expect(await raw(url, headers, body)).toBe(status)
  })
})

describe('MCP through nginx, which passes headers only', () => {
  let url: URL
  beforeAll(async () => {
    url = await open('mcp-nginx', nginxStarter(inject('nginx')))
  })

  test('the official client of revision 2026-07-28 calls what is permitted and nothing else', async () => {
    await modern(url)
  })

  test.each([
    [
      'a downgrade',
      { 'mcp-protocol-version': '2025-11-25', 'mcp-method': 'tools/call', 'mcp-name': 'read_file' },
      toolCall('delete_repo'),
    ],
    ['no revision', { 'mcp-method': 'tools/call', 'mcp-name': 'read_file' }, toolCall('delete_repo')],
    [
      'a name behind the sentinel',
      {
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'tools/call',
        'mcp-name': sentinel('delete_repo'),
      },
      toolCall('delete_repo'),
    ],
    ['a batch', { 'mcp-protocol-version': '2025-11-25' }, [toolCall('read_file'), toolCall('delete_repo')]],
  ])('%s runs nothing', async (_, headers, body) => {
    expect(await raw(url, headers, body)).toBe('403')
  })

  test('a header that lies is refused by the server itself, as the revision demands', async () => {
    const headers = {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'read_file',
    }
    expect(await raw(url, headers, toolCall('delete_repo'))).toBe('400')
  })
})

async function modern(url: URL): Promise<void> {
  const client = new ModernClient(
    { name: 'agent', version: '2.0.0' },
    { versionNegotiation: { mode: 'auto' } },
  )
  await client.connect(new ModernTransport(url, { requestInit: { headers: await authorization() } }))
  const before = server.ran.length
  expect(await client.callTool({ name: 'read_file' })).toMatchObject({ content: [{ text: 'read_file ran' }] })
  await expect(client.callTool({ name: 'delete_repo' })).rejects.toThrow()
  expect(server.ran.slice(before)).toEqual(['read_file'])
  await client.close()
}
