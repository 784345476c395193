import { expect, test } from 'vitest'
import { compileFolder } from '#policy/compile/compile.ts'
import { folder } from './fixture.ts'

const SCHEMA =
  'entity U { a?: Long }; entity R; action read, write appliesTo { principal: U, resource: R, context: { n: Long, m: Long } };\n'

interface Asked {
  readonly n?: number
  readonly m?: number
  readonly a?: number
  readonly action?: string
}

/** Coverage of policies by tests that are expected to come out as they do. */
function coverage(policies: string, asked: readonly Asked[]) {
  const tests = (decision: string) =>
    asked.map(({ n = 0, m = 0, a, action = 'read' }, i) => ({
      name: `${i}`,
      request: { principal: 'U::"u"', action: `Action::"${action}"`, resource: 'R::"r"', context: { n, m } },
      entities: [{ uid: { type: 'U', id: 'u' }, attrs: a === undefined ? {} : { a }, parents: [] }],
      decision,
    }))
  // Both expectations, so that each test once comes out right; then only those.
  const allowed = tests('allow').filter((one) => outcomeOf(policies, [one]).ok)
  const denied = tests('deny').filter((one) => !allowed.some(({ name }) => name === one.name))
  const outcome = outcomeOf(policies, [...allowed, ...denied])
  if (!outcome.ok || outcome.coverage === undefined) throw new Error(JSON.stringify(outcome))
  return outcome.coverage
}

function outcomeOf(policies: string, tests: readonly object[]) {
  const files = { 'a.cedar': policies, 's.cedarschema': SCHEMA, 'tests/t.json': JSON.stringify(tests) }
  return compileFolder({ ...folder(files), coverage: true })
}

const READ = '@id("p")\npermit(principal is U, action == Action::"read", resource)'

test('a policy that no test reaches has no goal met', () => {
  expect(coverage(`${READ} when { context.n > 1 };`, [{ action: 'write' }])).toEqual({
    goals: 3,
    met: 0,
    percent: 0,
    policies: [
      {
        id: 'p',
        effect: 'permit',
        file: 'a.cedar',
        line: 1,
        reached: 0,
        satisfied: 0,
        errored: 0,
        parts: [{ text: 'context.n > 1', holds: 0, fails: 0, errors: 0 }],
      },
    ],
  })
})

test('each operand of the outer && and || is decided by itself, however they are nested', () => {
  const condition = 'when { (context.n > 1 || context.n == -1) && context.m > 1 } unless { context.m > 5 }'
  const { policies, goals, met } = coverage(`${READ} ${condition};`, [
    { n: 2, m: 2 },
    { n: 0, m: 0 },
    { n: 2 },
  ])
  expect(policies[0]).toMatchObject({ reached: 3, satisfied: 1 })
  expect(policies[0]?.parts).toEqual([
    { text: 'context.n > 1', holds: 2, fails: 1, errors: 0 },
    { text: expect.stringContaining('context.n == '), holds: 0, fails: 3, errors: 0 },
    { text: 'context.m > 1', holds: 1, fails: 2, errors: 0 },
    { text: 'context.m > 5', holds: 0, fails: 3, errors: 0 },
  ])
  expect([goals, met]).toEqual([9, 7])
})

test('a part that only makes sense after another one counts as an error where that one fails', () => {
  const policy = `${READ} when { principal has a && principal.a > 1 };`
  const { policies, percent } = coverage(policy, [{ a: 2 }, { a: 0 }, {}])
  expect(policies[0]).toMatchObject({ satisfied: 1, errored: 0 })
  expect(policies[0]?.parts).toEqual([
    { text: 'principal has a', holds: 2, fails: 1, errors: 0 },
    { text: 'principal.a > 1', holds: 1, fails: 1, errors: 1 },
  ])
  expect(percent).toBe(100)
})

test('a forbid is measured although it never is the reason of an allow, and a permit although a forbid wins', () => {
  const { policies } = coverage(`${READ};@id("f") @reason("x") forbid(principal is U, action, resource);`, [
    {},
  ])
  expect(policies).toMatchObject([
    { id: 'p', satisfied: 1 },
    { id: 'f', effect: 'forbid', satisfied: 1 },
  ])
})

test('guardrails are not the tenant’s to cover, and nothing is measured unless asked', () => {
  const warder = { 'a.cedar': '@id("p") permit(principal == Warder::Agent::"a", action, resource);' }
  const guardrails = { 'g.cedar': '@id("warder.g") forbid(principal is Warder::Agent, action, resource);' }
  const measured = compileFolder({ ...folder(warder, guardrails), coverage: true })
  expect(measured.ok && measured.coverage?.policies.map(({ id }) => id)).toEqual(['p'])
  const plain = compileFolder(folder(warder, guardrails))
  expect(plain.ok && 'coverage' in plain).toBe(false)
})

test('without policies everything is covered', () => {
  expect(coverage('', [])).toEqual({ goals: 0, met: 0, percent: 100, policies: [] })
})
