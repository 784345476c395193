import { describe, expect, test } from 'vitest'
import { explain, readOperatorQuestion } from '#gateways/explain.ts'
import { operatorExplanation } from '#gateways/operator-explanation.ts'
import type { WireRequest } from '#gateways/wire.ts'
import type { AuthorizationRequest } from '#model/request.ts'
import type { Counted } from '#revocation/breakers.ts'
import { entity } from '../support/entity.ts'
import { createWorld, NOON, policyFile } from '../support/world.ts'

const tenant = { __entity: { type: 'Warder::Tenant', id: 'acme' } }
const TOOLS = ['pay', 'erase', 'lend', 'give', 'read']
const ENTITIES = [
  entity('Agent', 'bot', { tenant, status: 'active', environment: 'any' }),
  entity('Agent', 'gone', { tenant, status: 'suspended', environment: 'any' }),
  ...TOOLS.map((name) => entity('Action', `bank/${name}`, {}, ['writeTools'])),
]
const SCHEMA = `namespace Warder {
  ${TOOLS.map(
    (name) => `action "bank/${name}" in [writeTools] appliesTo {
    principal: [Agent, User], resource: [Tool, Resource],
    context: { input: { amount: Long, pin?: String, note?: String } },
  };`,
  ).join('\n')}
}`
const POLICIES = `@id("secret-read") permit (principal, action == Warder::Action::"bank/read", resource);

@id("secret-pay")
permit (principal, action == Warder::Action::"bank/pay", resource)
when {
  context.input.amount < 100 &&
  context.risk.score < 50
}
unless { context.input.amount == 13 };

@id("far-pay")
permit (principal, action == Warder::Action::"bank/pay", resource)
when { context.input.amount == 1 && context.input.amount == 2 && context.input.amount == 3 };

@id("may-erase") permit (principal, action == Warder::Action::"bank/erase", resource);
@id("no-erase")
@obligation("[{\\"type\\":\\"human_approval\\"}]")
forbid (principal, action == Warder::Action::"bank/erase", resource)
when { context.input.amount > 5 };

@id("may-lend") permit (principal, action == Warder::Action::"bank/lend", resource);
@id("broken") forbid (principal, action == Warder::Action::"bank/lend", resource)
when { context.input.amount * 9223372036854775807 == 1 };

@id("given-pin") permit (principal, action == Warder::Action::"bank/give", resource)
when { context.input has pin && context.input.pin == "4711" };`
const world = createWorld('acme', {
  policies: [{ name: 'bank.cedarschema', text: SCHEMA }, policyFile(POLICIES)],
  entities: ENTITIES,
  maskFields: ['pin'],
})

function wireOf(body: object): WireRequest {
  return {
    method: 'POST',
    rawUrl: '/v1/explain',
    rawHeaders: ['content-type', 'application/json'],
    body: new TextEncoder().encode(JSON.stringify(body)),
    peer: '',
  }
}

const ask = (tool: string, amount: number, more: object = {}) => ({
  agent: 'bot',
  user: 'ann',
  tool: `bank/${tool}`,
  arguments: { amount },
  ...more,
})

async function decide(request: AuthorizationRequest) {
  const { decider, gateway, rows } = await world
  const decision = await decider.decide(request, gateway)
  return { decision, row: rows.at(-1), count: rows.length }
}

async function toAgent(body: object) {
  const { gateway, rows } = await world
  const wire = wireOf(body)
  const read = explain.read(wire, gateway, NOON)
  if (!read.ok) throw new Error(read.failure.message)
  const [request] = read.value.requests
  if (request === undefined) throw new Error('nothing was read')
  const before = rows.length
  const { decision, row, count } = await decide(request)
  return { decision, row, rows: count - before, text: explain.write([{ decision }], read.value, wire).body }
}

async function toOperator(body: object) {
  const read = readOperatorQuestion(wireOf(body), NOON)
  if (!read.ok) return { code: read.failure.code }
  const { decision, row } = await decide(read.value)
  return { decision, row, explanation: operatorExplanation(decision) }
}

const POLICY_FILE = 'policies.cedar'
const shownPolicies = async (body: object) => {
  const { decision } = await toOperator(body)
  return decision?.explanation?.parties.find(({ party }) => party === 'agent')?.policies ?? []
}

