import { describe, expect, test } from 'vitest'
import { findOverlaps, type Rule } from '#policy/compile/lint-overlap.ts'
import { LINT_RULES, type LintRuleId } from '#policy/compile/lint-rules.ts'
import { compilePolicy } from '#policy/compile/policy-record.ts'
import { coversScope, type GroupsOf } from '#policy/compile/scope-cover.ts'
import { type PolicySource, splitPolicies } from '#policy/compile/split-policies.ts'
import { findings } from './fixture.ts'

const OWN =
  'entity G; entity U in [G] { a?: Long, boss?: U } tags Long; entity R; action reads; action read in [reads] appliesTo { principal: U, resource: R, context: { n: Long, s: String, o?: Long } };'

/** Findings of the linter for policies with a schema of their own. */
const own = (...policies: readonly string[]) => lint({ 'a.cedar': policies.join('\n'), 's.cedarschema': OWN })
const bare = (policy: string) => lint({ 'a.cedar': policy })
const warder = (...policies: readonly string[]) => lint({ 'a.cedar': policies.join('\n') })

function lint(files: Readonly<Record<string, string>>): readonly string[] {
  const found = findings(files)
  expect(found.filter(({ severity }) => severity === 'error')).toEqual([])
  return found
    .filter(({ code }) => code.startsWith('lint.'))
    .map(({ code, policy, line, help }) => {
      expect(help).toBeTruthy()
      return `${code} ${policy}:${line}`
    })
}

const forbid = (when: string) =>
  `@id("f") @reason("x") forbid(principal is U, action, resource) when { ${when} };`

describe('lint.forbid_may_error', () => {
  test.each([
    'context.n + 1 > 2',
    'context.n * 2 > 2',
    'principal has boss && principal.boss has a && principal.boss.a > 1',
  ])('%s can fail although it validates', (when) => {
    expect(own(forbid(when))).toContain('lint.forbid_may_error f:1')
  })

  test.each([
    'context.n > 2',
    'context has o && context.o > 2',
    'ip("10.0.0.1").isLoopback()',
    'principal.hasTag("t") && principal.getTag("t") > 1',
    'principal has boss && principal.boss == principal',
  ])('%s can not fail', (when) => {
    expect(own(forbid(when))).toEqual([])
  })

  test.each([
    'context has s && ip(context.s).isLoopback()',
    'principal.a > 1',
    'principal has a || principal.a > 1',
    'principal has a.b && principal.a.c',
    'principal.getTag("t") == 1',
    '!(principal has a) && principal.a',
    'if principal has a then true else principal.a',
    '[context.o].contains(1)',
    '{ x: context.o }.x == 1',
  ])('without a schema, %s reads what may not be there', (when) => {
    expect(bare(forbid(when))).toContain('lint.forbid_may_error f:1')
  })

  test.each([
    'principal has a && principal.a > 1',
    'principal has a && context.n has b && (principal.a > 1 || context.n.b)'.replace(
      'context.n has b',
      'context has n.b',
    ),
    'principal has a.b && principal.a.b == 1',
    'if principal has a then principal.a else true',
    'principal.hasTag("t") && principal.getTag("t") == 1',
  ])('without a schema, %s tests it first', (when) => {
    expect(bare(forbid(when))).toEqual([])
  })

  test('a `when` before counts, an `unless` before does not', () => {
    const after = (kind: string) =>
      `@id("f") @reason("x") forbid(principal is U, action, resource) ${kind} { principal has a } when { principal.a };`
    expect(bare(after('when'))).toEqual([])
    expect(bare(after('unless'))).toEqual(['lint.forbid_may_error f:1'])
  })

  test('a permit that fails only allows nothing', () => {
    expect(bare('@id("p") permit(principal is U, action, resource) when { principal.a };')).toEqual([])
  })
})

test('lint.forbid_without_reason', () => {
  expect(own('@id("f") forbid(principal is U, action, resource);')).toEqual([
    'lint.forbid_without_reason f:1',
  ])
})

test.each([
  ['max_age', '{\\"type\\":\\"max_age\\",\\"seconds\\":5}', 1],
  ['strip_authorization', 'strip_authorization', 1],
  ['human_approval', 'human_approval', 0],
  ['audit', '{\\"type\\":\\"audit\\",\\"level\\":\\"critical\\"}', 0],
])('lint.forbid_obligation for %s', (_, annotation, count) => {
  const policy = `@id("f") @reason("x") @obligation("${annotation}") forbid(principal is U, action, resource);`
  expect(own(policy).filter((found) => found.startsWith('lint.forbid_obligation'))).toHaveLength(count)
})

test('lint.permit_on_declared', () => {
  const claimed = 'when { context has claimed && context.claimed has approved && context.claimed.approved };'
  const agents = '(principal == Warder::Agent::"a", action, resource)'
  expect(warder(`@id("p") permit${agents} ${claimed}`)).toEqual(['lint.permit_on_declared p:1'])
  expect(warder(`@id("p") @reason("x") forbid${agents} ${claimed}`)).toEqual([])
})

test('lint.permit_on_prior_actors', () => {
  const deep = 'when { context.delegation.depth > 1 };'
  const agents = '(principal == Warder::Agent::"a", action, resource)'
  expect(warder(`@id("p") permit${agents} ${deep}`)).toEqual(['lint.permit_on_prior_actors p:1'])
  expect(warder(`@id("p") @reason("x") forbid${agents} ${deep}`)).toEqual([])
  const proven = 'when { context.delegation.evidence == "proven" };'
  expect(warder(`@id("p") permit${agents} ${proven}`)).toEqual([])
})

