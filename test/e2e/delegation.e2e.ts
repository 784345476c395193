import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { addGateway, TENANT } from './demo.ts'
import { send } from './http.ts'
import type { TestIssuer } from './issuer.ts'
import { startDemo } from './prepared.ts'
import type { Warder } from './warder.ts'

const SECOND = 1_000
const BLUEPRINT = 'runner'
const RUN = 'spiffe://example.org/runs/'

let warder: Warder
let issuer: TestIssuer
let key = ''

beforeAll(async () => {
  ;({ warder, issuer } = await startDemo())
  key = await addGateway(warder, 'edge')
})

afterAll(() => warder.remove())

async function answerTo(agent: string): Promise<string> {
  const { headers } = await send(warder.decisionPort, {
    path: '/forward-auth',
    headers: {
      authorization: `Bearer ${await issuer.token(agent, 'alice')}`,
      'x-warder-gateway-key': key,
      'x-forwarded-method': 'GET',
      'x-forwarded-uri': '/repos',
    },
  })
  return headers['x-warder-reason'] ?? 'none'
}

/** Waits until `agent` is answered with `reason`; a change has a second for that, from when its command ended. */
async function becomes(agent: string, reason: string): Promise<void> {
  const deadline = performance.now() + SECOND
  let last = ''
  while (performance.now() < deadline) {
    last = await answerTo(agent)
    if (last === reason) return
  }
  expect(last).toBe(reason)
}

const why = ['--tenant', TENANT, '--reason', 'a drill']

test('what is done to an agent acts on the running server within a second', async () => {
  await becomes('triage-bot', 'policy.permit')
  await warder.cli('agent', 'suspend', 'triage-bot', ...why)
  await becomes('triage-bot', 'agent.suspended')
  await warder.cli('agent', 'resume', 'triage-bot', ...why)
  await becomes('triage-bot', 'policy.permit')
})

test('a grant bounds its step, and when it is revoked the step is over', async () => {
  const add = ['grant', 'add', '--from', 'user:alice', '--to', 'triage-bot', ...why]
  const narrow = (await warder.json(...add, '--tools', 'mail/*')) as { readonly grant: string }
  await becomes('triage-bot', 'chain.ceiling')
  const wide = (await warder.json(...add, '--tools', 'repos/*')) as { readonly grant: string }
  await becomes('triage-bot', 'policy.permit')
  await warder.cli('grant', 'revoke', wide.grant, ...why)
  await becomes('triage-bot', 'chain.ceiling')
  await warder.cli('grant', 'revoke', narrow.grant, ...why)
  await becomes('triage-bot', 'chain.grant')
  expect(await warder.json('grant', 'list', '--tenant', TENANT)).toEqual([])
  await warder.cli(...add)
  await becomes('triage-bot', 'policy.permit')
})

test('agents are registered just in time, no more than the blueprint lets', async () => {
  const file = join(warder.dataDir, 'blueprint.json')
  const uid = { type: 'Warder::Blueprint', id: BLUEPRINT }
  const attrs = { admitIds: [`${RUN}*`], childrenMax: 2, lifetimeSeconds: 600 }
  const parents = [{ type: 'Warder::Group', id: 'agents' }]
  writeFileSync(file, JSON.stringify({ entities: [{ uid, attrs, parents }] }))
  expect(await answerTo(`${RUN}0`)).toBe('agent.unknown')
  await warder.cli('registry', 'import', file, '--tenant', TENANT)
  await becomes(`${RUN}1`, 'policy.permit')
  expect(await answerTo(`${RUN}2`)).toBe('policy.permit')
  expect(await answerTo(`${RUN}3`)).toBe('agent.limit')
  expect(await answerTo('spiffe://example.org/other/1')).toBe('agent.unknown')
  const listed = (await warder.json('agent', 'list', '--tenant', TENANT)) as readonly {
    readonly agent: string
  }[]
  expect(listed.map(({ agent }) => agent).filter((id) => id.startsWith(RUN))).toEqual([`${RUN}1`, `${RUN}2`])
})

test('a retired agent is over for good', async () => {
  await warder.cli('agent', 'retire', 'triage-bot', ...why)
  await expect
    .poll(() => answerTo('triage-bot'), { timeout: SECOND })
    .toMatch(/^(revoked\.authority|agent\.retired)$/)
  await expect(warder.cli('agent', 'resume', 'triage-bot', ...why)).rejects.toThrow('agent.state')
  await expect(warder.cli('agent', 'add', 'triage-bot', ...why)).rejects.toThrow('agent.exists')
})
