import fc from 'fast-check'
import { expect, test } from 'vitest'
import { compareWithCedar, type Truth } from './against-cedar.ts'
import { anyExpression } from './expressions.ts'
import { WORLD } from './world.ts'

const RUNS = Number(process.env['EXPRESSION_RUNS'] ?? 40)
/** Expressions per run: parsing entities is then a small part of cedar-wasm's work. */
const TOGETHER = 50

test('expressions of any operators over any types come to what cedar-wasm says', {
  timeout: 600_000,
}, async () => {
  const seen: { [truth in Truth]: number } = { true: 0, false: 0, error: 0 }
  await fc.assert(
    fc.asyncProperty(
      fc.array(anyExpression, { minLength: 1, maxLength: TOGETHER, size: 'max' }),
      async (texts) => {
        // Few of them are booleans; compared with itself, any value says whether it is one or an error.
        const conditions = texts.map((text, i) => (i % 2 === 0 ? text : `${text} == ${text}`))
        const found = await compareWithCedar(conditions, WORLD)
        for (const { cedar } of found) seen[cedar] += 1
        expect(found.filter(({ compiled, cedar }) => compiled !== cedar)).toEqual([])
      },
    ),
    { numRuns: RUNS },
  )
  expect(Math.min(seen.true, seen.false, seen.error)).toBeGreaterThan(0)
})

test('texts match patterns as cedar-wasm says', { timeout: 600_000 }, async () => {
  const piece = fc
    .array(fc.constantFrom('a', 'b', '😀', 'é'), { maxLength: 22 })
    .map((parts) => parts.join(''))
  const few = fc
    .array(fc.constantFrom('a', 'b', 'ab', 'aab', '*', '*'), { maxLength: 9 })
    .map((parts) => parts.join(''))
  const pattern = fc.oneof(
    few,
    fc.array(piece, { maxLength: 4 }).map((parts) => parts.join('*')),
  )
  const condition = fc.oneof(
    fc.tuple(few, few).map(([text, like]) => `"${text.replaceAll('*', 'a')}" like "${like}"`),
    // A text that is made of the pattern, so that long pieces match too.
    fc
      .tuple(pattern, few, piece)
      .map(([like, gap, end]) => `"${like.replaceAll('*', gap)}${end}" like "${like}*"`),
    fc.tuple(pattern, piece).map(([like, gap]) => `"${like.replaceAll('*', gap)}" like "${like}"`),
    fc
      .tuple(pattern, piece)
      .map(([like, gap]) => `"${like.replaceAll('*', gap)}" like "*${[...like].slice(1).join('')}"`),
  )
  await fc.assert(
    fc.asyncProperty(
      fc.array(condition, { minLength: 1, maxLength: TOGETHER, size: 'max' }),
      async (conditions) => {
        const found = await compareWithCedar(conditions, WORLD)
        expect(found.filter(({ compiled, cedar }) => compiled !== cedar)).toEqual([])
      },
    ),
    { numRuns: RUNS },
  )
})