describe('lint.permit_anyone', () => {
  test.each([
    'permit(principal is Warder::Agent, action in Warder::Action::"readTools", resource);',
    'permit(principal, action, resource is Warder::Tool) when { context.risk.score < 10 };',
  ])('%s', (policy) => {
    expect(warder(`@id("p") ${policy}`)).toEqual(['lint.permit_anyone p:1'])
  })

  test.each([
    'permit(principal in Warder::Group::"g", action in Warder::Action::"readTools", resource);',
    'permit(principal is Warder::Agent, action == Warder::Action::"a/b", resource);',
    'permit(principal is Warder::Agent, action, resource) when { principal.environment == "staging" };',
    'permit(principal is Warder::Agent, action, resource) when { context.autonomous };',
  ])('not %s', (policy) => {
    expect(warder(`@id("p") ${policy}`)).toEqual([])
  })
})

const permit = (id: string, scope: string, rest = '') => `@id("${id}") permit(${scope})${rest};`
const stop = (id: string, scope: string, rest = '') => `@id("${id}") @reason("x") forbid(${scope})${rest};`
const ANN = 'principal == U::"ann", action == Action::"read", resource'

describe('policies that others make superfluous', () => {
  test('lint.duplicate: the same under two ids, whatever the layout', () => {
    expect(
      own(permit('a', ANN, ' when { context.n > 1 }'), permit('b', ANN, '\nwhen{(context.n>1)}')),
    ).toEqual(['lint.duplicate b:2'])
    expect(
      own(permit('a', ANN, ' when { context.n > 1 }'), permit('b', ANN, ' when { context.n > 2 }')),
    ).toEqual([])
  })

  test.each([
    [stop('f', 'principal is U, action, resource')],
    [stop('f', 'principal == U::"ann", action in Action::"reads", resource')],
    [stop('f', ANN)],
    [stop('f', 'principal in U::"ann", action in [Action::"read", Action::"reads"], resource')],
  ])('lint.unreachable: %s stops all that the permit allows', (forbidden) => {
    expect(own(permit('p', ANN, ' when { context.n > 1 }'), forbidden)).toEqual(['lint.unreachable p:1'])
  })

  test('lint.unreachable: scope and condition are the same', () => {
    const when = ' when { context.n > 1 }'
    expect(own(permit('p', ANN, when), stop('f', ANN, when))).toEqual(['lint.unreachable p:1'])
  })

  test.each([
    [stop('f', 'principal is U, action, resource', ' when { context.n > 5 }')],
    [stop('f', 'principal == U::"bob", action, resource')],
    [stop('f', 'principal in G::"g", action, resource')],
    [stop('f', 'principal is R, action, resource')],
    [stop('f', 'principal, action, resource == R::"r"')],
  ])('%s leaves the permit something', (forbidden) => {
    const found = findings({ 'a.cedar': `${permit('p', ANN)}\n${forbidden}` })
    expect(found.filter(({ code }) => code === 'lint.unreachable')).toEqual([])
  })

  test('lint.shadowed: a wider policy of the same effect has no conditions', () => {
    const wide = permit('wide', 'principal is U, action in Action::"reads", resource')
    expect(own(permit('p', ANN, ' when { context.n > 1 }'), wide)).toEqual(['lint.shadowed p:1'])
    expect(own(`@advice("x") ${permit('p', ANN)}`, wide)).toEqual([])
    expect(own(`@obligation("strip_authorization") ${permit('p', ANN)}`, wide)).toEqual([])
  })

  test('a wider permit is no restriction of what an agent may do alone', () => {
    const wide = '@id("wide") permit(principal == Warder::Agent::"a", action, resource);'
    const alone =
      '@id("alone") permit(principal == Warder::Agent::"a", action == Warder::Action::"x/y", resource) when { context.autonomous };'
    expect(warder(wide, alone)).toEqual([])
  })
})

test('covering is found as by comparing each policy with each', () => {
  const principals = [
    'principal',
    'principal is U',
    'principal == U::"a"',
    'principal in G::"g"',
    'principal is U in G::"g"',
  ]
  const actions = [
    'action',
    'action == Action::"read"',
    'action in Action::"reads"',
    'action in [Action::"read", Action::"reads"]',
  ]
  const resources = ['resource', 'resource is R', 'resource == R::"r"', 'resource in R::"r"']
  const scopes = principals.flatMap((p) => actions.flatMap((a) => resources.map((r) => `${p}, ${a}, ${r}`)))
  const text = scopes.map((scope, i) => permit(`p${i}`, scope)).join('\n')
  const policies = splitPolicies({ name: 'a.cedar', text }).policies.map((source) => compiled(source))
  const reads: GroupsOf = ({ id }) => (id === 'read' ? [{ type: 'Action', id: 'reads' }] : [])
  const covered = policies.filter((narrow) =>
    policies.some((wide) => wide !== narrow && coversScope(wide.record.scope, narrow.record.scope, reads)),
  )
  const found = findOverlaps(policies, reads).map(({ policy }) => policy.id)
  expect(found).toEqual(covered.map(({ id }) => id))
  expect(found.length).toBeGreaterThan(50)
})

function compiled(source: PolicySource): Rule {
  const policy = compilePolicy(source, 'tenant')
  if (!('source' in policy) || policy.record === undefined) throw new Error(source.text)
  return { ...policy, record: policy.record }
}

test('every rule has a meaning, a cause and a way out', () => {
  for (const [id, rule] of Object.entries(LINT_RULES)) {
    expect(id as LintRuleId).toMatch(/^lint\.[a-z_]+$/)
    expect(Object.values(rule).every((text) => text.length > 10)).toBe(true)
  }
})
