import { setImmediate as nextTurn } from 'node:timers/promises'
import { exportPKCS8, generateKeyPair } from 'jose'
import { expect, test } from 'vitest'
import { createDecider } from '#decide.ts'
import { createMask } from '#decision-log/mask.ts'
import { createCapabilitiesSigner } from '#identity/capabilities-signer.ts'
import type { VerifiedIdentity } from '#model/identity.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { TenantState } from '#model/state.ts'
import { createEngine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import { createJudgePolicy } from '#policy/judge.ts'
import type { Evaluate } from '#policy/port.ts'
import { applyEntities } from '#registry/snapshot.ts'
import { nativeRequest } from '../support/ask.ts'
import { createWorld, NOON, policyFile, stateOf } from '../support/world.ts'

const TOOLS = 100
const entity = (type: string, id: string, attrs: StoredEntity['attrs'] = {}): StoredEntity => ({
  uid: { type: `Warder::${type}`, id },
  attrs,
  tags: {},
  parents: [],
})
const BOT = entity('Agent', 'bot', { status: 'active', environment: 'any' })
const SUSPENDED = { ...BOT, attrs: { ...BOT.attrs, status: 'suspended' } }
const names = Array.from({ length: TOOLS }, (_, index) => `github/t${index}`)
const ENTITIES = [
  BOT,
  entity('Server', 'github', { authorizedAs: 'here' }),
  ...names.map((id) => entity('Tool', id)),
]
const engine = createEvaluate(createEngine())

const base = nativeRequest({ agent: 'bot', user: 'alice', tool: 'github/mcp:tools/list' })
/** A list that is asked about, and one that an allow takes along. */
const LISTS: readonly [string, AuthorizationRequest][] = [
  ['filtered', { ...base, candidates: names.map((tool) => ({ tool, arguments: {} })) }],
  ['signed', { ...base, dialect: 'envoy-http', protocol: 'mcp' }],
]

/** Decides on a list; `onQueries` sees how many queries were made before and gives the state from then on. */
async function decideList(
  request: AuthorizationRequest,
  onQueries: (made: number, state: TenantState) => TenantState,
) {
  const policies = [
    policyFile('@id("all") permit(principal, action in Warder::Action::"callTool", resource);'),
  ]
  const world = await createWorld('acme', { policies, entities: ENTITIES })
  let { tenant } = world
  let made = 0
  const evaluate: Evaluate = (release, queries) => {
    made += 1
    tenant = onQueries(made, tenant)
    return engine(release, queries)
  }
  const identity: VerifiedIdentity = {
    tenant: tenant.id,
    agent: { id: 'bot', provenance: 'verified', properties: {} },
    user: { id: 'alice', provenance: 'verified', properties: {} },
    subject: undefined,
    delegation: { source: 'none', chain: [] },
    token: undefined,
  }
  const { privateKey } = await generateKeyPair('ES256', { extractable: true })
  const decider = createDecider({
    clock: () => NOON,
    state: stateOf(() => tenant),
    tenants: () => [tenant],
    freshnessMillisecondsMax: 10_000,
    verify: async () => ({ ok: true, value: identity }),
    judgePolicy: createJudgePolicy(evaluate),
    signCapabilities: await createCapabilitiesSigner(await exportPKCS8(privateKey)),
    mask: createMask(new Uint8Array(32)),
    log: { write: async () => ({ ok: true, value: undefined }) },
    onFault: (error) => expect.unreachable(String(error)),
  })
  return await decider.decide(request, world.gateway)
}

test.each(LISTS)('a long list lets others have their turn: %s', async (_kind, request) => {
  let made = 0
  let madeAtTurn = 0
  let mostInATurn = 0
  let isDone = false
  const turns = (async () => {
    while (!isDone) {
      mostInATurn = Math.max(mostInATurn, made - madeAtTurn)
      madeAtTurn = made
      await nextTurn()
    }
  })()
  const decision = await decideList(request, (queries, state) => {
    made = queries
    return state
  })
  isDone = true
  await turns
  expect(decision.effect).toBe('allow')
  expect(made).toBeGreaterThanOrEqual(TOOLS)
  expect(mostInATurn).toBeLessThan(TOOLS / 2)
})

test.each(LISTS)(
  'an agent that is suspended while its list is made gets none: %s',
  async (_kind, request) => {
    const decision = await decideList(request, (made, before) =>
      made === TOOLS / 2
        ? { ...before, version: 2, registry: applyEntities(before.registry, [SUSPENDED], []) }
        : before,
    )
    expect(decision).toMatchObject({
      effect: 'deny',
      reasons: [{ code: 'agent.suspended' }],
      stateVersion: 2,
    })
  },
)

test.each(LISTS)('a state that changes under every list denies: %s', async (_kind, request) => {
  const decision = await decideList(request, (_made, before) => ({ ...before, version: before.version + 1 }))
  expect(decision).toMatchObject({ effect: 'deny', reasons: [{ code: 'state.stale' }] })
})
