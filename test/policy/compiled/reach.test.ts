import { describe, expect, test } from 'vitest'
import type { PolicyRecord, Release } from '#model/release.ts'
import { type EntityUid, uidKey } from '#model/value.ts'
import { createCompiledEvaluate } from '#policy/compiled/evaluate.ts'
import { type OpenPart, type OpenQuery, type Reach, reachOf } from '#policy/compiled/reach.ts'
import { createEngine } from '#policy/engine/engine.ts'
import { createEvaluate } from '#policy/engine/evaluate.ts'
import type { EntityFacts, Evaluate, Query } from '#policy/port.ts'
import { type CaseSet, generateCaseSet, queryOf, releaseOf } from '../../support/generate/case-set.ts'
import { facts, query, releaseOfTexts, uid } from '../../support/policy-records.ts'

const REQUESTS = 6
const wasm = createEvaluate(createEngine())
const ENGINES: readonly [string, Evaluate, number][] = [
  ['compiled', createCompiledEvaluate(wasm), 60],
  ['wasm', wasm, 12],
]
/** What is open together, and where candidates are told apart. */
const FORMS: readonly (readonly [readonly OpenPart[], 'principal' | 'resource'])[] = [
  [['resource'], 'resource'],
  [['principal'], 'principal'],
  [['resource', 'context'], 'resource'],
  [['principal', 'context'], 'principal'],
  [['action', 'context'], 'resource'],
  [['resource', 'action', 'context'], 'resource'],
  [['context'], 'principal'],
]

/** Allowed as in src/policy/combine.ts: a permit, no forbid, and none that errored. */
function isAllowed(evaluate: Evaluate, release: Release, asked: Query): boolean {
  const [found] = evaluate(release, [asked])
  if (found === undefined || 'kind' in found) return false
  const isForbid = (id: string): boolean => release.find(id)?.effect === 'forbid'
  return found.satisfied.length > 0 && ![...found.satisfied, ...found.errored].some(isForbid)
}

/** What a request says about an entity stands beside what is stored: here it has the attributes of another one. */
function broughtBy(asked: Query, candidate: EntityUid, like: EntityUid): Query['entity'] {
  const attributes = asked.entity(like)
  const own: EntityFacts | undefined = attributes && {
    ...attributes,
    uid: candidate,
    ancestors: asked.entity(candidate)?.ancestors ?? [],
  }
  return (wanted) => (own !== undefined && uidKey(wanted) === uidKey(candidate) ? own : asked.entity(wanted))
}

/** Everything that can stand in the open place, with every form of its attributes. */
function candidatesOf(set: CaseSet, asked: Query, open: readonly OpenPart[], side: 'principal' | 'resource') {
  if (!open.includes(side)) return [{ candidate: asked[side], entity: asked.entity }]
  const uids = set.facts.pool.get(asked[side].type) ?? []
  return uids.flatMap((candidate) => [
    { candidate, entity: asked.entity },
    ...uids.map((like) => ({ candidate, entity: broughtBy(asked, candidate, like) })),
  ])
}

/** Every query that `open` leaves room for, with what is in the open place. */
function filledBy(set: CaseSet, asked: Query, open: readonly OpenPart[], side: 'principal' | 'resource') {
  const isVaried = open.includes('action') || open.includes('context')
  const others = isVaried ? set.requests.map((request) => queryOf(set, request)) : [asked]
  return candidatesOf(set, asked, open, side).flatMap(({ candidate, entity }) =>
    others.map(({ action, actionAncestors, context }) => ({
      candidate,
      filled: {
        ...asked,
        [side]: candidate,
        ...(open.includes('action') && { action, actionAncestors }),
        ...(open.includes('context') && { context }),
        entity,
      },
    })),
  )
}

/** Whether `candidate` is within reach. */
function isReached(reach: Reach, candidate: EntityUid, entity: Query['entity']): boolean {
  const ancestors = entity(candidate)?.ancestors ?? []
  return typeof reach === 'function' ? reach({ uid: candidate, ancestors }) : reach === 'everything'
}

function openQuery(asked: Query, open: readonly OpenPart[], side: 'principal' | 'resource'): OpenQuery {
  return {
    query: asked,
    open: new Set(open),
    isOpenType: (type) =>
      (open.includes(side) && type === asked[side].type) ||
      (open.includes('action') && type.endsWith('Action')),
    isAttachedType: () => false,
  }
}

/** Every question of a set with something left open. */
function* openQuestions(set: CaseSet) {
  for (const request of set.requests)
    for (const [open, side] of FORMS) yield { asked: queryOf(set, request), open, side }
}

