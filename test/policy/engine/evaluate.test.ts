import * as cedar from '@cedar-policy/cedar-wasm/nodejs'
import { describe, expect, test } from 'vitest'
import type { EntityUid } from '#model/value.ts'
import { createEngine, type Engine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import { warmUp } from '#policy/engine/warm-up.ts'
import { facts, query, releaseOfTexts, uid } from '../../support/policy-records.ts'

const engine = createEngine()
const evaluate = createEvaluate(engine)
const person = facts(uid('A::"p"'), { level: 3 }, [uid('G::"g"')])
const thing = facts(uid('R::"r"'), { owner: { kind: 'entity', uid: uid('A::"p"') } })

describe('an evaluation', () => {
  test('lists satisfied permits sorted, erroring policies apart', async () => {
    const release = await releaseOfTexts([
      '@id("z") permit(principal, action, resource);',
      '@id("b") permit(principal in G::"g", action, resource) when { resource.owner.level == 3 };',
      '@id("a") permit(principal, action, resource) when { principal.missing };',
      '@id("f") forbid(principal, action, resource) when { principal.level + 9223372036854775807 > 0 };',
      '@id("other") forbid(principal == A::"other", action, resource);',
    ])
    expect(evaluate(release, [query([person, thing])])).toEqual([
      { satisfied: ['b', 'z'], errored: ['a', 'f'] },
    ])
  })

  test('with a satisfied forbid lists the forbids alone', async () => {
    const release = await releaseOfTexts([
      '@id("p") permit(principal, action, resource);',
      '@id("y") forbid(principal, action, resource);',
      '@id("x") forbid(principal is A, action, resource);',
    ])
    expect(evaluate(release, [query([person, thing])])).toEqual([{ satisfied: ['x', 'y'], errored: [] }])
  })

  test('answers each query in its place', async () => {
    const release = await releaseOfTexts(['@id("p") permit(principal == A::"p", action, resource);'])
    const stranger = query([person, thing], { principal: uid('A::"stranger"') })
    expect(evaluate(release, [stranger, query([person]), stranger])).toEqual([
      { satisfied: [], errored: [] },
      { satisfied: ['p'], errored: [] },
      { satisfied: [], errored: [] },
    ])
  })

  test('asks the engine nothing when no scope matches', async () => {
    const unused: Engine = {
      ...createEngine(),
      prepare: () => {
        throw new Error('called')
      },
    }
    const release = await releaseOfTexts(['@id("p") permit(principal == A::"x", action, resource);'])
    expect(createEvaluate(unused)(release, [query([person])])).toEqual([{ satisfied: [], errored: [] }])
  })
})

describe('without the schema on the call', () => {
  const group: EntityUid = uid('Action::"destructive"')
  const top: EntityUid = uid('Action::"all"')
  const asked = query([person, thing], { actionAncestors: [group, top] })

  test('a forbid on an action group two levels up still fires', async () => {
    const release = await releaseOfTexts([
      '@id("p") permit(principal, action, resource);',
      '@id("in-scope") forbid(principal, action in Action::"all", resource);',
      '@id("in-condition") forbid(principal, action, resource) when { action in [Action::"destructive"] };',
    ])
    expect(evaluate(release, [asked])).toEqual([{ satisfied: ['in-condition', 'in-scope'], errored: [] }])
  })

  test('a reference and an extension value are what they are, not records and strings', async () => {
    const release = await releaseOfTexts([
      '@id("owner") permit(principal, action, resource) when { resource.owner == principal };',
      '@id("in-set") permit(principal, action, resource) when { context.team.contains(principal) };',
      '@id("ip") forbid(principal, action, resource) when { context.ip.isInRange(ip("10.0.0.0/8")) };',
      '@id("time") forbid(principal, action, resource) when { context.now > datetime("2026-01-01") };',
    ])
    const context = new Map([
      ['team', { kind: 'set', elements: [{ kind: 'entity', uid: uid('A::"p"') }] }],
      ['ip', { kind: 'extension', fn: 'ip', text: '192.168.0.1' }],
      ['now', { kind: 'extension', fn: 'datetime', text: '2025-01-01' }],
    ] as const)
    expect(evaluate(release, [{ ...asked, context }])).toEqual([
      { satisfied: ['in-set', 'owner'], errored: [] },
    ])
  })

  test('the engine alone would not know the group, which is why its closure is always sent', () => {
    const call = {
      principal: { type: 'A', id: 'p' },
      action: { type: 'Action', id: 'act' },
      resource: { type: 'R', id: 'r' },
      context: {},
      entities: [],
      policies: {
        staticPolicies: {
          p: 'permit(principal, action, resource);',
          f: 'forbid(principal, action in Action::"all", resource);',
        },
      },
    }
    const schema = `entity A; entity R; action all; action act in [all] appliesTo { principal: A, resource: R };`
    const decisions = [call, { ...call, schema }].map((each) => {
      const answer = cedar.isAuthorized(each)
      return answer.type === 'success' && answer.response.decision
    })
    expect(decisions).toEqual(['allow', 'deny'])
  })
})

describe('a fault is a value', () => {
  const ALL = '@id("p") permit(principal, action, resource) when { context.n == 1 };'

  test('when the request can not be expressed', async () => {
    const release = await releaseOfTexts([ALL])
    const broken = query([person], { context: new Map([['n', 2 ** 60]]) })
    expect(evaluate(release, [broken, query([person], { context: new Map([['n', 1]]) })])).toEqual([
      { kind: 'engine', detail: 'a number is not a safe integer' },
      { satisfied: ['p'], errored: [] },
    ])
  })

  test('when looking up an entity throws', async () => {
    const release = await releaseOfTexts([ALL])
    const throwing = query([], {
      entity: () => {
        throw new Error('lookup failed')
      },
    })
    expect(evaluate(release, [throwing])).toEqual([{ kind: 'engine', detail: 'lookup failed' }])
  })

  test('when too many policies match', async () => {
    const texts = Array.from({ length: 2_001 }, (_, i) => `@id("p${i}") permit(principal, action, resource);`)
    expect(evaluate(await releaseOfTexts(texts, 'sha256:broad'), [query([person])])).toEqual([
      { kind: 'limit', detail: 'more than 2000 policies match' },
    ])
  })

  test('when policies trap the engine; others are answered at once, and the third time nothing is risked', async () => {
    const own = createEngine()
    const ask = createEvaluate(own)
    const terms = Array(3_000).fill('context.n == 1').join(' && ')
    const deadly = await releaseOfTexts(
      [
        '@id("fine") permit(principal == A::"p", action, resource);',
        '@id("deadly") permit(principal == A::"victim", action, resource);',
      ],
      'sha256:deadly',
    )
    const record = deadly.policy(1)
    const trapping = {
      ...deadly,
      policy: (ordinal: number) =>
        ordinal === 1
          ? { ...record, text: `permit(principal == A::"victim", action, resource) when { ${terms} };` }
          : deadly.policy(ordinal),
    }
    const context = new Map([['n', 1]])
    const victim = query([], { principal: uid('A::"victim"'), context })
    const details = Array.from({ length: 4 }, () => {
      const [fault, fine] = ask(trapping, [victim, query([person], { context })])
      expect(fine).toEqual({ satisfied: ['fine'], errored: [] })
      return fault !== undefined && 'kind' in fault ? fault.detail : 'no fault'
    })

    const refused = 'these policies trapped the engine 2 times and are not tried again'
    const trapped = expect.stringMatching(/^the engine trapped/)
    expect(details).toEqual([trapped, trapped, refused, refused])
    expect(own.traps).toBe(2)
  })
})

test('warming up answers every synthetic query and ends with the probe', async () => {
  const own = createEngine()
  expect(await warmUp(own, createEvaluate(own))).toBe(true)
})
