import { describe, expect, test } from 'vitest'
import type { ScopeQuestion } from '#model/release.ts'
import type { Evaluate } from '#policy/port.ts'
import type { AskReference } from '#policy/shadow/reference.ts'
import { releaseOfTexts } from '../../support/policy-records.ts'
import {
  ask,
  checker,
  compiled,
  counting,
  misreading,
  POLICIES,
  proving,
  reference,
  tenantOf,
} from './engines.ts'

const ALLOW_ALL: Evaluate = (_release, queries) => queries.map(() => ({ satisfied: ['low'], errored: [] }))
const PERMITTED = { satisfied: ['low'], errored: [] }
const NOT_PERMITTED = { satisfied: [], errored: [] }

describe('before the first use', () => {
  test('a release that is not proven yet is served by cedar-wasm', async () => {
    const tenant = await tenantOf('acme')
    const fast = counting(ALLOW_ALL)
    const { engine } = proving([tenant], { compiled: fast })
    expect(engine.evaluate(tenant.release, [ask(90)])).toEqual([NOT_PERMITTED])
    expect(fast.asked).toBe(0)
    expect(engine.stats().tenants).toMatchObject({ checking: 1, compiled: 0 })
    engine.close()
  })

  test('a proven release is served by the compiled evaluator', async () => {
    const tenant = await tenantOf('acme')
    const slow = counting(reference)
    const { engine, differences, unproven } = proving([tenant], { reference: slow })
    await engine.idle()
    expect(engine.evaluate(tenant.release, [ask(50), ask(51)])).toEqual([PERMITTED, NOT_PERMITTED])
    expect(slow.asked).toBe(0)
    expect([differences, unproven]).toEqual([[], []])
    expect(engine.stats().tenants).toMatchObject({ compiled: 1 })
    expect(engine.stats().comparisons.activation.same).toBeGreaterThanOrEqual(POLICIES.length)
    engine.close()
  })

  test.each([
    ['takes everything for permitted', ALLOW_ALL],
    ['reads `<=` as `<`', misreading(/ <= /g, ' < ')],
    ['leaves a forbid out', misreading(/resource\.marked/g, 'false')],
    [
      'hides errors',
      ((release, queries) =>
        compiled(release, queries).map((found) =>
          'kind' in found ? found : { ...found, errored: [] },
        )) as Evaluate,
    ],
    ['fails', (() => []) as Evaluate],
  ])(
    'a wrong evaluator is caught and the tenant stays with cedar-wasm: one that %s',
    async (_name, wrong) => {
      const tenant = await tenantOf('acme')
      const { engine, differences } = proving([tenant], { compiled: wrong })
      await engine.idle()
      expect(differences.map(({ source, tenant: id }) => [source, id])).toEqual([['activation', 'acme']])
      expect(engine.stats().tenants).toMatchObject({ different: 1, compiled: 0 })
      expect(engine.evaluate(tenant.release, [ask(50), ask(51)])).toEqual([PERMITTED, NOT_PERMITTED])
      engine.close()
    },
  )

  test('without answers of cedar-wasm nothing is proven', async () => {
    const tenant = await tenantOf('acme')
    const dead: AskReference = async () => ({ kind: 'engine', detail: 'it trapped' })
    const { engine, unproven } = proving([tenant], { checker: dead })
    await engine.idle()
    expect(unproven).toEqual(['it trapped'])
    expect(engine.stats().tenants).toMatchObject({ unproven: 1, compiled: 0 })
    engine.close()
  })
})

describe('releases that follow each other', () => {
  test('a release whose state has moved on is served by cedar-wasm', async () => {
    const old = await releaseOfTexts(POLICIES, 'old')
    const { engine } = proving([await tenantOf('acme')], { compiled: ALLOW_ALL })
    expect(engine.evaluate(old, [ask(90)])).toEqual([NOT_PERMITTED])
    engine.close()
  })

  test('requests of the release before are asked of the next one too', async () => {
    let tenant = await tenantOf('acme')
    const { engine } = proving(() => [tenant])
    await engine.idle()
    for (let risk = 0; risk < 10; risk += 1) engine.evaluate(tenant.release, [ask(risk)])
    await engine.idle()
    const before = engine.stats().comparisons.activation.same
    tenant = await tenantOf('acme', ['@id("other")\npermit(principal is Nobody, action, resource);'])
    engine.evaluate(tenant.release, [ask(1)])
    await engine.idle()
    expect(engine.stats().comparisons.activation.same - before).toBe(100 + 10)
    engine.close()
  })

  test('a release that is replaced while it is checked is not checked to the end, and never proven', async () => {
    const old = await tenantOf('acme')
    let tenant = old
    let asked = 0
    const { engine } = proving(() => [tenant], {
      checker: (...question) => {
        asked += 1
        if (asked === 10) tenant = next
        return checker(...question)
      },
    })
    const next = await tenantOf('acme', ['@id("next")\npermit(principal, action, resource);'])
    await engine.idle()
    expect(asked).toBeLessThanOrEqual(50)
    tenant = old
    expect(engine.stats().tenants).toMatchObject({ checking: 1, compiled: 0 })
    engine.close()
  })

  test('of many tenants those with requests are proven first', async () => {
    const many = await Promise.all(Array.from({ length: 20 }, (_, i) => tenantOf(`tenant-${i}`)))
    const order: string[] = []
    const { engine } = proving(many, {
      compiled: (release, queries) => {
        if (order.at(-1) !== release.id) order.push(release.id)
        return compiled(release, queries)
      },
    })
    const last = many.at(-1)
    if (last === undefined) throw new Error('there are tenants')
    engine.evaluate(last.release, [ask(1)])
    await engine.idle()
    expect(order.indexOf(last.release.id)).toBe(16)
    engine.close()
  })
})

