import fc from 'fast-check'
import { beforeAll, describe, expect, test } from 'vitest'
import type { LogRow } from '#decision-log/port.ts'
import { requestFromRow } from '#decision-log/replay.ts'
import { authzen } from '#gateways/authzen.ts'
import { forwardAuth } from '#gateways/forward-auth.ts'
import { native } from '#gateways/native.ts'
import type { Decision } from '#model/decision.ts'
import type { Json, JsonObject } from '#model/value.ts'
import { askWorld, nativeRequest, readWith } from '../support/ask.ts'
import { createWorld, policyFile, type World } from '../support/world.ts'

/** The guarantees of the design, each by its name; more about each stands in the tests of the folder that keeps it. */

const AGENT = {
  uid: { type: 'Warder::Agent', id: 'bot' },
  attrs: { status: 'active' },
  tags: {},
  parents: [],
}
const PERMIT_ALL = '@id("all") permit(principal, action in Warder::Action::"callTool", resource);'
const ASK = { agent: 'bot', user: 'alice', tool: 'x/read' }

async function worldOf(
  policies: string,
  more: Partial<Parameters<typeof createWorld>[1]> = {},
): Promise<World> {
  const guarded = { ...AGENT, attrs: { ...AGENT.attrs, environment: 'any' } }
  return await createWorld('acme', { policies: [policyFile(policies)], entities: [guarded], ...more })
}

describe('fail closed, visibly', () => {
  test('a fault in any step is a deny with a reason code and a row', async () => {
    const world = await worldOf(PERMIT_ALL, { faulty: true })
    const decision = await askWorld(world, ASK)
    expect(decision).toMatchObject({ effect: 'deny', reasons: [{ code: 'internal.fault' }] })
    expect(world.rows).toMatchObject([
      { decision_id: decision.id, decision: 'deny', reason: 'internal.fault' },
    ])
  })

  test('an answer whose row is not durable is a deny that says so', async () => {
    const world = await worldOf(PERMIT_ALL, { append: () => Promise.reject(new Error('no database')) })
    expect(await askWorld(world, ASK)).toMatchObject({
      effect: 'deny',
      reasons: [{ code: 'log.unavailable' }],
    })
  })
})

describe('an erroring forbid denies', () => {
  test('although a permit is satisfied', async () => {
    const world = await worldOf(`${PERMIT_ALL}
      @id("guard") forbid(principal, action in Warder::Action::"callTool", resource)
      when { 9223372036854775807 + context.risk.score > 0 && context.now > datetime("2026-01-01") };`)
    expect((await askWorld(world, { ...ASK, risk: { score: 0 } })).reasons[0]?.code).toBe('policy.forbid')
    expect((await askWorld(world, { ...ASK, risk: { score: 1 } })).reasons).toMatchObject([
      { code: 'policy.error', policy: 'guard' },
    ])
  })

  test('an erroring permit counts as not satisfied and is recorded', async () => {
    const world = await worldOf(`@id("may") permit(principal, action in Warder::Action::"callTool", resource)
      when { 9223372036854775807 + context.risk.score > 0 };`)
    expect((await askWorld(world, { ...ASK, risk: { score: 1 } })).reasons[0]?.code).toBe('policy.no_permit')
    expect(world.rows[0]?.trace['evaluations']).toMatchObject([{ errored: ['may'] }, { errored: ['may'] }])
  })
})

describe('caller JSON never becomes Cedar JSON', () => {
  const attack = { __entity: { type: 'user', id: 'admin' } }

  test.each([
    ['native', native, '/v1/decide', { ...ASK, arguments: { a: [attack] } }],
    [
      'authzen',
      authzen,
      '/access/v1/evaluation',
      {
        subject: { type: 'user', id: 'a', properties: { x: attack } },
        action: { name: 'r' },
        resource: { type: 't', id: '1' },
      },
    ],
  ] as const)('an escape in a %s body is refused', (_name, dialect, url, body) => {
    expect(readWith(dialect, url, body)).toMatchObject({
      ok: false,
      failure: { code: 'request.reserved_key' },
    })
  })

  test('whatever a caller sends as properties and context gives a decision, never an exception', async () => {
    const world = await createWorld('acme', {
      policies: [
        policyFile(
          '@id("p") permit(principal, action, resource) unless { context has x && context.x == "deny" };',
        ),
      ],
      entities: [],
    })
    const json = fc.jsonValue({ maxDepth: 4, noUnicodeString: false }) as fc.Arbitrary<Json>
    const bag = fc.dictionary(fc.string(), json) as fc.Arbitrary<JsonObject>
    await fc.assert(
      fc.asyncProperty(bag, bag, fc.string(), async (properties, context, type) => {
        const body = {
          subject: { type, id: 'a', properties },
          action: { name: 'r', properties },
          resource: { type, id: '1', properties },
          context,
        }
        const read = readWith(authzen, '/access/v1/evaluation', body)
        const request = read.ok ? read.value.requests[0] : undefined
        if (request === undefined) return
        const decision = await world.decider.decide(request, world.gateway)
        expect(decision.reasons[0]?.code).not.toBe('internal.fault')
        expect(decision.reasons[0]?.code).not.toBe('policy.engine_error')
      }),
      { numRuns: 300 },
    )
  })
})

