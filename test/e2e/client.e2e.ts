import { createServer, type IncomingMessage } from 'node:http'
import { serve } from '@hono/node-server'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js'
import { createMcpExpressApp } from '@modelcontextprotocol/sdk/server/express.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { Hono } from 'hono'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { type Warder as Asker, type CallAnswer, createWarder } from '../../integrations/client-ts/client.ts'
import { decidedOf, warderForExpress } from '../../integrations/client-ts/express.ts'
import { warderForHono } from '../../integrations/client-ts/hono.ts'
import { guardTool } from '../../integrations/client-ts/mcp.ts'
import { dpopProof, proofKey } from '../support/proofs.ts'
import { addGateway, pushDemo, setAgentStatus, TENANT, textOf } from './demo.ts'
import { type Call, send } from './http.ts'
import type { TestIssuer } from './issuer.ts'
import { freePorts, until } from './ports.ts'
import { startDemo } from './prepared.ts'
import type { Warder } from './warder.ts'

const CUT_WITHIN_MILLISECONDS = 1_000
const LISTING_MAY_BE_KEPT = `@id("listing-may-be-kept")
@obligation("{\\"type\\":\\"max_age\\",\\"seconds\\":60}")
permit (principal is Warder::Agent, action == Warder::Action::"github/list_repos", resource);
`

type Decided = Extract<CallAnswer, { allowed: true }>

let warder: Warder
let issuer: TestIssuer
let asker: Asker
/** What the handlers ran, newest last. */
const ran: { readonly by: string; readonly headers: Readonly<Record<string, string>> }[] = []
const closing: (() => Promise<unknown> | unknown)[] = []
const ports = { hono: 0, express: 0 }

beforeAll(async () => {
  ;({ warder, issuer } = await startDemo())
  await pushDemo(warder, { 'listing-may-be-kept.cedar': LISTING_MAY_BE_KEPT }, '--activate')
  // What clients send must not count even for a service whose word does.
  const gatewayKey = await addGateway(warder, 'service', '--assert', 'identity')
  // Slow enough for a machine on which much else runs; no test waits for it.
  asker = createWarder({
    url: `http://127.0.0.1:${warder.decisionPort}`,
    gatewayKey,
    timeoutMilliseconds: 5_000,
  })
  expect(await asker.follow()).toBe(true)
  ports.hono = await startHono()
  ports.express = await startExpress()
})

afterAll(async () => {
  for (const close of closing.toReversed()) await close()
  asker?.close()
  await warder?.remove()
})

async function startHono(): Promise<number> {
  const app = new Hono<{ Variables: { warder: Decided } }>()
  app.use(warderForHono(asker))
  app.all('*', (c) => {
    ran.push({ by: c.get('warder').agent ?? '', headers: c.req.header() })
    if (c.req.path !== '/repos/stream') return c.json({ from: 'hono' })
    return c.body(
      new ReadableStream({ start: (stream) => stream.enqueue(new TextEncoder().encode('begun')) }),
    )
  })
  const [port = 0] = await freePorts(1)
  const server = serve({ fetch: app.fetch, port, hostname: '127.0.0.1' })
  closing.push(() => server.close())
  return port
}

async function startExpress(): Promise<number> {
  const app = createMcpExpressApp({ host: '0.0.0.0' })
  app.use(warderForExpress(asker))
  app.use((request: IncomingMessage, response: import('node:http').ServerResponse) => {
    const headers = Object.fromEntries(
      Object.entries(request.headers).map(([name, value]) => [name, String(value)]),
    )
    ran.push({ by: decidedOf(request)?.agent ?? '', headers })
    if (request.url === '/repos/stream') response.write('begun')
    else response.end('{"from":"express"}')
  })
  const server = createServer(app)
  const [port = 0] = await freePorts(1)
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  closing.push(() => server.closeAllConnections() ?? server.close())
  return port
}

async function ask(port: number, agent: string, call: Call) {
  const authorization = `Bearer ${await issuer.token(agent, 'alice')}`
  return await send(port, { ...call, headers: { authorization, ...call.headers } })
}

