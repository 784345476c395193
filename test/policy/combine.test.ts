import { describe, expect, test } from 'vitest'
import type { ObligationTemplate, PolicyRecord } from '#model/release.ts'
import { combine, type PartyEvaluation } from '#policy/combine.ts'
import type { EngineFault, Evaluation } from '#policy/port.ts'

function policy(id: string, effect: 'permit' | 'forbid', more: Partial<PolicyRecord> = {}): PolicyRecord {
  const scope = { op: 'all' } as const
  return {
    id,
    effect,
    origin: 'tenant',
    file: 'a.cedar',
    line: 1,
    text: '',
    scope: { principal: scope, action: scope, resource: scope },
    reads: {
      all: false,
      principal: undefined,
      resource: undefined,
      action: undefined,
      context: undefined,
      entities: [],
    },
    testsAutonomous: false,
    obligations: [],
    advice: undefined,
    reason: undefined,
    ...more,
  }
}

const approval: ObligationTemplate = { type: 'human_approval', properties: {} }
const audit: ObligationTemplate = { type: 'audit', properties: { level: 'info' } }
const stepUp: ObligationTemplate = { type: 'step_up', properties: { acr_value: 'phr' } }
const POLICIES = [
  policy('may', 'permit', { obligations: [audit] }),
  policy('may-alone', 'permit', { testsAutonomous: true }),
  policy('no', 'forbid', { reason: 'never' }),
  policy('ask', 'forbid', { obligations: [approval, audit] }),
  policy('prove', 'forbid', { obligations: [stepUp] }),
  policy('prove-otherwise', 'permit', {
    obligations: [{ type: 'step_up', properties: { acr_value: 'other' } }],
  }),
  policy('prove-so', 'permit', { obligations: [stepUp] }),
]
const find = (id: string): PolicyRecord | undefined => POLICIES.find((each) => each.id === id)

const yes: Evaluation = { satisfied: ['may'], errored: [] }
const no: Evaluation = { satisfied: ['no'], errored: [] }
const silent: Evaluation = { satisfied: [], errored: [] }

function ask(agent: Evaluation | EngineFault, user?: Evaluation | EngineFault) {
  const parties: PartyEvaluation[] = [{ party: 'agent', outcome: agent }]
  if (user !== undefined) parties.push({ party: 'user', outcome: user })
  return combine(parties, find, user === undefined)
}

describe('authority is the intersection', () => {
  test('both permitted: allow, with the reasons once', () => {
    expect(ask(yes, yes)).toMatchObject({
      effect: 'allow',
      reasons: [{ code: 'policy.permit', policy: 'may' }],
    })
  })

  test.each<[string, Evaluation, Evaluation, string]>([
    ['the user is not permitted', yes, silent, 'policy.no_permit'],
    ['the agent is not permitted', silent, yes, 'policy.no_permit'],
    ['the user is forbidden', yes, no, 'policy.forbid'],
    ['the agent is forbidden', no, yes, 'policy.forbid'],
  ])('%s: deny', (_name, agent, user, code) => {
    expect(ask(agent, user)).toMatchObject({ effect: 'deny', reasons: [{ code }] })
  })

  test('nobody asked is never an allow', () => {
    expect(combine([], find, false)).toMatchObject({
      effect: 'deny',
      reasons: [{ code: 'policy.no_permit' }],
    })
  })
})

describe('an erroring policy', () => {
  test('an erroring forbid denies although a permit is satisfied', () => {
    expect(ask({ satisfied: ['may'], errored: ['no'] }, yes)).toMatchObject({
      effect: 'deny',
      reasons: [{ code: 'policy.error', policy: 'no' }],
    })
  })

  test('an erroring permit counts as not satisfied', () => {
    expect(ask({ satisfied: [], errored: ['may'] }, yes)).toMatchObject({
      effect: 'deny',
      reasons: [{ code: 'policy.no_permit' }],
    })
    expect(ask({ satisfied: ['may'], errored: ['may-alone'] }, yes).effect).toBe('allow')
  })

  test('an errored policy that nobody knows denies', () => {
    expect(ask({ satisfied: ['may'], errored: ['gone'] }, yes)).toMatchObject({
      reasons: [{ code: 'policy.error' }],
    })
  })

  test('a fault of the engine denies', () => {
    expect(ask({ kind: 'engine', detail: 'x' }, yes)).toMatchObject({
      effect: 'deny',
      reasons: [{ code: 'policy.engine_error' }],
    })
    expect(ask({ kind: 'limit', detail: 'x' }, yes)).toMatchObject({
      effect: 'deny',
      reasons: [{ code: 'policy.limit' }],
    })
  })
})

describe('an agent without a user', () => {
  test('is not served by a permit that does not test `context.autonomous`', () => {
    expect(ask(yes)).toMatchObject({ effect: 'deny', reasons: [{ code: 'policy.autonomous_not_permitted' }] })
  })

  test('is served by one that does', () => {
    expect(ask({ satisfied: ['may', 'may-alone'], errored: [] }).effect).toBe('allow')
  })
})

describe('obligations', () => {
  test('an allow carries those of all satisfied permits', () => {
    expect(ask(yes, yes).obligations).toEqual([
      { type: 'audit', properties: { level: 'info' }, policies: ['may'] },
    ])
  })

  test('contradicting ones deny', () => {
    expect(ask({ satisfied: ['prove-otherwise', 'prove-so'], errored: [] }, yes)).toMatchObject({
      effect: 'deny',
      reasons: [{ code: 'obligation.conflict' }],
    })
  })

  test('remediation is offered when every determining forbid offers one', () => {
    const offered = ask({ satisfied: ['ask', 'prove'], errored: [] }, yes)
    expect(offered.obligations.map(({ type }) => type)).toEqual(['audit', 'human_approval', 'step_up'])
  })

  test('remediation is not offered when it would not help', () => {
    const types = (agent: Evaluation, user: Evaluation) =>
      ask(agent, user).obligations.map(({ type }) => type)
    expect(types({ satisfied: ['ask', 'no'], errored: [] }, yes)).toEqual(['audit'])
    expect(types({ satisfied: ['ask'], errored: [] }, silent)).toEqual(['audit'])
    expect(types({ satisfied: ['ask'], errored: [] }, no)).toEqual(['audit'])
  })
})
