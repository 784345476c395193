import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ActionScope, EntityScope, PolicyRecord, ScopeQuestion } from '#model/release.ts'
import type { EntityUid } from '#model/value.ts'
import { assembleRelease } from '#policy/engine/release-index.ts'
import { inBatches, policyRecord, readNode, releaseHeader, uid } from '../../support/policy-records.ts'

const TYPES = ['T0', 'T1', 'Ns::T2']
const anyUid: fc.Arbitrary<EntityUid> = fc.record({
  type: fc.constantFrom(...TYPES),
  id: fc.constantFrom('a', 'b', 'c', ''),
})
const entityScope: fc.Arbitrary<EntityScope> = fc.oneof(
  fc.constant({ op: 'all' } as const),
  fc.record({ op: fc.constant('==' as const), entity: anyUid }),
  fc.record({ op: fc.constant('in' as const), entity: anyUid }),
  fc.record({ op: fc.constant('is' as const), type: fc.constantFrom(...TYPES) }),
  fc.record({ op: fc.constant('is-in' as const), type: fc.constantFrom(...TYPES), entity: anyUid }),
)
const actionScope: fc.Arbitrary<ActionScope> = fc.oneof(
  fc.constant({ op: 'all' } as const),
  fc.record({ op: fc.constant('==' as const), entity: anyUid }),
  fc.record({ op: fc.constant('in' as const), entities: fc.array(anyUid, { maxLength: 3 }) }),
)
const scope = fc.record({ principal: entityScope, action: actionScope, resource: entityScope })
const ancestors = fc.array(anyUid, { maxLength: 4 })
const question: fc.Arbitrary<ScopeQuestion> = fc.record({
  principal: anyUid,
  principalAncestors: ancestors,
  action: anyUid,
  actionAncestors: ancestors,
  resource: anyUid,
  resourceAncestors: ancestors,
})

const TEMPLATE = policyRecord('@id("p") permit(principal, action, resource);')

function record(id: string, wanted: PolicyRecord['scope']): PolicyRecord {
  return { ...TEMPLATE, id, scope: wanted }
}

const same = (a: EntityUid, b: EntityUid): boolean => a.type === b.type && a.id === b.id

/** The scope rules of the Cedar language, written down plainly. */
function matches(wanted: EntityScope, self: EntityUid, above: readonly EntityUid[]): boolean {
  const isIn = (entity: EntityUid): boolean => [self, ...above].some((each) => same(each, entity))
  switch (wanted.op) {
    case 'all':
      return true
    case '==':
      return same(wanted.entity, self)
    case 'in':
      return isIn(wanted.entity)
    case 'is':
      return wanted.type === self.type
    case 'is-in':
      return wanted.type === self.type && isIn(wanted.entity)
  }
}

function matchesAction(wanted: ActionScope, self: EntityUid, above: readonly EntityUid[]): boolean {
  if (wanted.op !== 'in') return matches(wanted, self, above)
  return wanted.entities.some((entity) => matches({ op: 'in', entity }, self, above))
}

describe('the scope index', () => {
  test('finds exactly the matching policies, ascending and each once', async () => {
    const property = fc.asyncProperty(
      fc.array(scope, { maxLength: 25 }),
      fc.array(question, { minLength: 1, maxLength: 8 }),
      async (scopes, questions) => {
        const records = scopes.map((each, i) => record(`p${i}`, each))
        const release = await assembleRelease(releaseHeader(records.length), inBatches(records, 7))
        for (const asked of questions) {
          const expected = scopes.flatMap((each, i) =>
            matches(each.principal, asked.principal, asked.principalAncestors) &&
            matchesAction(each.action, asked.action, asked.actionAncestors) &&
            matches(each.resource, asked.resource, asked.resourceAncestors)
              ? [i]
              : [],
          )
          expect(release.matching(asked)).toEqual(expected)
        }
      },
    )
    await fc.assert(property, { numRuns: 300 })
  })

  test('gives records back as they were stored, by ordinal and by id', async () => {
    const text = '@id("x") forbid(principal is T0, action, resource) when { principal["__proto__"] == 1 };'
    const stored = policyRecord(text)
    const release = await assembleRelease(releaseHeader(1), inBatches([stored]))

    expect(release.policy(0)).toEqual(JSON.parse(JSON.stringify(stored)))
    expect(Object.keys(release.policy(0).reads.principal?.attrs ?? {})).toEqual(['__proto__'])
    expect(release.find('x')).toBe(release.policy(0))
    expect(release.find('y')).toBeUndefined()
    expect(() => release.policy(1)).toThrow('release sha256:test has no policy 1')
  })

  test('a record stays right after the cache of records has turned over', async () => {
    const records = Array.from({ length: 3_000 }, (_, i) => record(`p${i}`, TEMPLATE.scope))
    const release = await assembleRelease(releaseHeader(records.length), inBatches(records))
    const ids = [...records.keys(), ...records.keys()].map((ordinal) => release.policy(ordinal).id)

    expect(ids).toEqual([...records, ...records].map(({ id }) => id))
  })
})

describe('a release that is not whole is refused', () => {
  test.each([
    ['fewer policies than the header says', 3, ['a', 'b'], 'has 3 policies, but 2 were read'],
    ['more policies than the header says', 1, ['a', 'b'], 'has 1 policies, but 2 were read'],
    ['one id twice', 2, ['a', 'a'], 'uses a policy id twice'],
  ])('%s', async (_, count, ids, message) => {
    const records = ids.map((id) => record(id, TEMPLATE.scope))
    await expect(assembleRelease(releaseHeader(count), inBatches(records))).rejects.toThrow(message)
  })
})

test('assembling 10,000 policies lets other work run in between', async () => {
  const records = Array.from({ length: 10_000 }, (_, i) => ({
    ...record(`p${i}`, { ...TEMPLATE.scope, principal: { op: '==' as const, entity: uid(`T0::"u${i}"`) } }),
    reads: { ...TEMPLATE.reads, principal: readNode({ level: readNode({}, { whole: true }) }) },
  }))
  let turns = 0
  const counting = setInterval(() => {
    turns += 1
  }, 1)
  const release = await assembleRelease(releaseHeader(records.length), inBatches(records, 10_000))
  clearInterval(counting)

  expect(release.policyCount).toBe(10_000)
  expect(turns).toBeGreaterThan(3)
})
