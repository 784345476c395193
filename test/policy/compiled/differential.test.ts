import { describe, expect, test } from 'vitest'
import { createCompiledEvaluate } from '#policy/compiled/evaluate.ts'
import type { Evaluate } from '#policy/port.ts'
import { CASES_FOR_COVERAGE, wanted } from '../../support/fuzz/coverage.ts'
import { runFuzz } from '../../support/fuzz/run-fuzz.ts'
import { runShares } from '../../support/fuzz/run-shares.ts'
import { reportText } from '../../support/fuzz/shrink.ts'

const CASES = Number(process.env['DIFFERENTIAL_CASES'] ?? 2_000)
const SEED = Number(process.env['DIFFERENTIAL_SEED'] ?? 1)

test(`the compiled evaluator answers as cedar-wasm does, and a long run exercises everything (${CASES} cases)`, {
  timeout: 1_800_000,
}, async () => {
  const outcome = await runShares(CASES, SEED)
  expect(outcome.reports.map(reportText).join('\n\n')).toBe('')
  expect(outcome.cases).toBeGreaterThanOrEqual(CASES)
  // A fuzz that never reaches an operator or an error says nothing about it.
  const missing = wanted().filter((name) => !outcome.coverage.has(name))
  if (CASES >= CASES_FOR_COVERAGE) expect(missing).toEqual([])
})

describe('a wrong evaluator is found, in a case small enough to read', () => {
  /** The compiled evaluator with one thing wrong: it reads another text than the one that was written. */
  const misreading = (pattern: RegExp, replacement: string): Evaluate => {
    const compiled = createCompiledEvaluate(() => [{ kind: 'engine', detail: 'not supported' }])
    return (release, queries) => {
      const policy = (ordinal: number) => {
        const { conditions: _parsed, ...record } = release.policy(ordinal)
        return { ...record, text: record.text.replaceAll(pattern, replacement) }
      }
      return compiled({ ...release, policy }, queries)
    }
  }

  test.each([
    ['`||` is read as `&&`', / \|\| /g, ' && '],
    ['`containsAll` is read as `containsAny`', /containsAll/g, 'containsAny'],
    ['an escaped star is read as a wildcard', /\\\*/g, '*'],
  ])('%s', { timeout: 600_000 }, async (_name, pattern, replacement) => {
    const { report } = await runFuzz(misreading(pattern, replacement), { seed: 1, stride: 1, cases: 20_000 })
    const policies = report?.files['policies.cedar'] ?? ''
    expect(policies.match(/@id/g)).toHaveLength(1)
    expect(policies.length).toBeLessThan(300)
    expect(report?.difference).toContain('expected')
  })

  test('an error is taken for false', { timeout: 600_000 }, async () => {
    const compiled = createCompiledEvaluate(() => [])
    const wrong: Evaluate = (release, queries) =>
      compiled(release, queries).map((outcome) => ('kind' in outcome ? outcome : { ...outcome, errored: [] }))
    const { report } = await runFuzz(wrong, { seed: 1, stride: 1, cases: 20_000 })
    expect(report?.difference).toContain('"errored":["policy')
  })
})
