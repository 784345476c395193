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
  expect(Math.min(seen.true, seen.false, seen.error)).toBeGreaterThan(RUNS / 10)
})