describe.each(['hono', 'express'] as const)('the middleware for %s', (name) => {
  test('runs what is allowed, and the handler knows who calls', async () => {
    const before = ran.length
    const headers = { 'x-agent-purpose': 'forged' }
    expect(await ask(ports[name], 'triage-bot', { path: '/repos/7', headers })).toMatchObject({
      status: 200,
      body: `{"from":"${name}"}`,
    })
    expect(ran.slice(before)).toMatchObject([
      { by: 'triage-bot', headers: { 'x-warder-agent': 'triage-bot', 'x-agent-purpose': 'agent-read' } },
    ])
  })

  test('does not believe who a client says that it is, and the handler does not see it', async () => {
    const before = ran.length
    const headers = {
      'x-warder-agent': 'forged',
      'x-warder-user': 'forged',
      'x-forwarded-client-cert': 'forged',
    }
    expect(await ask(ports[name], 'triage-bot', { path: '/repos/7', headers })).toMatchObject({ status: 200 })
    expect(JSON.stringify(ran.slice(before))).not.toContain('forged')
    const nobody = { path: '/repos/7', headers: { ...headers, authorization: '' } }
    expect((await ask(ports[name], 'triage-bot', nobody)).status).toBe(401)
  })

  const denied: readonly (readonly [string, Call, number])[] = [
    ['what policy does not permit', { method: 'DELETE', path: '/repos/7' }, 403],
    ['a forged identity in another spelling', { path: '/repos', headers: { x_warder_user: 'alice' } }, 403],
    ['a bad token', { path: '/repos', headers: { authorization: 'Bearer x' } }, 401],
    ['another path than it looks like', { path: '/repos/%252e%252e/admin' }, 403],
    [
      'another method than it looks like',
      { path: '/repos', headers: { 'x-http-method-override': 'DELETE' } },
      403,
    ],
  ]
  test.each(denied)('does not run %s', async (_what, call, status) => {
    const before = ran.length
    const answer = await ask(ports[name], 'triage-bot', call)
    expect(answer.status).toBe(status)
    expect(answer.headers['x-decision-id']).toBeDefined()
    expect(ran.length).toBe(before)
  })

  test('cuts a stream within a second of the revocation of its agent', async () => {
    const authorization = `Bearer ${await issuer.token('triage-bot', 'alice')}`
    const response = await fetch(`http://127.0.0.1:${ports[name]}/repos/stream`, {
      headers: { authorization },
    })
    const reader = response.body?.getReader()
    expect(new TextDecoder().decode((await reader?.read())?.value)).toBe('begun')
    let cut = false
    const rest = reader?.read().then(
      () => undefined,
      () => {
        cut = true
      },
    )
    const revoked = await warder.json('revoke', 'agent', 'triage-bot', '--reason', 'test', '--tenant', TENANT)
    try {
      await until('the stream is cut', CUT_WITHIN_MILLISECONDS, () => cut)
      await rest
      expect((await ask(ports[name], 'triage-bot', { path: '/repos' })).status).toBeGreaterThanOrEqual(400)
    } finally {
      await warder.cli('revoke', 'lift', textOf(revoked, 'revocation'), '--tenant', TENANT)
    }
    await until('the agent is back', 5_000, async () => {
      return (await ask(ports[name], 'triage-bot', { path: '/repos' })).status === 200
    })
  })
})

describe('a guarded tool of an MCP server', () => {
  /** A client of a server with two tools, called with `token`. */
  async function connect(token: string | undefined) {
    const calls: string[] = []
    const server = new McpServer({ name: 'github', version: '1.0.0' })
    for (const name of ['list_repos', 'delete_repo']) {
      const run = guardTool(asker, 'github', name, () => {
        calls.push(name)
        return { content: [{ type: 'text' as const, text: 'done' }] }
      })
      const inputSchema = { repo: z.string().optional() }
      server.registerTool(name, { inputSchema }, (args, extra) =>
        run(args, {
          ...extra,
          ...(token !== undefined && { authInfo: { token, clientId: '', scopes: [] } }),
        }),
      )
    }
    const client = new Client({ name: 'agent', version: '1.0.0' })
    const [near, far] = InMemoryTransport.createLinkedPair()
    await server.connect(far)
    await client.connect(near)
    closing.push(() => client.close())
    return { calls, call: (name: string) => client.callTool({ name, arguments: {} }) }
  }

  test('runs when the agent and its user may, and else says why not', async () => {
    const { calls, call } = await connect(await issuer.token('triage-bot', 'alice'))
    expect(await call('list_repos')).toMatchObject({ content: [{ text: 'done' }] })
    const refused = await call('delete_repo')
    expect(refused).toMatchObject({ isError: true })
    expect(JSON.stringify(refused)).toContain('policy.no_permit')
    expect(calls).toEqual(['list_repos'])
  })

  test('does not run for nobody', async () => {
    const { calls, call } = await connect(undefined)
    expect(await call('list_repos')).toMatchObject({ isError: true })
    expect(calls).toEqual([])
  })
})

