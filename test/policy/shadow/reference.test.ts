import { describe, expect, test } from 'vitest'
import { matchingOrdinals } from '#policy/shadow/compare.ts'
import { startReference } from '#policy/shadow/reference.ts'
import { facts, query, releaseOfTexts, uid } from '../../support/policy-records.ts'
import { ask, POLICIES, reference } from './engines.ts'

/** So deep that evaluating it overruns the engine's stack, although it parses. */
const DEADLY = `permit(principal, action, resource) when { ${Array(3_000).fill('context.risk == 1').join(' && ')} };`
const FAULT = { kind: 'engine', detail: expect.any(String) }

describe('cedar-wasm in its thread', () => {
  test('says what cedar-wasm says, to many questions at once', async () => {
    const release = await releaseOfTexts(POLICIES)
    const thread = startReference()
    const asked = Array.from({ length: 300 }, (_, risk) => ask(risk % 100))
    const answers = asked.map((each) => thread.ask(release, matchingOrdinals(release, each), each))
    expect(await Promise.all(answers)).toEqual(reference(release, asked))
    thread.close()
  })

  test('forgets the slices that were used least, and answers all the same', async () => {
    const texts = Array.from(
      { length: 300 },
      (_, i) => `@id("p${i}")\npermit(principal, action, resource) when { context.risk == ${i} };`,
    )
    const release = await releaseOfTexts(texts)
    const thread = startReference()
    for (const round of [0, 1])
      for (let i = 0; i < 300; i += 1)
        expect(await thread.ask(release, [i], ask(i)), `round ${round}`).toEqual({
          satisfied: [`p${i}`],
          errored: [],
        })
    thread.close()
  })

  test('a trap is no answer, and the next question has one', async () => {
    const whole = await releaseOfTexts(POLICIES)
    const policy: typeof whole.policy = (ordinal) =>
      ordinal === 1 ? { ...whole.policy(1), text: DEADLY } : whole.policy(ordinal)
    const release = { ...whole, policy }
    const thread = startReference()
    expect(await thread.isSound()).toBe(true)
    expect(await thread.ask(release, [1], ask(1))).toEqual(FAULT)
    expect(await thread.ask(release, [0], ask(1))).toEqual({ satisfied: ['low'], errored: [] })
    thread.close()
  })

  test('a query that can not be asked is no answer', async () => {
    const release = await releaseOfTexts(POLICIES)
    const thread = startReference()
    const fraction = query([facts(uid('R::"r"'), { marked: false })], { context: new Map([['risk', 0.5]]) })
    expect(await thread.ask(release, [0], fraction)).toEqual(FAULT)
    thread.close()
  })

  test('what was asked when it is closed, and what is asked afterwards, has no answer', async () => {
    const release = await releaseOfTexts(POLICIES)
    const thread = startReference()
    const open = thread.ask(release, [0], ask(1))
    thread.close()
    expect([await open, await thread.ask(release, [0], ask(1))]).toEqual([FAULT, FAULT])
    expect(await thread.isSound()).toBe(false)
  })
})
