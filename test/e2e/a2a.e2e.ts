import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Client, ClientFactory, JsonRpcTransportFactory, RestTransportFactory } from '@a2a-js/sdk/client'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import {
  cardOf,
  type Interface,
  interfaceAt,
  message,
  type ReachedAgent,
  SPOKEN,
  startAgent,
  TASK,
} from './a2a-server.ts'
import { addGateway, pushDemo, TENANT } from './demo.ts'
import { envoyStarter, type RunningGateway } from './gateway-process.ts'
import type { TestIssuer } from './issuer.ts'
import { startDemo } from './prepared.ts'
import type { Warder } from './warder.ts'

const agentAt = (id: string, endpoint: string) => ({
  uid: { type: 'Warder::Server', id },
  attrs: { protocol: 'a2a', endpoint },
  parents: [],
})
const REGISTRY = { entities: [agentAt('planner', '/a2a'), agentAt('planner-rest', '/a2a-rest')] }
const MESSAGES = ['planner', 'planner-rest'].flatMap((server) =>
  ['SendMessage', 'SendStreamingMessage'].map((method) => `"${server}/a2a:${method}"`),
)
/** Whoever acts for alice may send messages; reading is permitted as it is, and nothing else. */
const POLICIES = {
  'planner.cedarschema': `namespace Warder { action ${MESSAGES.join(', ')} in ["writeTools"]; }`,
  'agents-send.cedar': `@id("agents-send") permit (principal is Warder::Agent, action in [${MESSAGES.map((id) => `Warder::Action::${id}`).join(', ')}], resource);\n`,
  'users-send.cedar': `@id("users-send") permit (principal == Warder::User::"alice", action in [${MESSAGES.map((id) => `Warder::Action::${id}`).join(', ')}], resource);\n`,
}
let warder: Warder
let issuer: TestIssuer
let agent: ReachedAgent

beforeAll(async () => {
  agent = await startAgent()
  ;({ warder, issuer } = await startDemo())
  const file = join(warder.dataDir, 'a2a-registry.json')
  writeFileSync(file, JSON.stringify(REGISTRY))
  await warder.cli('registry', 'import', file, '--tenant', TENANT)
  await pushDemo(warder, POLICIES, '--activate')
})
afterAll(async () => {
  await warder?.remove()
  await agent?.close()
})

/** The official client, for one interface, as `user`'s agent. */
async function clientOf({ url, ...more }: Interface, user: string): Promise<Client> {
  const authorization = `Bearer ${await issuer.token('triage-bot', user)}`
  const options = {
    legacyCompat: { enabled: true },
    fetchImpl: (input: Parameters<typeof fetch>[0], init?: RequestInit) =>
      fetch(input, {
        ...init,
        headers: { ...Object.fromEntries(new Headers(init?.headers)), authorization },
      }),
  }
  const transports = [new JsonRpcTransportFactory(options), new RestTransportFactory(options)]
  return await new ClientFactory({ transports }).createFromAgentCard(cardOf({ url, ...more }))
}

const sending = (text: string) => ({
  tenant: '',
  message: message(text),
  configuration: undefined,
  metadata: undefined,
})

describe('A2A through Envoy, which passes bodies on', () => {
  let gateway: RunningGateway | undefined
  let port = 0
  beforeAll(async () => {
    gateway = await envoyStarter(
      inject('envoy'),
      'mcp.yaml',
    )({
      key: await addGateway(warder, 'a2a-envoy'),
      decisionPort: warder.decisionPort,
      extAuthzPort: warder.extAuthzPort,
      upstreamPort: agent.port,
    })
    port = gateway.port
  })
  afterAll(async () => await gateway?.stop())

  describe.each(SPOKEN)('$binding of $version', ({ binding, path, version }) => {
    const open = (user: string) =>
      clientOf(interfaceAt(`http://127.0.0.1:${port}`, binding, path, version), user)

    test('the official client does what is permitted', async () => {
      const client = await open('alice')
      expect(client.protocolVersion).toBe(version)
      const before = agent.did.length
      expect(await client.getTask({ tenant: '', id: TASK, historyLength: undefined })).toMatchObject({
        id: TASK,
      })
      expect(await client.sendMessage(sending('plan'))).toMatchObject({
        parts: [{ content: { value: 'done' } }],
      })
      const events: unknown[] = []
      for await (const event of client.sendMessageStream(sending('plan'))) events.push(event)
      expect(JSON.stringify(events)).toContain('done')
      expect(agent.did.slice(before)).toEqual(['execute', 'execute'])
    })

    test('and nothing else', async () => {
      const before = agent.did.length
      const cancel = { tenant: '', id: TASK, metadata: undefined }
      await expect((await open('alice')).cancelTask(cancel)).rejects.toThrow(/403|policy/)
      await expect((await open('bob')).sendMessage(sending('plan'))).rejects.toThrow(/403|policy/)
      expect(agent.did.slice(before)).toEqual([])
    })
  })

  test.each([
    ['a method of 1.0 under 0.3', '/a2a', {}, { method: 'SendMessage' }],
    ['a method that is none', '/a2a', { 'a2a-version': '1.0' }, { method: 'EraseEverything' }],
    ['an unknown version', '/a2a', { 'a2a-version': '2.0' }, { method: 'GetTask' }],
    ['a batch', '/a2a', {}, [{ jsonrpc: '2.0', id: 1, method: 'tasks/get', params: { id: TASK } }]],
    ['a path that is none', '/a2a-rest/tasks/task-1:erase', { 'a2a-version': '1.0' }, {}],
  ])('%s goes nowhere', async (_what, path, headers, body) => {
    const before = agent.did.length
    const response = await fetch(`http://127.0.0.1:${port}${path}`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${await issuer.token('triage-bot', 'alice')}`,
        'content-type': 'application/json',
        ...headers,
      },
      body: JSON.stringify(Array.isArray(body) ? body : { jsonrpc: '2.0', id: 1, params: {}, ...body }),
    })
    expect(response.status).toBe(403)
    expect(await response.text()).toMatch(/rpc\.|a2a\.version/)
    expect(agent.did).toHaveLength(before)
  })
})