test.each(ENGINES)(
  'who is allowed in an open place is within reach, by the evaluator %s',
  { timeout: 300_000 },
  async (_name, evaluate, sets) => {
    const counts = { allowed: 0, ruledOut: 0, nothing: 0 }
    const check = (set: CaseSet, release: Release, { asked, open, side }: Question, seed: number): void => {
      const reach = reachOf(release, openQuery(asked, open, side), side)
      if (reach === 'nothing') counts.nothing += 1
      for (const { candidate, filled } of filledBy(set, asked, open, side)) {
        const reached = isReached(reach, candidate, filled.entity)
        const allowed = isAllowed(evaluate, release, filled)
        counts.ruledOut += Number(!reached)
        counts.allowed += Number(allowed)
        if (allowed && !reached) expect.fail(`seed ${seed}, open ${open.join()}, ${uidKey(candidate)}`)
      }
    }
    for (let seed = 1; seed <= sets; seed += 1) {
      const set = generateCaseSet(seed, REQUESTS)
      const release = await releaseOf(set.policies)
      for (const question of openQuestions(set)) check(set, release, question, seed)
    }
    // A proof about nothing would pass as well.
    for (const count of Object.values(counts)) expect(count).toBeGreaterThan(50)
  },
)

type Question = ReturnType<typeof openQuestions> extends Iterable<infer Each> ? Each : never

const mine = facts(uid('R::"mine"'), {}, [uid('F::"a"')])
const boss = facts(uid('A::"p"'), { level: 1, friend: { kind: 'entity', uid: uid('R::"mine"') } })
const asked = query([mine, boss], { context: new Map([['yes', true]]) })
const reach = (texts: readonly string[]) =>
  releaseOfTexts(texts).then((release) =>
    reachOf(release, openQuery(asked, ['resource'], 'resource'), 'resource'),
  )
const permit = (scope: string, condition = ''): string => `@id("p${nextId()}") permit(${scope}) ${condition};`
const forbid = (scope: string, condition = ''): string => `@id("p${nextId()}") forbid(${scope}) ${condition};`
let policies = 0
const nextId = (): number => {
  policies += 1
  return policies
}
const ANY = 'principal, action, resource'

describe('what narrows', () => {
  test.each<[string, readonly string[]]>([
    ['no permit', []],
    ['a permit for another action', [permit('principal, action == Action::"other", resource')]],
    ['a permit for another type', [permit('principal, action, resource is Other')]],
    [
      'a permit whose condition does not hold whatever the resource is',
      [permit(ANY, 'when { principal.level == 2 }')],
    ],
    ['the same beside a term that is not known', [permit(ANY, 'when { resource.x && context.no }')]],
    ['a forbid that fires for all', [permit(ANY), forbid(ANY, 'when { context.yes }')]],
    ['a forbid that fires for all of the type', [permit(ANY), forbid('principal, action, resource is R')]],
  ])('nothing is within reach: %s', async (_name, texts) => {
    expect(await reach(texts)).toBe('nothing')
  })

  test.each<[string, readonly string[]]>([
    ['a permit for all', [permit(ANY)]],
    ['a permit whose condition reads the resource', [permit(ANY, 'when { resource.x }')]],
    ['a forbid that reads it', [permit(ANY), forbid(ANY, 'when { resource.x }')]],
    ['a forbid for one of them', [permit(ANY), forbid('principal, action, resource == R::"mine"')]],
    ['a permit that reads another entity of the type', [permit(ANY, 'when { principal.friend.x == 1 }')]],
    ['a permit that compares with it', [permit(ANY, 'when { principal.friend == resource }')]],
  ])('everything is within reach: %s', async (_name, texts) => {
    expect(await reach(texts)).toBe('everything')
  })

  test('entities that permits name, and what is in the groups that they name', async () => {
    const found = await reach([
      permit('principal, action, resource == R::"one"'),
      permit('principal, action, resource in F::"a"'),
      permit('principal, action, resource == R::"two"', 'when { context.no }'),
    ])
    if (typeof found !== 'function') throw new Error(String(found))
    const of = (id: string, ancestors: readonly EntityUid[] = []) =>
      found({ uid: uid(`R::"${id}"`), ancestors })
    expect([of('one'), of('mine', [uid('F::"a"')]), of('two'), of('other', [uid('F::"b"')])]).toEqual([
      true,
      true,
      false,
      false,
    ])
  })

  test('more policies than are looked at rule out nothing', async () => {
    const texts = Array.from({ length: 501 }, () => permit('principal, action, resource == R::"one"'))
    expect(await reach(texts)).toBe('everything')
    expect(typeof (await reach(texts.slice(1)))).toBe('function')
  })

  test('policies that can not be taken apart rule out nothing', async () => {
    const release = await releaseOfTexts([permit(ANY, 'when { context.no }')])
    const broken: Release = {
      ...release,
      policy: (ordinal): PolicyRecord => ({
        ...release.policy(ordinal),
        conditions: '[{"kind":"when","body":{"?":1}}]',
      }),
    }
    expect(reachOf(broken, openQuery(asked, ['resource'], 'resource'), 'resource')).toBe('everything')
  })
})
