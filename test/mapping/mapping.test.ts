import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileMapping } from '#mapping/mapping.ts'
import type { Json, JsonObject } from '#model/value.ts'

const RESOURCE = { type: 'customer', id: '$params.arguments.id' }
const ACTION = { name: 'get_customer' }
const PARAMS = {
  name: 'get_customer',
  arguments: { id: 'c-1', amount: 20_000, share: 0.5, tags: ['a', 'b'], none: null, 'cost-centre': 'k' },
}
const TOKEN = { sub: 'alice', client_id: 'agent-1', roles: ['treasury'] }

const evaluation = (more: JsonObject): Json => ({
  evaluation: { action: ACTION, resource: RESOURCE, ...more },
})
function compiled(json: Json) {
  const mapping = compileMapping(json)
  if (!mapping.ok) throw new Error(mapping.failure)
  return mapping.value
}
const evaluate = (json: Json, params: JsonObject = PARAMS, token: JsonObject | undefined = TOKEN) =>
  compiled(json).evaluate({ params, token })
/** What one expression in the context gives. */
const value = (expression: string, params: JsonObject = PARAMS, token: JsonObject | undefined = TOKEN) => {
  const found = evaluate(evaluation({ context: { x: `$${expression}` } }), params, token)
  return found.ok ? found.value.context['x'] : 'failed'
}

test('literals are taken as they are, expressions are evaluated, `$$` escapes', () => {
  const context = { agent: '$token.?client_id', price: '$$50', n: 3, case: '$params.arguments.?case' }
  expect(evaluate(evaluation({ subject: { type: 'identity', id: '$token.sub' }, context }))).toEqual({
    ok: true,
    value: {
      subject: { type: 'identity', id: 'alice' },
      action: { name: 'get_customer', properties: undefined },
      resource: { type: 'customer', id: 'c-1' },
      context: { agent: 'agent-1', price: '$50', n: 3 },
    },
  })
})

test.each<[string, Json]>([
  ['params.name', 'get_customer'],
  ['params.arguments["cost-centre"]', 'k'],
  ["params.arguments.amount > 10000 ? 'high' : 'standard'", 'high'],
  ['params.arguments.share + 1.0', 1.5],
  ['size(params.arguments.tags)', 2],
  ["'treasury' in token.roles", true],
  ["params.arguments.id.startsWith('c-') && has(token.sub)", true],
  ['string(params.arguments.amount)', '20000'],
  ["token.?department.orValue('none')", 'none'],
  ['params.arguments.tags', ['a', 'b']],
])('`%s` has a value', (expression, expected) => {
  expect(value(expression)).toEqual(expected)
})

describe('an expression without a value fails, and the failure holds nothing of the call', () => {
  test.each([
    'params.arguments.nope',
    'token.department',
    'params.arguments.none',
    'params.arguments.tags[9]',
    'params.arguments.amount + 1',
    'params.arguments.id > 3',
    'int(params.arguments.id)',
    'params.constructor',
    'params.__proto__',
    'params.arguments.id.length',
    '{"__entity": params.name}',
  ])('`%s`', (expression) => {
    const found = evaluate(evaluation({ context: { x: `$${expression}` } }))
    expect(found).toEqual({ ok: false, failure: `\`$${expression}\` has no value for this call` })
  })

  test('one that reads a token, where there is none', () => {
    expect(
      compiled(evaluation({ context: { x: '$token.?sub' } })).evaluate({ params: PARAMS, token: undefined }),
    ).toMatchObject({
      ok: false,
    })
  })
})

describe('what is not understood is refused when it is imported', () => {
  test.each<[string, Json]>([
    ['no object', 'x'],
    ['no envelope', {}],
    ['the envelope for several decisions', { evaluations: { evaluations: [] } }],
    ['two envelopes', { evaluation: { action: ACTION, resource: RESOURCE }, evaluations: {} }],
    ['no resource', { evaluation: { action: ACTION } }],
    ['no action', { evaluation: { resource: RESOURCE } }],
    ['an unknown member', evaluation({ resourse: {} })],
    ['attributes of the resource', evaluation({ resource: { ...RESOURCE, properties: { owner: 'x' } } })],
    ['attributes of the subject', evaluation({ subject: { id: '$token.sub', properties: {} } })],
    ['a context that is an expression', evaluation({ context: '$params.arguments' })],
    ['null', evaluation({ context: { x: null } })],
    ['a fraction', evaluation({ context: { x: 1.5 } })],
    ['a reserved name', evaluation({ context: { __entity: 'x' } })],
    ['too much of it', evaluation({ context: { x: 'y'.repeat(9_000) } })],
    [
      'too many expressions',
      evaluation({ context: { x: Array.from({ length: 70 }, () => '$params.name') } }),
    ],
    ['a deep one', evaluation({ context: { a: { b: { c: { d: { e: { f: { g: { h: 1 } } } } } } } } })],
  ])('%s', (_what, json) => {
    expect(compileMapping(json)).toMatchObject({ ok: false, failure: expect.any(String) })
  })

  test.each([
    '',
    'params.',
    '"a" + 1',
    'other.name',
    "params.arguments.id.matches('^(a+)+$')",
    'params.arguments.tags.exists(t, t == "a")',
    'params.arguments.tags.map(t, t)',
    'params.arguments.tags.filter(t, true)',
    'params.arguments.tags.all(t, true)',
    'cel.bind(x, 1, x)',
    'timestamp("2020-01-01T00:00:00Z")',
    'type(params)',
    'optional.none()',
    "b'abc'",
    `${'('.repeat(40)}1${')'.repeat(40)}`,
    Array.from({ length: 200 }, () => '1').join('+'),
    `"${'x'.repeat(1_100)}"`,
  ])('the expression `%s`', (expression) => {
    expect(compileMapping(evaluation({ context: { x: `$${expression}` } }))).toMatchObject({ ok: false })
  })
})

