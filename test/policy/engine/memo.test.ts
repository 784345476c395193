import { describe, expect, test } from 'vitest'
import { createEngine, type Engine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import { createMemo } from '#policy/engine/memo.ts'
import { facts, query, releaseOfTexts, uid } from '../../support/policy-records.ts'

const ANSWER = { satisfied: ['p'], errored: [] }

describe('a memo', () => {
  test('keeps an answer from the second time that its question is asked', () => {
    const memo = createMemo()
    memo.offer('question', ANSWER)
    expect(memo.find('question')).toBeUndefined()
    memo.offer('question', ANSWER)
    expect(memo.find('question')).toBe(ANSWER)
    expect(memo.find('question ')).toBeUndefined()
  })

  test('holds no more answers than it may, and the least recently used one gives way', () => {
    const memo = createMemo(2)
    for (const key of ['a', 'b']) for (let i = 0; i < 2; i += 1) memo.offer(key, ANSWER)
    memo.find('a')
    for (let i = 0; i < 2; i += 1) memo.offer('c', ANSWER)
    expect(['a', 'b', 'c'].map((key) => memo.find(key) !== undefined)).toEqual([true, false, true])
  })

  test('keeps no answer to a very long question', () => {
    const memo = createMemo()
    const long = 'x'.repeat(5_000)
    for (let i = 0; i < 3; i += 1) memo.offer(long, ANSWER)
    expect(memo.find(long)).toBeUndefined()
  })
})

describe('an evaluator', () => {
  const person = (level: number) => facts(uid('A::"p"'), { level }, [])
  const text = (bound: number) =>
    `@id("p") permit(principal, action, resource) when { principal.level > ${bound} };`

  function counting(): { readonly engine: Engine; readonly asked: () => number } {
    const inner = createEngine()
    let asked = 0
    const authorize: Engine['authorize'] = (call) => {
      asked += 1
      return inner.authorize(call)
    }
    const engine: Engine = { ...inner, authorize }
    return { engine, asked: () => asked }
  }

  test('asks the engine no third time for the same facts and policies', async () => {
    const { engine, asked } = counting()
    const evaluate = createEvaluate(engine)
    const release = await releaseOfTexts([text(2)])
    const answers = Array.from({ length: 5 }, () => evaluate(release, [query([person(3)])])[0])
    expect(answers).toEqual(Array.from({ length: 5 }, () => ({ satisfied: ['p'], errored: [] })))
    expect(asked()).toBe(2)
  })

  test('decides anew when a fact that a policy reads has changed', async () => {
    const evaluate = createEvaluate(createEngine())
    const release = await releaseOfTexts([text(2)])
    for (let i = 0; i < 3; i += 1) evaluate(release, [query([person(3)])])
    expect(evaluate(release, [query([person(1)])])).toEqual([{ satisfied: [], errored: [] }])
  })

  test('decides anew under another release with the same policy ids', async () => {
    const evaluate = createEvaluate(createEngine())
    const strict = { ...(await releaseOfTexts([text(5)])), id: 'sha256:strict' as never }
    const loose = { ...(await releaseOfTexts([text(2)])), id: 'sha256:loose' as never }
    for (let i = 0; i < 3; i += 1) evaluate(loose, [query([person(3)])])
    expect(evaluate(strict, [query([person(3)])])).toEqual([{ satisfied: [], errored: [] }])
  })
})
