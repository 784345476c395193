import { expect, test } from 'vitest'
import type { OpenScopeQuestion, Release } from '#model/release.ts'
import type { Query } from '#policy/port.ts'
import { generateCaseSet, queryOf, releaseOf } from '../../support/generate/case-set.ts'

const SETS = 60
const SIDES = ['principal', 'action', 'resource'] as const

/** The scope of a query, side by side. */
function sidesOf(query: Query): Required<OpenScopeQuestion> {
  const side = (uid: Query['principal']) => ({ uid, ancestors: query.entity(uid)?.ancestors ?? [] })
  return {
    principal: side(query.principal),
    action: { uid: query.action, ancestors: query.actionAncestors },
    resource: side(query.resource),
  }
}

function matching(release: Release, { principal, action, resource }: Required<OpenScopeQuestion>) {
  return release.matching({
    principal: principal.uid,
    principalAncestors: principal.ancestors,
    action: action.uid,
    actionAncestors: action.ancestors,
    resource: resource.uid,
    resourceAncestors: resource.ancestors,
  })
}

test('with a side left open every policy matches that matches some entity there, and with none the index agrees', async () => {
  let [wider, matched] = [0, 0]
  for (let seed = 1; seed <= SETS; seed += 1) {
    const set = generateCaseSet(seed, 20)
    const release = await releaseOf(set.policies)
    const questions = set.requests.map((request) => sidesOf(queryOf(set, request)))
    for (const question of questions) {
      expect(release.matchingOpen(question)).toEqual(matching(release, question))
      for (const open of SIDES) {
        const { [open]: _open, ...known } = question
        const found = new Set(release.matchingOpen(known))
        for (const other of questions) {
          const filled = matching(release, { ...question, [open]: other[open] })
          expect(filled.filter((ordinal) => !found.has(ordinal))).toEqual([])
          matched += filled.length
          wider += found.size > filled.length ? 1 : 0
        }
      }
    }
  }
  expect(matched).toBeGreaterThan(1_000)
  expect(wider).toBeGreaterThan(1_000)
})