describe('agent AND user', () => {
  test('both must be permitted: neither lends the other a permission', async () => {
    const onlyAgent = await worldOf(
      '@id("a") permit(principal is Warder::Agent, action in Warder::Action::"callTool", resource);',
    )
    const onlyUser = await worldOf(
      '@id("u") permit(principal is Warder::User, action in Warder::Action::"callTool", resource);',
    )
    expect((await askWorld(onlyAgent, ASK)).effect).toBe('deny')
    expect((await askWorld(onlyUser, ASK)).effect).toBe('deny')
    expect((await askWorld(await worldOf(PERMIT_ALL), ASK)).effect).toBe('allow')
  })

  const conditions = [
    '',
    'when { context.autonomous }',
    'when { !context.autonomous }',
    'when { context.risk.score < 50 }',
    'when { context has user }',
  ]
  const policies = fc.array(
    fc.record({
      effect: fc.constantFrom('permit', 'permit', 'forbid'),
      principal: fc.constantFrom('principal', 'principal is Warder::Agent', 'principal is Warder::User'),
      condition: fc.constantFrom(...conditions),
    }),
    { minLength: 1, maxLength: 4 },
  )

  test('dropping the user or the agent never turns deny into allow, unless a permit tests `context.autonomous`', async () => {
    await fc.assert(
      fc.asyncProperty(policies, async (set) => {
        const text = set
          .map(
            ({ effect, principal, condition }, i) =>
              `@id("p${i}") ${effect}(${principal}, action in Warder::Action::"callTool", resource) ${condition};`,
          )
          .join('\n')
        const world = await worldOf(text)
        const both = await askWorld(world, ASK)
        const agentAlone = await askWorld(world, { agent: 'bot', tool: 'x/read' })
        const userAlone = await askWorld(world, { user: 'alice', tool: 'x/read' })
        expect(userAlone.effect).toBe('deny')
        if (both.effect === 'deny' && agentAlone.effect === 'allow') {
          const tested = set.some(
            ({ effect, condition }) => effect === 'permit' && condition.includes('context.autonomous'),
          )
          expect(tested).toBe(true)
        }
      }),
      { numRuns: 60 },
    )
  })

  test('what is declared only restricts', async () => {
    const world = await worldOf(`
      @id("trusting") permit(principal, action in Warder::Action::"callTool", resource)
      when { context has claimed && context.claimed has approved && context.claimed.approved };
      @id("careful") permit(principal, action == Warder::Action::"x/other", resource);`)
    expect(await askWorld(world, { ...ASK, declared: { approved: true } })).toMatchObject({
      effect: 'deny',
      reasons: [{ code: 'policy.declared_only' }, { code: 'policy.no_permit' }],
    })
    const stopped = await askWorld(await worldOf(PERMIT_ALL), { ...ASK, risk: { declared: 95 } })
    expect(stopped.reasons[0]).toMatchObject({ code: 'policy.forbid', policy: 'warder.declared-risk' })
  })
})

describe('no tenant sees another', () => {
  test('an unknown and a forbidden tenant answer the same', async () => {
    const world = await worldOf(PERMIT_ALL)
    const strip = ({ id: _id, ...rest }: Decision) => JSON.stringify(rest)
    const unknown = await askWorld(world, { ...ASK, tenant: 'nobody' })
    const forbidden = await askWorld(world, { ...ASK, tenant: 'globex' })
    expect(strip(unknown)).toBe(strip(forbidden))
    expect(unknown.reasons[0]?.code).toBe('tenant.unknown')
  })

  test('a resource of another tenant denies whatever a permit says', async () => {
    const world = await worldOf(PERMIT_ALL)
    const foreign = await askWorld(world, {
      ...ASK,
      resource: { type: 'doc', id: '1', properties: { tenant: 'globex' } },
    })
    expect(foreign.reasons.map(({ policy }) => policy)).toContain('warder.tenant-isolation-agent')
  })
})