describe('an allow with max_age', () => {
  test('is used again while nothing changes, and by nobody else', async () => {
    const question = {
      tool: 'github/list_repos',
      credentials: { access_token: await issuer.token('triage-bot', 'alice') },
    }
    const first = await asker.decide(question)
    expect(first.decision).toBe('allow')
    expect((await asker.decide({ ...question, request: { id: 'other' } })).decision_id).toBe(
      first.decision_id,
    )
    const other = { ...question, tool: 'github/delete_repo' }
    expect((await asker.decide(other)).decision).toBe('deny')
    const somebody = { ...question, credentials: { access_token: await issuer.token('old-bot', 'alice') } }
    expect((await asker.decide(somebody)).decision).toBe('deny')
  })

  test('is worth nothing within a second of a change', async () => {
    const question = {
      tool: 'github/list_repos',
      credentials: { access_token: await issuer.token('triage-bot', 'alice') },
    }
    expect((await asker.decide(question)).decision).toBe('allow')
    await setAgentStatus(warder, 'triage-bot', 'suspended')
    try {
      await until(
        'it is denied',
        CUT_WITHIN_MILLISECONDS,
        async () => (await asker.decide(question)).decision === 'deny',
      )
    } finally {
      await setAgentStatus(warder, 'triage-bot', 'active')
    }
  })
})

describe('a question that is repeated under its key', () => {
  let gatewayKey: string
  beforeAll(async () => {
    gatewayKey = await addGateway(warder, 'repeating', '--external-url', 'https://api.test')
  })

  /** Asks once under `key`. */
  async function ask(key: string, body: object) {
    const response = await fetch(`http://127.0.0.1:${warder.decisionPort}/v1/decide`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${gatewayKey}`,
        'content-type': 'application/json',
        'idempotency-key': `"${key}"`,
      },
      body: JSON.stringify(body),
    })
    return JSON.parse(await response.text())
  }

  test('uses its proof once, and is answered by the same decision', async () => {
    const key = await proofKey()
    const token = await issuer.token('triage-bot', 'alice', { cnf: { jkt: key.jkt } })
    const claims = { htm: 'GET', htu: 'https://api.test/repos', iat: Math.floor(Date.now() / 1000) }
    const question = {
      tool: 'github/list_repos',
      credentials: { access_token: token, token_type: 'DPoP' },
      proofs: {
        call: { method: 'GET', path: '/repos', host: 'api.test' },
        dpop: [await dpopProof(key, token, claims)],
      },
    }
    const first = await ask('proof', question)
    expect(first).toMatchObject({ decision: 'allow' })
    expect(await ask('proof', question)).toEqual(first)
    expect(await ask('another', question)).toMatchObject({
      decision: 'deny',
      reasons: [{ code: 'pop.replayed' }],
    })
  })

  test('INVARIANT: an allow is not given again once its agent is revoked', async () => {
    const question = {
      tool: 'github/list_repos',
      credentials: { access_token: await issuer.token('triage-bot', 'alice') },
    }
    const first = await ask('revoked', question)
    expect(first).toMatchObject({ decision: 'allow' })
    expect(await ask('revoked', question)).toEqual(first)
    const revoked = await warder.json('revoke', 'agent', 'triage-bot', '--reason', 'test', '--tenant', TENANT)
    try {
      await until('the repeat is denied', 30_000, async () => {
        const { decision, decision_id: id } = await ask('revoked', question)
        return decision === 'deny' && id !== first.decision_id
      })
    } finally {
      await warder.cli('revoke', 'lift', textOf(revoked, 'revocation'), '--tenant', TENANT)
    }
    await until('the agent is back', 30_000, async () => {
      return (await ask(crypto.randomUUID(), question)).decision === 'allow'
    })
  })
})

test('without Warder nothing is allowed, nothing is held, and all is back once Warder is', async () => {
  const question = {
    tool: 'github/list_repos',
    credentials: { access_token: await issuer.token('triage-bot', 'alice') },
  }
  await until('it is allowed', 5_000, async () => (await asker.decide(question)).decision === 'allow')
  const { signal } = asker.hold()
  expect(signal.aborted).toBe(false)
  await warder.kill()
  await until('what was held is cut', CUT_WITHIN_MILLISECONDS, () => signal.aborted)
  expect((await asker.decide(question)).decision).toBe('deny')
  expect((await ask(ports.hono, 'triage-bot', { path: '/repos' })).status).toBe(503)
  expect((await ask(ports.express, 'triage-bot', { path: '/repos' })).status).toBe(503)
  await warder.start()
  await until('it follows again', 10_000, async () => asker.follow())
  expect((await ask(ports.hono, 'triage-bot', { path: '/repos' })).status).toBe(200)
})
