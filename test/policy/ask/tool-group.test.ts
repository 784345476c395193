import { expect, it } from 'vitest'
import type { StoredEntity } from '#model/registry.ts'
import type { EntityUid } from '#model/value.ts'
import { askWorld } from '../../support/ask.ts'
import { createWorld, policyFile, type World } from '../../support/world.ts'

const action = (id: string): EntityUid => ({ type: 'Warder::Action', id })
const entity = (uid: EntityUid, parents: readonly EntityUid[], attrs = {}): StoredEntity => ({
  uid,
  attrs,
  tags: {},
  parents,
})
const BOT = entity({ type: 'Warder::Agent', id: 'bot' }, [], { status: 'active', environment: 'any' })
const PERMITS = [
  '@id("read") permit(principal, action in Warder::Action::"readTools", resource);',
  '@id("billing") permit(principal, action in Warder::Action::"billing", resource);',
  '@id("reports") permit(principal, action in Warder::Action::"reports", resource);',
]

async function ask(world: World, tool: string): Promise<readonly [string, string | undefined]> {
  const { effect, reasons } = await askWorld(world, { agent: 'bot', user: 'alice', tool })
  return [effect, reasons[0]?.code]
}

it('denies a tool that has the name of a shipped group, even when it is registered so', async () => {
  const tools = ['callTool', 'readTools', 'writeTools', 'destructiveTools'].map((id) =>
    entity({ type: 'Warder::Tool', id }, [], { riskTier: 'low', sideEffect: 'read' }),
  )
  for (const registered of [[], tools]) {
    const entities = [BOT, ...registered]
    const world = await createWorld('acme', { policies: [policyFile(PERMITS.join('\n'))], entities })
    for (const name of ['callTool', 'readTools', 'writeTools', 'destructiveTools'])
      expect(await ask(world, name)).toEqual(['deny', 'request.not_applicable'])
  }
})

it('denies a tool that has the name of a registered group, and permits its members', async () => {
  const entities = [BOT, entity(action('invoices/list'), [action('billing'), action('readTools')])]
  const world = await createWorld('acme', { policies: [policyFile(PERMITS.join('\n'))], entities })
  expect(await ask(world, 'billing')).toEqual(['deny', 'request.not_applicable'])
  expect(await ask(world, 'invoices/list')).toEqual(['allow', 'policy.permit'])
})

it("denies a tool that has the name of a group in the tenant's schema, and permits its members", async () => {
  const schema = `namespace Warder {
    action reports in [readTools] appliesTo { principal: [Agent, User], resource: [Tool, Resource], context: CallContext };
    action "reports/daily" in [reports] appliesTo { principal: [Agent, User], resource: [Tool, Resource], context: CallContext };
  }`
  const policies = [
    policyFile(PERMITS.filter((each) => !each.includes('billing')).join('\n')),
    { name: 'schema.cedarschema', text: schema },
  ]
  const world = await createWorld('acme', { policies, entities: [BOT] })
  expect(await ask(world, 'reports')).toEqual(['deny', 'request.not_applicable'])
  expect(await ask(world, 'reports/daily')).toEqual(['allow', 'policy.permit'])
})
