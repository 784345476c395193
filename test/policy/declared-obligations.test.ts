import { expect, test } from 'vitest'
import type { StoredEntity } from '#model/registry.ts'
import { askWorld } from '../support/ask.ts'
import { createWorld, policyFile } from '../support/world.ts'

const BOT: StoredEntity = {
  uid: { type: 'Warder::Agent', id: 'bot' },
  attrs: { status: 'active', environment: 'any' },
  tags: {},
  parents: [],
}
const APPROVED = 'context has claimed && context.claimed has approved && context.claimed.approved'
const POLICIES = `
  @id("audited")
  @obligation("{\\"type\\":\\"audit\\",\\"level\\":\\"critical\\"}")
  permit(principal, action in Warder::Action::"callTool", resource) unless { ${APPROVED} };
  @id("approved")
  permit(principal, action in Warder::Action::"callTool", resource) when { ${APPROVED} };`

test('what an agent declares about itself sheds no obligation', async () => {
  const world = await createWorld('acme', { policies: [policyFile(POLICIES)], entities: [BOT] })
  const ask = { agent: 'bot', user: 'alice', tool: 'x/read' }
  const audit = [{ type: 'audit', properties: { level: 'critical' } }]
  expect(await askWorld(world, ask)).toMatchObject({ effect: 'allow', obligations: audit })
  const declared = await askWorld(world, { ...ask, declared: { approved: true } })
  expect(declared).toMatchObject({ effect: 'allow', obligations: audit })
  expect(declared.reasons.map(({ policy }) => policy)).toEqual(['audited', 'approved'])
})