describe('an operator learns what became of each policy that is about the call', () => {
  test('a permit that one term kept from holding, with the term, its place and its value', async () => {
    const [near, far] = (await shownPolicies(ask('pay', 200))).filter(({ effect }) => effect === 'permit')
    expect(near).toEqual({
      id: 'secret-pay',
      effect: 'permit',
      file: POLICY_FILE,
      line: 3,
      outcome: 'unsatisfied',
      nearMiss: true,
      terms: [{ kind: 'when', value: 'false', text: 'context.input.amount < 100', line: 6 }],
      omittedTerms: 0,
    })
    expect(far).toMatchObject({ id: 'far-pay', outcome: 'unsatisfied', nearMiss: false, terms: [] })
  })

  test('an `unless` that kept it', async () => {
    expect((await shownPolicies(ask('pay', 13)))[0]?.terms).toEqual([
      { kind: 'unless', value: 'true', text: 'context.input.amount == 13', line: 9 },
    ])
  })

  test('a forbid that fired, before the permit that it outweighs', async () => {
    expect((await shownPolicies(ask('erase', 6))).slice(0, 2)).toMatchObject([
      {
        id: 'no-erase',
        outcome: 'satisfied',
        terms: [{ value: 'true', text: 'context.input.amount > 5' }],
      },
      { id: 'may-erase', outcome: 'satisfied', terms: [] },
    ])
  })

  test('a forbid that errored', async () => {
    expect((await shownPolicies(ask('lend', 2)))[0]).toMatchObject({
      id: 'broken',
      outcome: 'errored',
      terms: [{ value: 'error' }],
    })
  })

  test('both parties are explained, and once more with what was declared', async () => {
    const { decision } = await toOperator(ask('pay', 200, { task: { goal: 'sums' } }))
    const asked = decision?.explanation?.parties.map(({ party, declared }) => `${party} ${declared}`)
    expect(asked).toEqual(['agent false', 'user false', 'agent true', 'user true'])
  })

  test('the same as lines to read', async () => {
    const { explanation } = await toOperator(ask('pay', 200))
    expect(explanation?.['text']).toContain(
      [
        '  permit secret-pay (policies.cedar:3) unsatisfied, nearly',
        '    policies.cedar:6 when context.input.amount < 100: false',
      ].join('\n'),
    )
  })

  test('a refusal before the policies is told as one', async () => {
    const { explanation } = await toOperator(ask('pay', 1, { agent: 'gone' }))
    expect(explanation).toMatchObject({
      text: 'deny: agent.suspended\nthe policies were not asked',
      parties: [],
    })
  })

  test('arguments are never repeated, so masked ones stay masked', async () => {
    const body = { ...ask('give', 1), arguments: { amount: 1, pin: 'my-own-pin', note: 'hello-there' } }
    const { explanation, row } = await toOperator(body)
    expect(JSON.stringify(explanation)).not.toMatch(/my-own-pin|hello-there/)
    expect(JSON.stringify(row)).not.toContain('my-own-pin')
  })

  test.each(['credentials', 'proofs'])('%s are refused, so that none is used up', async (field) => {
    const value = field === 'proofs' ? { dpop: ['x'] } : { access_token: 'x', token_type: 'DPoP' }
    expect(await toOperator(ask('pay', 1, { [field]: value }))).toEqual({ code: 'request.unknown_field' })
  })
})

test('what is shown is bounded, and what is left out is counted; what decided is never left out', async () => {
  const far = (at: number) =>
    `@id("far-${at}") permit (principal, action, resource) when { context.risk.score > 70 && context.risk.score > 80 && context.risk.score > 90 };`
  const terms = Array.from({ length: 30 }, (_, at) => `context.risk.score < ${at + 1}`).join(' && ')
  const stop = `@id("stop") forbid (principal is Warder::Agent, action, resource) when { ${terms} };`
  const text = [...Array.from({ length: 600 }, (_, at) => far(at)), stop].join('\n')
  const crowded = await createWorld('acme', { policies: [policyFile(text)], entities: ENTITIES })
  const read = readOperatorQuestion(wireOf({ agent: 'bot', user: 'ann', tool: 'bank/read' }), NOON)
  if (!read.ok) throw new Error(read.failure.message)
  const { explanation, reasons } = await crowded.decider.decide(read.value, crowded.gateway)
  expect(reasons[0]).toMatchObject({ policy: 'stop' })
  const [agent] = explanation?.parties ?? []
  expect(agent?.policies).toHaveLength(50)
  expect(agent?.omitted).toBeGreaterThanOrEqual(551)
  expect(agent?.policies[0]).toMatchObject({ id: 'stop', outcome: 'satisfied', omittedTerms: 10 })
  expect(agent?.policies[0]?.terms).toHaveLength(20)
})