describe('who asks is never read from the parameters of the call', () => {
  test.each<[string, JsonObject]>([
    ['the id of the subject', { subject: { id: '$params.arguments.user' } }],
    ['its type', { subject: { id: '$token.sub', type: '$params.arguments.type' } }],
    ['a fallback', { subject: { id: '$token.?sub.orValue(params.arguments.user)' } }],
    ['a condition', { subject: { id: "$params.name == 'x' ? token.sub : token.email" } }],
    ['an index', { subject: { id: '$token[params.arguments.claim]' } }],
    ['the agent in the context', { context: { agent: '$params.arguments.agent' } }],
    ['the user deeper in the context', { context: { on_behalf: [{ user: '$params.arguments.user' }] } }],
    [
      'the tenant among action properties',
      { action: { name: 'x', properties: { tenant: '$params.arguments.t' } } },
    ],
    ['the type of the resource', { resource: { type: '$params.arguments.type', id: 'x' } }],
    ['all parameters', { context: { client_id: '$params' } }],
  ])('%s', (_what, more) => {
    expect(compileMapping(evaluation(more))).toMatchObject({
      ok: false,
      failure: expect.stringContaining('says who asks'),
    })
  })
})

test.each<[string, readonly string[] | 'all']>([
  ['params.arguments.id', ['id']],
  ['params.arguments["id"]', ['id']],
  ['params.arguments.?id', ['id']],
  ['params.arguments.a.b.c', ['a']],
  ['params.arguments[params.arguments.key]', 'all'],
  ['params["argu" + "ments"]', 'all'],
  ['params.arguments', 'all'],
  ['params', 'all'],
  ['has(params.arguments.x) && params.arguments.y == token.z', ['x', 'y']],
  ['{"a": params.arguments.q}', ['q']],
  ['[params.arguments.q]', ['q']],
  ['params.name', []],
  ['token.sub', []],
])('`%s` reads no more arguments than it is known to', (expression, expected) => {
  const { reads } = compiled({
    evaluation: { action: { name: 'x' }, resource: { type: 't', id: 'i' }, context: { x: `$${expression}` } },
  })
  expect(reads.arguments === 'all' ? 'all' : [...reads.arguments]).toEqual(expected)
})

test.each<[string, Json]>([
  ['a number as the id', 7],
  ['an empty id', ''],
  ['a list as the id', ['c-1']],
  ['an id that is too long', 'x'.repeat(1_025)],
  ['half a character', '\ud800'],
])('%s is no resource', (_what, id) => {
  const found = evaluate(evaluation({}), { name: 'x', arguments: { id } })
  expect(found).toEqual({ ok: false, failure: 'the resource has no type or no id' })
})

test('a context that grows with the call is refused', () => {
  const found = evaluate(evaluation({ context: { x: '$params.arguments' } }), {
    name: 'x',
    arguments: { id: 'c-1', blob: 'y'.repeat(9_000) },
  })
  expect(found).toEqual({ ok: false, failure: 'the context is too large' })
})

test('the arguments that are read are bounded; others may be of any size', () => {
  const mapping = compiled(evaluation({ context: { n: '$size(params.arguments.text)' } }))
  const given = (text: string, other: string) =>
    mapping.evaluate({ params: { name: 'x', arguments: { id: 'c', text, other } }, token: TOKEN })
  expect(given('abc', 'y'.repeat(100_000))).toMatchObject({ ok: true, value: { context: { n: 3 } } })
  expect(given('y'.repeat(20_000), '')).toEqual({
    ok: false,
    failure: 'the arguments that it reads are too large',
  })
})

test('no text throws when it is compiled, and no argument when it is evaluated', () => {
  const mapping = compiled(evaluation({ context: { x: "$params.arguments.?x.orValue('none')" } }))
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), fc.jsonValue({ maxDepth: 4 }), (text, x) => {
      compileMapping(evaluation({ context: { x: `$${text}` } }))
      mapping.evaluate({ params: { name: 'x', arguments: { id: 'c', x: x as Json } }, token: TOKEN })
    }),
    { numRuns: 300 },
  )
})
