import { describe, expect, test, vi } from 'vitest'
import type { Release } from '#model/release.ts'
import { splitPolicies } from '#policy/compile/split-policies.ts'
import { conditionsText } from '#policy/compiled/conditions.ts'
import { createCompiledEvaluate } from '#policy/compiled/evaluate.ts'
import { createEngine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import { facts, policyRecord, query, releaseOfTexts, uid } from '../../support/policy-records.ts'
import { compareWithCedar } from './against-cedar.ts'
import { WORLD } from './world.ts'

const evaluate = createCompiledEvaluate(createEvaluate(createEngine()))
const person = facts(uid('A::"p"'), { level: 3 }, [uid('G::"g"')])
const thing = facts(uid('R::"r"'), { owner: { kind: 'entity', uid: uid('A::"p"') } })
const ALL = '@id("p") permit(principal, action, resource)'

/** The release with the conditions of its only policy replaced. */
function withConditions(release: Release, conditions: string | undefined): Release {
  const { conditions: _, ...record } = release.policy(0)
  return { ...release, policy: () => (conditions === undefined ? record : { ...record, conditions }) }
}

describe('an evaluation', () => {
  test('lists satisfied permits sorted, erroring policies apart', async () => {
    const release = await releaseOfTexts([
      '@id("z") permit(principal, action, resource);',
      '@id("b") permit(principal in G::"g", action, resource) when { resource.owner.level == 3 };',
      '@id("a") permit(principal, action, resource) when { principal.missing };',
      '@id("f") forbid(principal, action, resource) when { principal.level + 9223372036854775807 > 0 };',
      '@id("other") forbid(principal == A::"other", action, resource);',
      '@id("not-boolean") permit(principal, action, resource) when { principal.level };',
      '@id("neither") permit(principal, action, resource) unless { principal.level };',
    ])
    expect(evaluate(release, [query([person, thing])])).toEqual([
      { satisfied: ['b', 'z'], errored: ['a', 'f', 'neither', 'not-boolean'] },
    ])
  })

  test('with a satisfied forbid lists the forbids alone, and answers each query in its place', async () => {
    const release = await releaseOfTexts([
      '@id("p") permit(principal, action, resource);',
      '@id("y") forbid(principal is A, action, resource) when { principal has level };',
      '@id("x") forbid(principal is A, action, resource) unless { principal.level > 3 };',
    ])
    const stranger = query([person, thing], { principal: uid('B::"p"') })
    expect(evaluate(release, [stranger, query([person, thing])])).toEqual([
      { satisfied: ['p'], errored: [] },
      { satisfied: ['x', 'y'], errored: [] },
    ])
  })

  test('takes `when` and `unless` in their order: what a false one hides can not error', async () => {
    const release = await releaseOfTexts([
      '@id("hidden") permit(principal, action, resource) when { false } unless { principal.missing };',
      '@id("first") permit(principal, action, resource) unless { principal.missing } when { false };',
      '@id("both") permit(principal, action, resource) when { true } unless { false } when { 1 == 1 };',
    ])
    expect(evaluate(release, [query([person])])).toEqual([{ satisfied: ['both'], errored: ['first'] }])
  })

  test('knows the groups of the action from the query, whatever is stored under its name', async () => {
    const release = await releaseOfTexts([
      `${ALL} when { principal in Action::"top" && !(principal has level) };`,
    ])
    const action = uid('Action::"act"')
    const stored = facts(action, { level: 1 }, [])
    const asked = query([stored], { principal: action, action, actionAncestors: [uid('Action::"top"')] })
    expect(evaluate(release, [asked])).toEqual([{ satisfied: ['p'], errored: [] }])
  })
})

describe('a policy of an older release', () => {
  test('is read from its text when it first matches', async () => {
    const release = await releaseOfTexts([
      `${ALL} when { principal.level + 9007199254740993 == 9007199254740996 };`,
    ])
    expect(release.policy(0).conditions).toContain('{"long":"9007199254740993"}')
    expect(evaluate(withConditions(release, undefined), [query([person])])).toEqual([
      { satisfied: ['p'], errored: [] },
    ])
  })

  test('gives the same conditions as a push does, and no integer of the text is rounded', () => {
    const text = `@id("9007199254740991") permit(principal, action, resource)
      // 9007199254740990 is no stand-in
      when { "9007199254740993" == "9007199254740989" || 9007199254740991 < 9007199254740993 }
      unless { -9223372036854775808 < context.n && - 9223372036854775807 == 12345678901234567 };`
    const { conditions } = policyRecord(text)
    expect(conditions).toBe(conditionsText(text))
    expect(JSON.parse(conditions ?? '')).toEqual([
      {
        kind: 'when',
        body: {
          '||': {
            left: { '==': { left: { Value: '9007199254740993' }, right: { Value: '9007199254740989' } } },
            right: { '<': { left: { Value: 9007199254740991 }, right: { long: '9007199254740993' } } },
          },
        },
      },
      {
        kind: 'unless',
        body: {
          '&&': {
            left: {
              '<': {
                left: { long: '-9223372036854775808' },
                right: { '.': { left: { Var: 'context' }, attr: 'n' } },
              },
            },
            right: { '==': { left: { long: '-9223372036854775807' }, right: { long: '12345678901234567' } } },
          },
        },
      },
    ])
  })
})

describe('what can not be compiled', () => {
  test('goes to the other evaluator as a whole, and is reported once for each policy', async () => {
    const release = await releaseOfTexts([
      `${ALL} when { context.n == 1 };`,
      '@id("q") permit(principal, action, resource);',
    ])
    const odd = { ...release.policy(0), conditions: '[{"kind":"when","body":{"newer":[]}}]' }
    const newer = { ...release, policy: (at: number) => (at === 0 ? odd : release.policy(at)) }
    const report = vi.fn()
    const careful = createCompiledEvaluate(createEvaluate(createEngine()), report)
    const asked = query([person], { context: new Map([['n', 1]]) })
    const expected = { satisfied: ['p', 'q'], errored: [] }
    expect(careful(newer, [asked, asked])).toEqual([expected, expected])
    expect(report.mock.calls).toEqual([[newer, 'p', 'the compiled evaluator does not know `newer`']])
  })

  test.each([
    '{}',
    '[1]',
    '[{"kind":"while","body":{"Value":true}}]',
    '[{"kind":"when","body":{}}]',
    '[{"kind":"when"}]',
    '[{"kind":"when","body":{"Value":true,"Var":"context"}}]',
    '[{"kind":"when","body":{"Value":null}}]',
    '[{"kind":"when","body":{"Value":1.5}}]',
    '[{"kind":"when","body":{"Value":9007199254740993}}]',
    '[{"kind":"when","body":{"Slot":"?principal"}}]',
    '[{"kind":"when","body":{"unknown":[{"Value":"x"}]}}]',
    '[{"kind":"when","body":{"long":"99999999999999999999"}}]',
    '[{"kind":"when","body":{"Var":"other"}}]',
    '[{"kind":"when","body":{"Value":{"__extn":{"fn":"unknown","arg":"x"}}}}]',
    '[{"kind":"when","body":{"constructor":[]}}]',
    '[{"kind":"when","body":{"has":{"left":{"Var":"context"},"attr":[]}}}]',
    '[{"kind":"when","body":{"Set":{}}}]',
  ])('is never guessed at: %s', async (conditions) => {
    const release = await releaseOfTexts([`${ALL};`], conditions)
    const other = { satisfied: ['asked the other'], errored: [] }
    expect(createCompiledEvaluate(() => [other])(withConditions(release, conditions), [query([])])).toEqual([
      other,
    ])
  })
})

describe('a fault is a value', () => {
  test.each([
    ['a number that is no Long', { n: 2 ** 60 }],
    ['a number that is no integer', { n: 1.5 }],
    [
      'an extension value that can not be read',
      { n: { kind: 'extension', fn: 'decimal', text: 'x' } as const },
    ],
  ])('for %s in the query', async (_, fields) => {
    const release = await releaseOfTexts([`${ALL} when { context.n == decimal("1.0") || true };`])
    const asked = query([person], { context: new Map(Object.entries(fields)) })
    expect(evaluate(release, [asked])).toEqual([{ kind: 'engine', detail: expect.stringContaining('not a') }])
  })

  test('when looking up an entity throws', async () => {
    const release = await releaseOfTexts([`${ALL};`])
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

  test('when stored conditions are too deep for the stack, or no JSON at all', async () => {
    const release = await releaseOfTexts([`${ALL};`])
    const deep = `[{"kind":"when","body":${'{"!":{"arg":'.repeat(30_000)}{"Value":true}${'}}'.repeat(30_000)}}]`
    for (const conditions of [deep, 'nonsense'])
      expect(evaluate(withConditions(release, conditions), [query([])])).toEqual([
        { kind: 'engine', detail: expect.any(String) },
      ])
    expect(evaluate(release, [query([])])).toEqual([{ satisfied: ['p'], errored: [] }])
  })
})

describe('the deepest policies that the guard lets through', () => {
  const nested = (open: string, inner: string, close: string): string =>
    `${open.repeat(19)}${inner}${close.repeat(19)}`
  test.each([
    ['a chain of &&', Array(251).fill('context.yes').join(' && ')],
    ['a chain of ||', `${Array(250).fill('context.no').join(' || ')} || context.yes`],
    ['a sum', `${Array(250).fill('1').join(' + ')} > 0`],
    ['a sum that leans to the right', `${'1 + ('.repeat(38)}1${')'.repeat(38)} == 39`],
    ['if in else', `${'if context.no then false else '.repeat(250)}true`],
    ['if in if', `${'if ('.repeat(39)}true${') then true else false'.repeat(39)}`],
    ['negations', nested('(!(', 'true', '))')],
    ['sets', `${nested('[[', '1', ']]')} == ${nested('[[', '1, 1', ']]')}`],
    ['records', `${nested('{a: [', '1', ']}')} == ${nested('{a: [', '1', ']}')}`],
    ['steps', `${Array(240).fill('context').join('.')} == 1`],
    ['has', `context has ${Array(240).fill('self').join('.')}`],
    ['methods', `context.when${'.offset(context.span)'.repeat(240)} > context.old`],
  ])('%s', async (_, condition) => {
    const text = `permit(principal, action, resource) when { ${condition} };`
    expect(splitPolicies({ name: 'deep.cedar', text }).diagnostics).toEqual([])
    const found = await compareWithCedar([condition], WORLD)
    expect(found.filter(({ compiled, cedar }) => compiled !== cedar)).toEqual([])
  })
})
