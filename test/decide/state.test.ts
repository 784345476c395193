import { expect, test } from 'vitest'
import { createDecider } from '#decide.ts'
import { createMask } from '#decision-log/mask.ts'
import type { VerifiedIdentity } from '#model/identity.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { TenantState } from '#model/state.ts'
import { createEngine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import { createJudgePolicy } from '#policy/judge.ts'
import { applyEntities } from '#registry/snapshot.ts'
import { nativeRequest } from '../support/ask.ts'
import { createWorld, NOON, policyFile, stateOf, type World } from '../support/world.ts'

const BOT: StoredEntity = {
  uid: { type: 'Warder::Agent', id: 'bot' },
  attrs: { status: 'active', environment: 'any' },
  tags: {},
  parents: [],
}

/** Decides one request while `change` gives the tenant's next state each time that verification takes its time. */
async function decideDuring(world: World, change: (before: TenantState) => TenantState) {
  let tenant = world.tenant
  const identity: VerifiedIdentity = {
    tenant: tenant.id,
    agent: { id: 'bot', provenance: 'verified', properties: {} },
    user: { id: 'alice', provenance: 'verified', properties: {} },
    subject: undefined,
    delegation: { source: 'none', chain: [] },
    token: undefined,
  }
  const decider = createDecider({
    clock: () => NOON,
    state: stateOf(() => tenant),
    freshnessMillisecondsMax: 10_000,
    verify: async () => {
      tenant = change(tenant)
      return { ok: true, value: identity }
    },
    judgePolicy: createJudgePolicy(createEvaluate(createEngine())),
    mask: createMask(new Uint8Array(32)),
    log: { write: async () => ({ ok: true, value: undefined }) },
    onFault: (error) => expect.unreachable(String(error)),
  })
  return await decider.decide(nativeRequest({ agent: 'bot', user: 'alice', tool: 'x/read' }), world.gateway)
}

async function worldWithBot(): Promise<World> {
  const policies = [
    policyFile('@id("all") permit(principal, action in Warder::Action::"callTool", resource);'),
  ]
  return await createWorld('acme', { policies, entities: [BOT] })
}

test('an agent that is suspended while its token is verified is denied', async () => {
  const suspended = { ...BOT, attrs: { ...BOT.attrs, status: 'suspended' } }
  let isChanged = false
  const decision = await decideDuring(await worldWithBot(), (before) => {
    if (isChanged) return before
    isChanged = true
    return { ...before, version: 2, registry: applyEntities(before.registry, [suspended], []) }
  })
  expect(decision).toMatchObject({ effect: 'deny', reasons: [{ code: 'agent.suspended' }], stateVersion: 2 })
})

test('a state that changes during every verification denies', async () => {
  const decision = await decideDuring(await worldWithBot(), (before) => ({
    ...before,
    version: before.version + 1,
  }))
  expect(decision).toMatchObject({ effect: 'deny', reasons: [{ code: 'state.stale' }] })
})

test('a state that stays as it is allows', async () => {
  const decision = await decideDuring(await worldWithBot(), (before) => before)
  expect(decision).toMatchObject({ effect: 'allow' })
})
