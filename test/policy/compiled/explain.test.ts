import { describe, expect, test } from 'vitest'
import { explainConditions } from '#policy/compiled/explain.ts'
import { policyRecord } from '../../support/policy-records.ts'
import { compareWithCedar } from './against-cedar.ts'
import { WORLD } from './world.ts'

function explained(conditions: string): readonly string[] {
  const record = policyRecord(
    `@id("x") @reason("when { x && y }") permit(principal, action, resource) ${conditions};`,
  )
  return explainConditions(record, WORLD.query).map(
    ({ kind, truth, range }) =>
      `${kind} ${truth}: ${range === undefined ? '?' : record.text.slice(range.start, range.end)}`,
  )
}

describe('each term of the conditions has a truth and a place', () => {
  test('operands of && in a when, of || in an unless, in their order', () => {
    expect(
      explained(`
        when { context.yes && context.five > 5 && (context.missing == 1 && "a && b" like "* || *") }
        // unless { nothing }
        unless { context.no || (principal has missing) || 1 } when { { when: { a: 1 } } has when }`),
    ).toEqual([
      'when true: context.yes',
      'when false: context.five > 5',
      'when error: context.missing == 1',
      'when false: "a && b" like "* || *"',
      'unless false: context.no',
      'unless false: principal has missing',
      'unless error: 1',
      'when true: { when: { a: 1 } } has when',
    ])
  })

  test('another operator on top is one term', () => {
    expect(
      explained(
        'when { context.no && context.missing || context.yes } unless { if context.no then 1 else context.no && true }',
      ),
    ).toEqual([
      'when true: context.no && context.missing || context.yes',
      'unless false: if context.no then 1 else context.no && true',
    ])
    expect(explained('')).toEqual([])
    expect(explained('when { (((context.yes))) }')).toEqual(['when true: context.yes'])
  })

  test('the truth of a term is that of cedar-wasm', async () => {
    const terms = [
      'principal in G::"g"',
      'context.five + 9223372036854775807 > 0',
      'resource.next.owner.five == 1',
    ]
    const found = await compareWithCedar(terms, WORLD)
    expect(explained(`when { ${terms.join(' && ')} }`)).toEqual(
      found.map(({ condition, cedar }) => `when ${cedar}: ${condition}`),
    )
  })
})
