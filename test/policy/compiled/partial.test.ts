import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createCompiledEvaluate } from '#policy/compiled/evaluate.ts'
import { residual } from '#policy/compiled/partial.ts'
import { releaseOfTexts } from '../../support/policy-records.ts'
import { anyExpression } from './expressions.ts'
import { WORLD } from './world.ts'

const INPUT = new Set(['input'])
const permit = (condition: string): string =>
  `@id("p") permit(principal, action, resource) when { ${condition} };`
const forbid = (condition: string): string =>
  `@id("f") forbid(principal, action, resource) when { ${condition} };`

describe('with the arguments unknown', () => {
  test.each([
    ['allow', [permit('context.yes')]],
    ['allow', [permit('context.yes || context.input.n > 1'), forbid('context.no && context.input.n > 1')]],
    ['deny', [permit('context.no')]],
    ['deny', [permit('context.input.n > 1 && context.no')]],
    ['deny', []],
    ['deny', [permit('true'), forbid('context.yes')]],
    ['deny', [permit('true'), forbid('context.missing == 1')]],
    ['deny', [permit('true'), forbid('context.input.n == 1 || context.yes')]],
    ['unknown', [permit('context.input.n > 1')]],
    ['unknown', [permit('(context has input)')]],
    ['unknown', [permit('context == {}')]],
    ['unknown', [permit('true'), forbid('context.input.n > 1')]],
    ['unknown', [permit('if context.input.n == 1 then true else context.no')]],
    ['unknown', [permit('!(context.input.n == 1)')]],
    ['unknown', [permit('[context].contains({})')]],
    ['allow', [permit('if context.no then context.input.n == 1 else true')]],
  ] as const)('%s: %j', async (expected, texts) => {
    expect(residual(await releaseOfTexts(texts, texts.join()), WORLD.query, INPUT)).toBe(expected)
  })

  test('permits that do not count allow nothing', async () => {
    const release = await releaseOfTexts([permit('true')])
    expect(residual(release, WORLD.query, INPUT, ({ testsAutonomous }) => testsAutonomous)).toBe('deny')
  })
})

test('what is decided before the arguments are known stays so, whatever they are', async () => {
  const evaluate = createCompiledEvaluate(() => [])
  const inputs = fc.constantFrom(undefined, 0, true, 'five', ...WORLD.query.context.values())
  const decided = { allow: 0, deny: 0, unknown: 0 }
  const condition = fc
    .tuple(
      anyExpression,
      fc.constantFrom('context.input', 'context.input.a', '(context has input)'),
      anyExpression,
    )
    .chain(([a, b, c]) =>
      fc.constantFrom(
        `${b} == ${a} || true`,
        `context.no && ${b} == 1`,
        `!(${a} == 1 && ${b} == ${c})`,
        `${a} == ${a} || ${b} == ${b}`,
      ),
    )
  await fc.assert(
    fc.asyncProperty(condition, condition, inputs, async (p, f, input) => {
      const texts = [permit(p), forbid(f)]
      const release = await releaseOfTexts(texts, texts.join())
      const before = residual(release, WORLD.query, INPUT)
      decided[before] += 1
      const context = new Map(WORLD.query.context)
      if (input !== undefined) context.set('input', input)
      const [answer] = evaluate(release, [{ ...WORLD.query, context }])
      if (answer === undefined || 'kind' in answer) throw new Error('no evaluation')
      const after = answer.satisfied.includes('p') && !answer.errored.includes('f') ? 'allow' : 'deny'
      if (before !== 'unknown') expect(after).toBe(before)
    }),
    { numRuns: 150 },
  )
  expect(decided.deny).toBeGreaterThan(0)
})
