import { expect, test } from 'vitest'
import type { StoredEntity } from '#model/registry.ts'
import { askWorld } from '../../support/ask.ts'
import { createWorld, policyFile } from '../../support/world.ts'

const BOT: StoredEntity = {
  uid: { type: 'Warder::Agent', id: 'bot' },
  attrs: { status: 'active', environment: 'any' },
  tags: {},
  parents: [],
}
const PERMIT = '@id("all") permit(principal, action in Warder::Action::"callTool", resource);'

test('a low risk from a gateway that may not assert it does not hide the high one that the agent declares', async () => {
  const gateway = { asserts: new Set(['identity'] as const) }
  const world = await createWorld('acme', { policies: [policyFile(PERMIT)], entities: [BOT], gateway })
  const ask = { agent: 'bot', user: 'alice', tool: 'x/read' }
  expect(await askWorld(world, ask)).toMatchObject({ effect: 'allow' })
  for (const risk of [
    { declared: 90 },
    { declared: 90, score: 0 },
    { declared: 0, score: 90 },
    { score: 90 },
  ]) {
    expect(await askWorld(world, { ...ask, risk })).toMatchObject({
      effect: 'deny',
      reasons: [{ code: 'policy.forbid', policy: 'warder.declared-risk' }],
    })
  }
})