describe('an agent learns reasons and remedies, and nothing else', () => {
  test.each([
    ['near miss', ask('pay', 200), ['policy.no_permit'], ['ask_administrator']],
    ['forbid with a way out', ask('erase', 6), ['policy.forbid'], ['human_approval']],
    ['erroring forbid', ask('lend', 2), ['policy.error'], ['ask_administrator']],
    ['suspended agent', ask('pay', 1, { agent: 'gone' }), ['agent.suspended'], []],
    ['allow', ask('read', 1), ['policy.permit'], []],
  ])('%s', async (_, body, reasons, remedies) => {
    const { text } = await toAgent(body)
    const { explanation } = JSON.parse(text)
    const codes = (list: readonly { readonly code: string }[]) => list.map(({ code }) => code)
    expect([codes(explanation.reasons), codes(explanation.remedies)]).toEqual([reasons, remedies])
    // No policy, file, attribute or argument.
    expect(text).not.toMatch(/secret|no-erase|may-|broken|cedar|amount|context|bank|bot|ann|200/)
  })
})

test('a denial that an operator asks about counts against no agent', async () => {
  const counted: string[] = []
  const breakers = {
    of: () => ({ size: 0, find: () => undefined }),
    count: ({ agent }: Counted) => void counted.push(agent),
  }
  const policies = [policyFile('@id("a") permit (principal is Warder::User, action, resource);')]
  const { decider, gateway } = await createWorld('acme', { policies, entities: ENTITIES, breakers })
  const read = readOperatorQuestion(wireOf(ask('pay', 1)), NOON)
  if (!read.ok) throw new Error(read.failure.message)
  const { explain: _explain, ...plain } = read.value
  expect((await decider.decide(read.value, gateway)).effect).toBe('deny')
  expect(counted).toEqual([])
  await decider.decide(plain, gateway)
  expect(counted).toEqual(['bot'])
})

describe('an explanation is no answer', () => {
  test('what was decided is the decision of the same question', async () => {
    for (const [tool, amount] of [
      ['pay', 1],
      ['pay', 200],
      ['erase', 6],
      ['erase', 1],
      ['lend', 2],
    ] as const) {
      const { decision } = await toAgent(ask(tool, amount))
      const operator = await toOperator(ask(tool, amount))
      const read = readOperatorQuestion(wireOf(ask(tool, amount)), NOON)
      if (!read.ok) throw new Error(read.failure.message)
      const { explain: _explain, ...plain } = read.value
      const expected = (await decide(plain)).decision
      for (const found of [decision, operator.decision])
        expect([found?.effect, found?.reasons]).toEqual([expected.effect, expected.reasons])
      expect(expected.explanation).toBeUndefined()
    }
  })

  test('an allow that is explained says so in no place where an allow stands', async () => {
    const { decision, text } = await toAgent(ask('read', 1))
    expect(decision.effect).toBe('allow')
    const answer = JSON.parse(text)
    expect(Object.keys(answer).toSorted()).toEqual(['decision', 'explanation'])
    expect(answer.decision).toEqual({
      effect: 'allow',
      decision_id: decision.id,
      release: decision.release,
    })
  })

  test('it is one row, which says that it was explained and to whom', async () => {
    const { row, rows } = await toAgent(ask('pay', 1))
    expect([rows, row?.trace['explained']]).toEqual([1, 'agent'])
    expect((await toOperator(ask('pay', 1))).row?.trace['explained']).toBe('operator')
  })

  test('a client can not ask for the operator text', async () => {
    const { gateway } = await world
    expect(explain.read(wireOf(ask('pay', 1, { explain: 'operator' })), gateway, NOON)).toMatchObject({
      ok: false,
      failure: { code: 'request.unknown_field' },
    })
  })
})