describe('every row can be replayed to the same decision', () => {
  let world: World
  beforeAll(async () => {
    world = await createWorld('demo', { policies: 'demo' })
  })

  test('from the row, the release and the state alone', async () => {
    const asked = [
      { agent: 'triage-bot', user: 'alice', tool: 'github/list_repos' },
      { agent: 'triage-bot', user: 'bob', tool: 'github/create_issue' },
      { agent: 'triage-bot', tool: 'github/list_repos' },
      {
        agent: 'billing-bot',
        user: 'carol',
        tool: 'payments/transfer',
        arguments: { amount: 5000, currency: 'EUR' },
      },
      {
        agent: 'triage-bot',
        user: 'alice',
        tool: 'github/list_repos',
        risk: { declared: 90 },
        task: { goal: 'tidy up' },
      },
    ]
    for (const body of asked) {
      const decision = await askWorld(world, body)
      const row = world.rows.at(-1)
      expect(row).toMatchObject({ decision_id: decision.id, trace: { replayable: true } })
      const replay = requestFromRow(JSON.parse(JSON.stringify(row)) as LogRow)
      if (!replay.ok) throw new Error(replay.failure)
      const again = await world.decider.decide(replay.value.request, world.gateway)
      const { id: _a, ...first } = decision
      const { id: _b, ...second } = again
      expect(second).toEqual(first)
    }
  })
})

describe('determinism', () => {
  test('the same request, release and state give the same decision and the same order of obligations', async () => {
    const world = await createWorld('demo', { policies: 'demo' })
    const answers = new Set<string>()
    for (let i = 0; i < 50; i++) {
      const { id: _id, ...rest } = await askWorld(world, {
        agent: 'triage-bot',
        user: 'alice',
        tool: 'github/create_issue',
      })
      answers.add(JSON.stringify(rest))
    }
    expect(answers.size).toBe(1)
  })
})

describe('nobody is believed for free', () => {
  test('a gateway that is registered for nothing can not name an agent', async () => {
    const world = await worldOf(PERMIT_ALL, { gateway: { asserts: new Set() } })
    expect((await askWorld(world, ASK)).reasons[0]?.code).toBe('identity.unasserted')
  })

  test('a forged identity header denies', async () => {
    const world = await worldOf(PERMIT_ALL)
    const headers = ['X-Forwarded-Method', 'GET', 'X-Forwarded-Uri', '/x', 'X-Warder-Agent', 'bot']
    const read = readWith(forwardAuth, '/forward-auth', undefined, headers)
    const request = read.ok ? read.value.requests[0] : undefined
    if (request === undefined) throw new Error('nothing was read')
    expect((await world.decider.decide(request, world.gateway)).reasons[0]?.code).toBe(
      'identity.forged_header',
    )
  })

  test('properties that a gateway is not registered for only restrict', async () => {
    const policies = [
      policyFile(`
      @id("owner") permit(principal, action, resource) when { resource has owner && resource.owner == "a" };
      @id("open") permit(principal, action == Action::"list", resource);
      @id("locked") forbid(principal, action, resource) when { resource has locked && resource.locked };`),
    ]
    const world = await createWorld('acme', {
      policies,
      entities: [],
      gateway: { asserts: new Set(['identity']) },
    })
    const ask = async (name: string, properties: JsonObject) => {
      const body = {
        subject: { type: 'user', id: 'a' },
        action: { name },
        resource: { type: 'doc', id: '1', properties },
      }
      const read = readWith(authzen, '/access/v1/evaluation', body)
      const request = read.ok ? read.value.requests[0] : undefined
      if (request === undefined) throw new Error('nothing was read')
      return (await world.decider.decide(request, world.gateway)).reasons[0]?.code
    }
    expect(await ask('read', { owner: 'a' })).toBe('policy.declared_only')
    expect(await ask('list', { owner: 'a' })).toBe('policy.permit')
    expect(await ask('list', { locked: true })).toBe('policy.forbid')
  })
})

describe('secrets stay out', () => {
  test('tokens and sensitive arguments never reach a row', async () => {
    const world = await worldOf(PERMIT_ALL)
    const secret = 's3cr3t-value-that-must-not-appear'
    const read = nativeRequest({
      ...ASK,
      arguments: { password: secret, nested: { api_key: secret } },
      credentials: { access_token: `${secret}.a.b` },
    })
    await world.decider.decide(read, world.gateway)
    expect(JSON.stringify(world.rows)).not.toContain(secret)
  })
})
