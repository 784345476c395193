import { describe, expect, test } from 'vitest'
import { captureQuery } from '#policy/shadow/capture.ts'
import { inParts, referenceAnswer } from '#policy/shadow/compare.ts'
import { facts, query, releaseOfTexts, uid } from '../../support/policy-records.ts'
import { checker, reference } from './engines.ts'

describe('parts', () => {
  test('hold a few policies or little text, so that cedar-wasm prepares each in a few milliseconds', async () => {
    const long = `@id("long")\npermit(principal, action, resource) when { context.s == "${'x'.repeat(9_000)}" };`
    const short = Array.from({ length: 40 }, (_, i) => `@id("p${i}")\npermit(principal, action, resource);`)
    const release = await releaseOfTexts([...short.slice(0, 5), long, ...short.slice(5)])
    const ordinals = Array.from({ length: 41 }, (_, i) => i)
    const parts = [...inParts(release, ordinals)]
    expect(parts.flat()).toEqual(ordinals)
    expect(parts.map((part) => part.length)).toEqual([5, 1, 16, 16, 3])
  })

  test('together give the answer of the whole: forbids of any part count, and permits only without one', async () => {
    const permits = Array.from({ length: 40 }, (_, i) => `@id("p${i}")\npermit(principal, action, resource);`)
    const error = '@id("e")\nforbid(principal, action, resource) when { context.none };'
    const forbid = '@id("f")\nforbid(principal, action, resource);'
    const ask = query([])
    const [allowed, denied] = [
      await releaseOfTexts([...permits, error]),
      await releaseOfTexts([...permits, error, forbid]),
    ]
    for (const release of [allowed, denied])
      expect([await referenceAnswer(checker, release, ask)]).toEqual(reference(release, [ask]))
    expect(reference(denied, [ask])).toEqual([{ satisfied: ['f'], errored: ['e'] }])
  })
})

test('a captured query holds what it reaches through references, and no more than its bound', () => {
  const chain = Array.from({ length: 80 }, (_, i) =>
    facts(uid(`E::"${i}"`), {
      next: { kind: 'entity', uid: uid(`E::"${i + 1}"`) },
      same: { kind: 'entity', uid: uid(`E::"${i}"`) },
    }),
  )
  const { entities } = captureQuery(query([...chain, facts(uid('E::"far"'))], { principal: uid('E::"0"') }))
  expect(entities.map((each) => each.uid.id)).toEqual(Array.from({ length: 50 }, (_, i) => String(i)))
})
