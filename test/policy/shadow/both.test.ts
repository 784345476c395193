import { describe, expect, test } from 'vitest'
import type { Evaluate } from '#policy/port.ts'
import { createBothEngine } from '#policy/shadow/both.ts'
import type { Difference } from '#policy/shadow/capture.ts'
import { nativeRequest } from '../../support/ask.ts'
import { createWorld } from '../../support/world.ts'
import { compiled, reference } from './engines.ts'

const QUESTION = nativeRequest({ agent: 'triage-bot', user: 'alice', tool: 'github/list_repos' })

/** The demo tenant, decided by cedar-wasm and by `other`. */
async function decide(other: Evaluate) {
  const differences: Difference[] = []
  const engine = createBothEngine({
    compiled: other,
    reference,
    tenants: () => [world.tenant],
    onDifference: (difference) => differences.push(difference),
  })
  const world = await createWorld('demo', { policies: 'demo', evaluate: engine.evaluate })
  const decision = await world.decider.decide(QUESTION, world.gateway)
  return { decision, differences, counts: engine.stats().comparisons.decision }
}

describe('with both evaluators for every decision', () => {
  test('what both permit is permitted', async () => {
    const { decision, differences, counts } = await decide(compiled)
    expect(decision.effect).toBe('allow')
    expect(differences).toEqual([])
    expect(counts).toMatchObject({ different: 0, unanswered: 0 })
    expect(counts.same).toBeGreaterThan(0)
  })

  test.each<[string, Evaluate]>([
    [
      'denies what cedar-wasm permits',
      (_release, queries) => queries.map(() => ({ satisfied: [], errored: [] })),
    ],
    [
      'names another permit',
      (release, queries) =>
        compiled(release, queries).map((found) =>
          'kind' in found ? found : { ...found, satisfied: ['other'] },
        ),
    ],
    [
      'hides an error',
      (release, queries) =>
        compiled(release, queries).map((found) => ('kind' in found ? found : { ...found, errored: ['x'] })),
    ],
    ['fails', (_release, queries) => queries.map(() => ({ kind: 'engine', detail: 'a bug' }))],
    ['says nothing', () => []],
  ])('a disagreement denies: the other one %s', async (_name, wrong) => {
    const { decision, differences } = await decide(wrong)
    expect(decision.effect).toBe('deny')
    expect(decision.reasons[0]?.code).toBe('policy.engine_error')
    expect(differences[0]).toMatchObject({ source: 'decision', tenant: 'demo' })
  })

  test('what the other one permits alone is denied', async () => {
    const nobody: Evaluate = (_release, queries) => queries.map(() => ({ satisfied: [], errored: [] }))
    const engine = createBothEngine({
      compiled,
      reference: nobody,
      tenants: () => [],
      onDifference: () => undefined,
    })
    const world = await createWorld('demo', { policies: 'demo', evaluate: engine.evaluate })
    const { effect, reasons } = await world.decider.decide(QUESTION, world.gateway)
    expect([effect, reasons[0]?.code]).toEqual(['deny', 'policy.engine_error'])
  })
})
