import { describe, expect, test } from 'vitest'
import { createSealing } from '#admin/sealing.ts'
import { createDecider, type Steps } from '#decide.ts'
import { createMask } from '#decision-log/mask.ts'
import type { Admission } from '#delegation/admission.ts'
import { createKeySets } from '#identity/key-sets.ts'
import { createVerify } from '#identity/verify.ts'
import { nextTurn } from '#lib/next-turn.ts'
import type { Decider } from '#model/decider.ts'
import type { StoredEntity } from '#model/registry.ts'
import type { Dependency, Revocation } from '#model/revocation.ts'
import type { TenantState } from '#model/state.ts'
import type { JsonObject } from '#model/value.ts'
import { createEngine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import { createJudgePolicy } from '#policy/judge.ts'
import { applyEntities } from '#registry/snapshot.ts'
import { type Counted, createBreakers, type Trip } from '#revocation/breakers.ts'
import { RevocationSnapshot } from '#revocation/snapshot.ts'
import { act, FOREIGN, federation, TOOL, tokenOf, worldOf } from '../delegation/scene.ts'
import { revocation } from '../revocation/subjects.ts'
import { nativeRequest } from '../support/ask.ts'
import { findAll, isAllowed, type Open, type Pdp, pageOf, search } from '../support/search.ts'
import { createWorld, NOON, policyFile, stateOf, type World, type WorldInput } from '../support/world.ts'

const evaluate = createEvaluate(createEngine())
const LOW = { warder: { risk: { score: 10 } } }
const TOOL_READ = 'github/list_repos'
const WHICH_AGENTS = {
  subject: { type: 'agent' },
  action: { name: 'tools/call' },
  resource: { type: 'tool', id: TOOL_READ },
  context: { user: 'alice', ...LOW },
}
const WHICH_TOOLS = {
  subject: { type: 'agent', id: 'triage-bot' },
  action: { name: 'tools/call' },
  resource: { type: 'tool' },
  context: { user: 'alice', ...LOW },
}
const WHICH_USERS = { ...WHICH_AGENTS, subject: { type: 'user' }, context: { agent: 'triage-bot', ...LOW } }
const TYPES = { [WHICH_AGENTS.subject.type]: 'Warder::Agent', [WHICH_USERS.subject.type]: 'Warder::User' }

function revoking(of: Dependency, more: Partial<Revocation> = {}): Partial<WorldInput> {
  return {
    revocations: RevocationSnapshot.empty.apply(
      [{ revocation: revocation(of, more), isInForce: true }],
      NOON,
    ),
  }
}

const demo = (more: Partial<WorldInput> = {}) => createWorld('demo', { policies: 'demo', ...more })

/** What is found, which must be what evaluations allow. */
async function found(world: World, open: Open, body: JsonObject): Promise<readonly string[]> {
  const type =
    open === 'resource' ? 'Warder::Tool' : (TYPES[String((body['subject'] as JsonObject)['type'])] ?? '')
  const allowed: string[] = []
  for (const { uid } of world.tenant.registry.ofType(type))
    if (await isAllowed(world, open, body, uid.id)) allowed.push(uid.id)
  const ids = await findAll(world, open, body)
  expect(ids).toEqual(allowed)
  return ids
}

describe('what is stopped is not found', () => {
  test('suspended agents and users are not among those who may', async () => {
    const world = await demo()
    expect(await found(world, 'subject', WHICH_AGENTS)).toEqual([
      'billing-bot',
      'release-bot',
      'triage-bot',
      'triage-bot-staging',
    ])
    expect(await found(world, 'subject', WHICH_USERS)).toEqual(['alice', 'bob'])
    const suspended = { ...WHICH_TOOLS, subject: { type: 'agent', id: 'old-bot' } }
    expect(await found(world, 'resource', suspended)).toEqual([])
  })

  test.each<[string, Open, JsonObject, Dependency, readonly string[]]>([
    ['an agent', 'subject', WHICH_AGENTS, { kind: 'agent', id: 'triage-bot' }, ['triage-bot']],
    [
      'a blueprint',
      'subject',
      WHICH_AGENTS,
      { kind: 'blueprint', id: 'triage@1.4' },
      ['triage-bot', 'triage-bot-staging'],
    ],
    ['a user', 'subject', WHICH_USERS, { kind: 'subject', id: '|bob' }, ['bob']],
    ['a tool', 'resource', WHICH_TOOLS, { kind: 'tool', id: TOOL_READ }, [TOOL_READ]],
    [
      'a server',
      'resource',
      WHICH_TOOLS,
      { kind: 'tool', id: 'github/*' },
      ['github/create_issue', TOOL_READ],
    ],
  ])('what is revoked: %s', async (_what, open, body, dependency, missing) => {
    const all = await found(await demo(), open, body)
    for (const mode of ['deny', 'kill'] as const) {
      const rest = await found(await demo(revoking(dependency, { mode })), open, body)
      expect(rest).toEqual(all.filter((id) => !missing.includes(id)))
      expect(rest.length).toBe(all.length - missing.length)
    }
  })

  test.each<[string, Dependency]>([
    ['the agent that asks', { kind: 'agent', id: 'triage-bot' }],
    ['the user behind it', { kind: 'subject', id: '|alice' }],
    ['the whole tenant', { kind: 'tenant', id: 'demo' }],
  ])('with %s nothing is left', async (_what, dependency) => {
    expect(await found(await demo(revoking(dependency)), 'resource', WHICH_TOOLS)).toEqual([])
  })
})

describe('delegated', () => {
  const body = async (...chain: readonly string[]): Promise<JsonObject> => ({
    subject: { type: 'user', id: 'alice' },
    action: { name: 'tools/call' },
    resource: { type: 'tool' },
    context: { warder: { credentials: { access_token: await tokenOf({ act: act(...chain) ?? null }) } } },
  })

  test('what a chain of actors may do is found, and ends with a revoked or unknown one', async () => {
    expect(await found(await worldOf({}), 'resource', await body('a', 'b'))).toEqual([TOOL])
    expect(await found(await worldOf({}), 'resource', await body('a', 'ghost'))).toEqual([])
    const { revocations } = revoking({ kind: 'agent', id: 'b' })
    const revoked = await worldOf(revocations === undefined ? {} : { revocations })
    expect(await found(revoked, 'resource', await body('a', 'b'))).toEqual([])
  })

  test('agents of another tenant are not found among ours, though a federation sends them', async () => {
    const guest: StoredEntity = {
      uid: { type: 'Warder::Agent', id: 'guest' },
      attrs: { status: 'active' },
      tags: {},
      parents: [],
    }
    const world = await worldOf({ foreign: [guest], federations: [federation()] })
    expect(world.tenant.id).not.toBe(FOREIGN)
    const asked = {
      ...(await body('a')),
      subject: { type: 'agent' },
      resource: { type: 'tool', id: TOOL },
      context: { user: 'alice' },
    }
    expect(await findAll(world, 'subject', asked)).not.toContain('guest')
  })

  test('looking for users registers no agent just in time, asking for one does', async () => {
    const asked: Admission[] = []
    const id = 'spiffe://example.org/agents/run-7'
    const more: StoredEntity[] = [
      {
        uid: { type: 'Warder::Blueprint', id: 'runner' },
        attrs: { childrenMax: 2, lifetimeSeconds: 60, admitIds: [id] },
        tags: {},
        parents: [],
      },
      { uid: { type: 'Warder::User', id: 'alice' }, attrs: { status: 'active' }, tags: {}, parents: [] },
    ]
    const world = await worldOf({ more }, async (_, admission) => {
      asked.push(admission)
      return 'full'
    })
    const who = { ...(await body(id)), subject: { type: 'user' }, resource: { type: 'tool', id: TOOL } }
    expect(await findAll(world, 'subject', who)).toEqual([])
    expect(asked).toEqual([])
    expect(await isAllowed(world, 'subject', who, 'alice')).toBe(false)
    expect(asked).toHaveLength(1)
  })
})

test('whoever has delegated to an agent is found by what that agent may do', async () => {
  const agents = ['a', 'b', 'c']
  const entities = agents.map((id) => ({
    uid: { type: 'Warder::Agent', id },
    attrs: { status: 'active', environment: 'any' },
    tags: {},
    parents: [],
  }))
  const text =
    '@id("a") permit(principal == Warder::Agent::"a", action, resource); @id("u") permit(principal == Warder::User::"ann", action, resource);'
  const world = await createWorld('acme', { policies: [policyFile(text)], entities })
  const asked = {
    subject: { type: 'agent', properties: { act: { sub: 'a' } } },
    action: { name: 'tools/call' },
    resource: { type: 'tool', id: 's/t' },
    context: { user: 'ann' },
  }
  const plain = { ...asked, subject: { type: 'agent' } }
  expect(await findAll(world, 'subject', plain)).toEqual(['a'])
  expect(await findAll(world, 'subject', { ...plain, context: { user: 'bob' } })).toEqual([])
  // Nobody delegates to himself.
  const expected = ['b', 'c']
  for (const id of agents)
    expect([id, await isAllowed(world, 'subject', asked, id)]).toEqual([id, expected.includes(id)])
  expect(await findAll(world, 'subject', asked)).toEqual(expected)
})

test('nobody is counted for what is found or not found', async () => {
  const counted: Counted[] = []
  const breakers = { of: () => RevocationSnapshot.empty, count: (each: Counted) => void counted.push(each) }
  const world = await demo({ breakers })
  await pageOf(world, 'resource', WHICH_TOOLS)
  await pageOf(world, 'subject', WHICH_AGENTS)
  expect(counted).toEqual([])
})

describe('what is only looked for hides no denial from a breaker', () => {
  const rules = { breaker: { denyShare: 0.5, minimum: 6, windowSeconds: 60, openSeconds: 60 } }
  const list = {
    ...nativeRequest({ agent: 'triage-bot', user: 'alice', tool: 'github/mcp:tools/list' }),
    candidates: [{ tool: TOOL_READ, arguments: {} }],
  }
  test.each<[string, (world: World) => Promise<unknown>]>([
    ['nothing', async () => undefined],
    ['searches', (world) => pageOf(world, 'resource', { ...WHICH_TOOLS, page: { limit: 1 } })],
    ['lists of tools', (world) => world.decider.decide(list, world.gateway)],
  ])('between denials: %s', async (_what, look) => {
    const trips: Trip[] = []
    const world = await demo({ rules, breakers: createBreakers((trip) => trips.push(trip)) })
    for (let i = 0; i < 6; i += 1) {
      for (let k = 0; k < 2; k += 1) await look(world)
      expect([i, trips]).toEqual([i, []])
      await isAllowed(world, 'resource', WHICH_TOOLS, `nowhere/none-${i}`)
    }
    expect(trips).toMatchObject([{ agent: 'triage-bot' }])
  })
})

test('a result carries what a gateway must do where it acts on it', async () => {
  const { results } = await pageOf(await demo(), 'resource', WHICH_TOOLS)
  const obliged = Object.fromEntries(results.map(({ id, obligations }) => [id, obligations]))
  expect(obliged['crm/read_customer']).toMatchObject([
    { id: '1', type: 'redact', properties: { fields: ['email', 'iban'], in: 'result' } },
  ])
  expect(results.find(({ id }) => id === TOOL_READ)).toEqual({ type: 'tool', id: TOOL_READ })
})

test('what a gateway can not carry out is not found through it', async () => {
  const world = await demo({ gateway: { obligations: new Set() } })
  const ids = await found(world, 'resource', WHICH_TOOLS)
  expect(ids).toContain(TOOL_READ)
  expect(ids).not.toContain('crm/read_customer')
})

test('a repeat is searched anew, so that it shows nothing that was taken away meanwhile', async () => {
  const world = await demo()
  const { decision } = await search(world, 'resource', WHICH_TOOLS)
  expect(decision?.found?.results.length).toBeGreaterThan(1)
  const again = await search(
    {
      ...world,
      decider: { ...world.decider, decide: (request, by) => world.decider.decide(request, by, decision) },
    },
    'resource',
    WHICH_TOOLS,
  )
  expect(again.decision?.id).not.toBe(decision?.id)
  expect(again.body).toEqual((await search(world, 'resource', WHICH_TOOLS)).body)
})

/** A world on steps of which some are replaced. */
function rewired(world: World, more: Partial<Steps>): Pdp {
  const decider = createDecider({
    clock: () => NOON,
    state: stateOf(() => world.tenant),
    freshnessMillisecondsMax: 10_000,
    verify: createVerify({
      keys: createKeySets({
        clock: () => NOON,
        fetch: () => Promise.reject(new Error()),
        onFault: () => undefined,
      }),
    }),
    judgePolicy: createJudgePolicy(evaluate),
    mask: createMask(new Uint8Array(32)),
    log: { write: async () => ({ ok: true, value: undefined }) },
    onFault: () => undefined,
    ...more,
  })
  return { decider, gateway: world.gateway }
}

/** What the demo answers on steps of which some are replaced. */
async function decided(more: (world: World) => Partial<Steps>, open: Open, body: JsonObject) {
  const world = await demo()
  return await search(rewired(world, more(world)), open, body)
}

const both: readonly (readonly [Open, JsonObject])[] = [
  ['subject', WHICH_AGENTS],
  ['resource', WHICH_TOOLS],
]

describe('where nothing could be searched the answer is an error, not the end of a list', () => {
  test.each(both)('a state that is too old: %s', async (open, body) => {
    const stale = ({ tenant }: World) => ({
      state: { ...stateOf(() => tenant), ageMilliseconds: () => 60_000 },
    })
    expect(await decided(stale, open, body)).toMatchObject({
      status: 503,
      body: expect.stringMatching(/^state\.stale: /),
    })
  })

  test.each(both)('a row that could not be written: %s', async (open, body) => {
    const log = { write: async () => ({ ok: false, failure: 'log.unavailable' }) as const }
    const answer = await decided(() => ({ log }), open, body)
    expect(answer).toMatchObject({ status: 503, body: expect.stringMatching(/^log\.unavailable: /) })
    expect(answer.decision?.found).toBeUndefined()
  })

  test.each(both)('a fault: %s', async (open, body) => {
    const verify = () => Promise.reject(new Error('a bug'))
    expect((await decided(() => ({ verify }), open, body)).status).toBe(500)
  })

  test.each(both)('a page that nothing can seal the end of: %s', async (open, body) => {
    expect((await decided(() => ({}), open, { ...body, page: { limit: 1 } })).status).toBe(500)
  })
})

describe('a state that changes meanwhile', () => {
  test.each(both)('under every search, so that none is answered: %s', async (open, body) => {
    const changing = ({ tenant: first }: World): Partial<Steps> => {
      let tenant: TenantState = first
      const judge = createJudgePolicy(evaluate)
      return {
        state: stateOf(() => tenant),
        places: createSealing([new Uint8Array(32)]),
        judgePolicy: (input) => {
          tenant = { ...tenant, version: tenant.version + 1 }
          return judge(input)
        },
      }
    }
    expect((await decided(changing, open, body)).status).toBe(503)
  })

  test.each(both)(
    'in every turn of the event loop: pages are short, and all is found: %s',
    async (open, body) => {
      const world = await demo()
      let { tenant } = world
      let isDone = false
      const changing = (async () => {
        for (; !isDone; await nextTurn()) tenant = { ...tenant, version: tenant.version + 1 }
      })()
      const places = createSealing([new Uint8Array(32)])
      const { decider, gateway } = rewired(world, { state: stateOf(() => tenant), places })
      const patient: Decider['decide'] = async (...asked) => {
        // A page that took too long, on a machine with much else to do, is lost; who asks again gets it.
        const decision = await decider.decide(...asked)
        return decision.reasons[0]?.code === 'state.stale' ? await patient(...asked) : decision
      }
      const pdp = { gateway, decider: { ...decider, decide: patient } }
      try {
        const { results } = await pageOf(pdp, open, body)
        const all = await findAll(world, open, body)
        expect(results.length).toBeLessThan(all.length)
        expect(await findAll(pdp, open, body)).toEqual(all)
      } finally {
        isDone = true
        await changing
      }
    },
  )

  test.each(both)(
    'an agent that is suspended is gone, as is everything that it could do: %s',
    async (open, body) => {
      let asked = 0
      const changing = ({ tenant: first }: World): Partial<Steps> => {
        let tenant: TenantState = first
        const bot = first.registry.find({ type: 'Warder::Agent', id: 'triage-bot' })
        const judge = createJudgePolicy(evaluate)
        return {
          state: stateOf(() => tenant),
          judgePolicy: (input) => {
            asked += 1
            if (asked === 3 && bot !== undefined) {
              const suspended = { ...bot, attrs: { ...bot.attrs, status: 'suspended' } }
              tenant = { ...tenant, version: 2, registry: applyEntities(tenant.registry, [suspended], []) }
            }
            return judge(input)
          },
        }
      }
      const { status, body: answer } = await decided(changing, open, body)
      expect(status).toBe(200)
      expect(JSON.stringify(answer)).not.toContain('triage-bot"')
      expect(JSON.stringify(answer).includes('release-bot')).toBe(open === 'subject')
    },
  )
})