describe('the check', () => {
  test('a scope index that leaves a forbid out is caught, because cedar-wasm is asked with all policies', async () => {
    const tenant = await tenantOf('acme', [...POLICIES, '@id("deny")\nforbid(principal, action, resource);'])
    const release = {
      ...tenant.release,
      matching: (question: ScopeQuestion) =>
        tenant.release.matching(question).filter((ordinal) => ordinal !== 2),
    }
    const { engine, differences } = proving([{ ...tenant, release }])
    await engine.idle()
    expect(differences).toMatchObject([{ reference: { satisfied: ['deny'] } }])
    engine.close()
  })

  test('checking gives way to other work', async () => {
    const texts = Array.from(
      { length: 30 },
      (_, i) =>
        `@id("p${i}")\npermit(principal == A::"p${i}", action, resource) when { context.risk == ${i} };`,
    )
    const tenant = await tenantOf('acme', texts)
    let turns = 0
    const { engine } = proving([tenant])
    const count = setInterval(() => {
      turns += 1
    }, 1)
    await engine.idle()
    clearInterval(count)
    expect(engine.stats().tenants).toMatchObject({ compiled: 1 })
    expect(turns).toBeGreaterThan(10)
    engine.close()
  })
})

describe('in production', () => {
  /** An evaluator that is right until it is told to be wrong. */
  function turning() {
    const state = { isWrong: false }
    const evaluate: Evaluate = (release, queries) => (state.isWrong ? ALLOW_ALL : compiled)(release, queries)
    return { state, evaluate }
  }

  test('a difference in a sample switches the tenant to cedar-wasm, and its next releases too', async () => {
    let tenant = await tenantOf('acme')
    const other = await tenantOf('globex')
    const { state, evaluate } = turning()
    const { engine, differences } = proving(() => [tenant, other], { compiled: evaluate })
    await engine.idle()
    state.isWrong = true
    engine.evaluate(tenant.release, [ask(90)])
    await engine.idle()
    expect(differences).toMatchObject([
      {
        source: 'live',
        tenant: 'acme',
        reference: NOT_PERMITTED,
        compiled: PERMITTED,
        policies: { low: POLICIES[0], marked: POLICIES[1] },
        query: { context: new Map([['risk', 90]]) },
      },
    ])
    expect(engine.evaluate(tenant.release, [ask(90)])).toEqual([NOT_PERMITTED])
    state.isWrong = false
    tenant = await tenantOf('acme')
    engine.evaluate(tenant.release, [ask(1)])
    await engine.idle()
    expect(engine.stats().tenants).toEqual({ compiled: 1, checking: 0, unproven: 0, different: 1 })
    engine.close()
  })

  test('what agrees is counted and nothing happens', async () => {
    const tenant = await tenantOf('acme')
    const { engine, differences } = proving([tenant])
    await engine.idle()
    engine.evaluate(tenant.release, [ask(1), ask(90)])
    await engine.idle()
    expect(engine.stats().comparisons.live).toEqual({ same: 2, different: 0, unanswered: 0 })
    expect(differences).toEqual([])
    engine.close()
  })

  test('a query that the compiled evaluator can not answer is answered by cedar-wasm', async () => {
    const tenant = await tenantOf('acme')
    let isBroken = false
    const breaking: Evaluate = (release, queries) =>
      isBroken ? queries.map(() => ({ kind: 'engine', detail: 'a bug' })) : compiled(release, queries)
    const { engine } = proving([tenant], { compiled: breaking })
    await engine.idle()
    isBroken = true
    expect(engine.evaluate(tenant.release, [ask(1), ask(90)])).toEqual([PERMITTED, NOT_PERMITTED])
    engine.close()
  })

  test('samples beyond the queue are dropped and counted, and no decision waits for one', async () => {
    const tenant = await tenantOf('acme')
    const { engine } = proving([tenant])
    await engine.idle()
    for (let i = 0; i < 1_000; i += 1) engine.evaluate(tenant.release, [ask(i % 100)])
    expect(engine.stats().dropped).toBeGreaterThan(700)
    await engine.idle()
    const { same } = engine.stats().comparisons.live
    expect(same + engine.stats().dropped).toBe(1_000)
    engine.close()
  })
})
