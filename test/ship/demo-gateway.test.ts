import { afterEach, describe, expect, test } from 'vitest'
import type { Verdict } from '../../demo/decide.ts'
import { warderAt } from '../../demo/decide.ts'
import { type McpGateway, startMcpGateway } from '../../demo/mcp-gateway.ts'
import { type McpServer, startMcpServer } from '../../demo/mcp-server.ts'
import { dutiesOf, withoutFields } from '../../demo/obligations.ts'
import { freePorts } from '../e2e/ports.ts'

const opened: (McpGateway | McpServer)[] = []

afterEach(async () => {
  for (const each of opened.splice(0)) await each.close()
})

const ALLOW: Verdict = { allowed: true, code: '', message: '', obligations: [], decisionId: undefined }

/** Sends `body` through a gateway that gets `verdict`; gives the answer and what the MCP server ran. */
async function through(verdict: Verdict, body: string, headers: Readonly<Record<string, string>> = {}) {
  const server = await startMcpServer()
  const gateway = await startMcpGateway({
    upstreamPort: server.port,
    decide: () => Promise.resolve(verdict),
    approve: () => Promise.resolve(false),
    isFirst: false,
  })
  opened.push(server, gateway)
  const response = await fetch(`http://127.0.0.1:${gateway.port}/mcp`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer t', ...headers },
    body,
  })
  return { status: response.status, text: await response.text(), ran: server.ran }
}

function call(params: unknown): string {
  return JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params })
}

describe('what the gateway of the demo can not decide about it does not pass on', () => {
  test.each([
    ['a batch', `[${call({ name: 'delete_repo' })}]`],
    ['arguments that are a list', call({ name: 'delete_repo', arguments: ['website'] })],
    ['a name that is no text', call({ name: ['delete_repo'] })],
    ['broken JSON', '{"jsonrpc":"2.0"'],
    ['another method', JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/unknown' })],
  ])('%s', async (_what, body) => {
    const { text, ran } = await through(ALLOW, body)
    expect(text).toContain('error')
    expect(ran).toEqual([])
  })
})

test('an obligation that it does not know makes an allow a deny', async () => {
  const verdict = { ...ALLOW, obligations: [{ type: 'step_up', acr_value: 'phr' }] }
  const { text, ran } = await through(verdict, call({ name: 'list_repo' }))
  expect(text).toContain('gateway.obligation')
  expect(ran).toEqual([])
})

test('a call that nobody approved is not made', async () => {
  const verdict = { ...ALLOW, obligations: [{ type: 'human_approval' }] }
  const { text, ran } = await through(verdict, call({ name: 'create_release' }))
  expect(text).toContain('gateway.not_approved')
  expect(ran).toEqual([])
})

test('without an answer from Warder nothing is allowed', async () => {
  const [port = 0] = await freePorts(1)
  const question = { tool: { server: 'workbench', name: 'list_repo' }, arguments: {}, accessToken: 't' }
  expect(await warderAt(port, 'key')(question)).toMatchObject({ allowed: false, code: 'gateway.unavailable' })
})

test('redaction reaches into lists and into texts that are JSON, and gives nothing of what only looks like it', () => {
  const value = { a: [{ iban: 'x', b: 1 }], text: '{"iban":"x","c":{"iban":"y","d":2}}', odd: '{"iban":"x"' }
  const redacted = { a: [{ b: 1 }], text: '{"c":{"d":2}}', odd: '[redacted]' }
  expect(withoutFields(value, ['iban'])).toEqual(redacted)
})

test('redaction of arguments is not among what it can do', () => {
  expect(dutiesOf([{ type: 'redact', in: 'arguments', fields: ['a'] }]).unknown).toEqual(['redact'])
})
