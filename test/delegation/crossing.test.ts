import { expect, test } from 'vitest'
import { native } from '#gateways/native.ts'
import type { Revocations } from '#model/revocation.ts'
import type { JsonObject } from '#model/value.ts'
import { jsonWire } from '../support/wire.ts'
import {
  act,
  agent,
  askWire,
  codeOf,
  FOREIGN,
  federation,
  HOME,
  type Scene,
  TOOL,
  tokenOf,
  worldOf,
} from './scene.ts'

const guest: Scene = { foreign: [agent('guest')], federations: [federation()] }

async function ask(chain: JsonObject | undefined, scene: Scene) {
  const world = await worldOf(scene)
  const token = await tokenOf({ act: chain ?? null })
  const body = {
    tool: TOOL,
    resource: { type: 'customer', id: 'secret-customer' },
    arguments: { iban: 'DE-secret' },
    credentials: { access_token: token },
  }
  const decision = await askWire(world, [native, jsonWire('/v1/decide', body)])
  return { decision, rows: world.rows }
}

test('a crossing is in the log of both tenants, and each row names the other', async () => {
  const { decision, rows } = await ask(act('guest', 'a'), guest)
  expect(codeOf(decision)).toBe('policy.permit')
  expect(rows.map(({ tenant }) => tenant)).toEqual([HOME, FOREIGN])
  const [own, other] = rows
  expect(own?.facts).toMatchObject({ identity: { delegation: { crossings: [FOREIGN] } } })
  expect(other).toMatchObject({
    agent: 'guest',
    tool: TOOL,
    decision: 'allow',
    reason: 'policy.permit',
    trace: { crossing: { decision: own?.decision_id, tenant: HOME } },
  })
  expect(other?.decision_id).not.toBe(own?.decision_id)
})

test('the row of the other tenant holds nothing else of the deciding one', async () => {
  const { rows } = await ask(act('guest', 'a'), guest)
  const text = JSON.stringify(rows[1])
  for (const own of ['alice', 'secret', '"a"', 'token-1', 'agents', 'users', 'sha256'])
    expect(text).not.toContain(own)
})

test('a denied crossing is in both logs; an agent in the middle is not told as whoever acted', async () => {
  const scene = { ...guest, federations: [federation({ tools: ['other'] })] }
  const { decision, rows } = await ask(act('b', 'guest'), scene)
  expect(codeOf(decision)).toBe('chain.tenant')
  expect(rows[1]).toMatchObject({ tenant: FOREIGN, decision: 'deny', reason: 'chain.tenant', agent: null })
})

test('a decision without a crossing has one row', async () => {
  expect((await ask(act('a'), {})).rows).toHaveLength(1)
})

test.each([
  ['the agent', { kind: 'agent', id: 'guest' }],
  ['the whole tenant', { kind: 'tenant', id: FOREIGN }],
] as const)('when the other tenant stops %s, it stops here too', async (_, stopped) => {
  const foreignRevocations: Revocations = {
    size: 1,
    find: (dependencies) =>
      dependencies.some(({ kind, id }) => kind === stopped.kind && id === stopped.id)
        ? { ...stopped, revocation: 'r', mode: 'deny', reason: 'leaked', source: 'admin' }
        : undefined,
  }
  const { decision } = await ask(act('guest', 'a'), { ...guest, foreignRevocations })
  expect(decision.effect).toBe('deny')
  expect(codeOf(decision)).toMatch(/^revoked\./)
  expect(codeOf((await ask(act('a'), { foreignRevocations })).decision)).toBe('policy.permit')
})
