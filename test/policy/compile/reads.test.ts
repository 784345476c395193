import { describe, expect, test } from 'vitest'
import type { ReadNode } from '#model/release.ts'
import { recordOf } from './fixture.ts'

const node = (parts: Partial<ReadNode> = {}): ReadNode => ({
  whole: false,
  ancestors: false,
  tags: false,
  attrs: {},
  ...parts,
})
const whole = node({ whole: true })
const when = (condition: string) => recordOf(`permit(principal, action, resource) when { ${condition} };`)
const NOTHING = {
  all: false,
  principal: undefined,
  resource: undefined,
  action: undefined,
  context: undefined,
  entities: [],
}

const READS: readonly (readonly [string, string, object])[] = [
  ['nothing', 'true', {}],
  ['a variable as a whole', 'principal == resource', { principal: whole, resource: whole }],
  [
    'a chain of attributes',
    'principal.owner.name == "x"',
    { principal: node({ attrs: { owner: node({ attrs: { name: whole } }) } }) },
  ],
  ['an attribute written as a text', 'context["a b"] > 1', { context: node({ attrs: { 'a b': whole } }) }],
  [
    'presence over several steps',
    'context has a.b && context.a.b',
    { context: node({ attrs: { a: node({ attrs: { b: whole } }) } }) },
  ],
  [
    'the ancestors of the left side of `in`',
    'principal.owner in resource.group',
    {
      principal: node({ attrs: { owner: node({ whole: true, ancestors: true }) } }),
      resource: node({ attrs: { group: whole } }),
    },
  ],
  [
    'both branches of a conditional on the left side of `in`',
    '(if context.x then principal else resource.owner) in [G::"a", principal.g]',
    {
      principal: node({ whole: true, ancestors: true, attrs: { g: whole } }),
      resource: node({ attrs: { owner: node({ whole: true, ancestors: true }) } }),
      context: node({ attrs: { x: whole } }),
      entities: [{ uid: { type: 'G', id: 'a' }, node: whole }],
    },
  ],
  [
    'an attribute behind a conditional, on both branches',
    '(if true then principal else resource).a == 1',
    { principal: node({ attrs: { a: whole } }), resource: node({ attrs: { a: whole } }) },
  ],
  [
    '`is ... in` like `in`',
    'resource is T in principal.t',
    { resource: node({ whole: true, ancestors: true }), principal: node({ attrs: { t: whole } }) },
  ],
  ['`is` alone by its type', 'resource.x is T', { resource: node({ attrs: { x: whole } }) }],
  [
    'tags',
    'principal.hasTag("k") && principal.getTag(context.k) == resource',
    { principal: node({ tags: true }), context: node({ attrs: { k: whole } }), resource: whole },
  ],
  [
    'attributes of an entity that is named',
    'User::"a".x && User::"a" in G::"g"',
    {
      entities: [
        { uid: { type: 'G', id: 'g' }, node: whole },
        {
          uid: { type: 'User', id: 'a' },
          node: node({ whole: true, ancestors: true, attrs: { x: whole } }),
        },
      ],
    },
  ],
  [
    'operands of functions and methods',
    'context.ip.isInRange(ip("10.0.0.0/8")) && context.s like "a*" && context.l.isEmpty() && -context.n < 1 && !context.b',
    { context: node({ attrs: { ip: whole, s: whole, l: whole, n: whole, b: whole } }) },
  ],
  [
    'elements of set and record literals',
    '[principal.a].contains(resource.b) && {x: context.c} == {x: 1}',
    {
      principal: node({ attrs: { a: whole } }),
      resource: node({ attrs: { b: whole } }),
      context: node({ attrs: { c: whole } }),
    },
  ],
  [
    'an `unless`',
    'true } unless { action == Action::"x"',
    { action: whole, entities: [{ uid: { type: 'Action', id: 'x' }, node: whole }] },
  ],
]

describe('what a condition reads', () => {
  test.each(READS)('%s', (_, condition, expected) => {
    expect(when(condition).reads).toEqual({ ...NOTHING, ...expected })
  })

  test.each([
    ['an attribute of a record literal', '{a: principal}.a.b'],
    ['presence in a record literal', '{a: principal} has a'],
    ['an attribute of a tag', 'principal.getTag("a").b'],
    ['a tag on the left side of `in`', 'principal.getTag("a") in resource'],
    ['a tag of a tag', 'principal.getTag("a").hasTag("b")'],
    [
      'a conditional with a branch that cannot be followed',
      '(if true then principal else principal.getTag("a")).b',
    ],
    ['a chain behind a record literal', '{a: principal}.a.b.c in resource'],
  ])('everything, for %s', (_, condition) => {
    expect(when(condition).reads.all).toBe(true)
  })

  test('the scope is no part of the reads: a read plan takes the ancestors that it names from the scope itself', () => {
    const { reads } = recordOf(
      'permit(principal in G::"a", action in [Action::"x"], resource is T in G::"b");',
    )
    expect(reads).toEqual(NOTHING)
  })
})

describe('the scope', () => {
  test.each([
    ['permit(principal, action, resource);', { op: 'all' }, { op: 'all' }, { op: 'all' }],
    [
      'forbid(principal == U::"é\\u{22}", action == Action::"x", resource is N::T);',
      { op: '==', entity: { type: 'U', id: 'é"' } },
      { op: '==', entity: { type: 'Action', id: 'x' } },
      { op: 'is', type: 'N::T' },
    ],
    [
      'permit(principal in U::"a", action in N::Action::"x", resource is T in U::"b");',
      { op: 'in', entity: { type: 'U', id: 'a' } },
      { op: 'in', entities: [{ type: 'N::Action', id: 'x' }] },
      { op: 'is-in', type: 'T', entity: { type: 'U', id: 'b' } },
    ],
    ['permit(principal, action in [], resource);', { op: 'all' }, { op: 'in', entities: [] }, { op: 'all' }],
  ])('%s', (policy, principal, action, resource) => {
    expect(recordOf(policy).scope).toEqual({ principal, action, resource })
  })
})

test.each([
  ['context.autonomous', true],
  ['!(context.autonomous && principal.x)', true],
  ['(if true then context else {autonomous: true}) has b', false],
  ['context has autonomous', false],
  ['(if principal.x then context else resource).autonomous', true],
  ['context.x.autonomous', false],
  ['principal.autonomous', false],
  ['context has agent', false],
])('`%s` tests context.autonomous: %s', (condition, expected) => {
  expect(when(condition).testsAutonomous).toBe(expected)
})
