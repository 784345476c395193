import { describe, expect, test } from 'vitest'
import type { CompileProgress } from '#policy/compile/compile.ts'
import { compileFolder } from '#policy/compile/compile.ts'
import { compileInWorker } from '#policy/compile/compile-in-worker.ts'
import { folder, release } from './fixture.ts'

const SCHEMA =
  'entity U; entity R { tags: Set<String>, n?: Long }; action read appliesTo { principal: U, resource: R };'
const PERMIT =
  '@id("p") @obligation("strip_authorization") permit(principal is U, action == Action::"read", resource);'
const FORBID =
  '@id("f") @reason("secret") @advice("ask") forbid(principal is U, action == Action::"read", resource) when { resource.tags.contains("secret") };'

const resource = (attrs: object) => [{ uid: { type: 'R', id: 'r' }, attrs, parents: [] }]
const caseOf = (parts: object) => ({
  name: 'it',
  request: { principal: 'U::"u"', action: 'Action::"read"', resource: 'R::"r"', context: {} },
  entities: resource({ tags: [] }),
  decision: 'allow',
  ...parts,
})
const run = (tests: readonly object[], policies = PERMIT + FORBID) =>
  compileFolder(
    folder({ 'p.cedar': policies, 's.cedarschema': SCHEMA, 'tests/t.json': JSON.stringify(tests) }),
  )

describe('the tests of a folder', () => {
  test('run with the schema against all policies and are counted', () => {
    const outcome = run([
      caseOf({ reason: ['p'], num_errors: 0, obligations: ['strip_authorization'] }),
      caseOf({ decision: 'deny', entities: resource({ tags: ['secret'] }), reason: ['f'], obligations: [] }),
    ])
    expect(outcome).toMatchObject({ ok: true, tests: { total: 2, passed: 2, failures: [] } })
  })

  test('a forbid that errors denies', () => {
    expect(run([caseOf({ entities: [], decision: 'deny', reason: [], num_errors: 1 })])).toMatchObject({
      ok: true,
    })
  })

  test('a failing one refuses the folder and says what came instead', () => {
    expect(run([caseOf({}), caseOf({ name: 'no', decision: 'deny', reason: ['f'] })])).toMatchObject({
      ok: false,
      diagnostics: [
        {
          code: 'test.failed',
          message: 'the test `no` expects deny, reason [f], but the answer is allow, reason [p]',
          file: 'tests/t.json',
        },
      ],
      tests: {
        total: 2,
        passed: 1,
        failures: [
          { name: 'no', expected: { decision: 'deny' }, actual: { decision: 'allow', reason: ['p'] } },
        ],
      },
    })
  })

  test.each([
    [
      'a request that does not fit the schema',
      { request: { ...caseOf({}).request, action: 'Action::"write"' } },
    ],
    ['an entity that does not fit the schema', { entities: resource({ tags: 1 }) }],
    ['a principal that is no entity', { request: { ...caseOf({}).request, principal: 'U::"a"||true' } }],
    ['JSON that the engine refuses', { entities: [{ uid: 1 }] }],
  ])('%s fails the test, not the compiler', (_, parts) => {
    const outcome = run([caseOf(parts)])
    expect(outcome).toMatchObject({ ok: false, tests: { passed: 0, total: 1 } })
    expect(outcome.ok ? [] : outcome.diagnostics.map(({ code }) => code)).toEqual(['test.failed'])
  })

  test('`unknown` values are refused', () => {
    const outcome = run([caseOf({ entities: resource({ tags: { __extn: { fn: 'unknown', arg: 'x' } } }) })])
    expect(outcome).toMatchObject({ diagnostics: [{ code: 'test.invalid' }] })
  })
})

test('a record keeps what its annotations say', () => {
  const [first, second] = release({
    'p.cedar': `${PERMIT}\n@id("q") @obligation("[{\\"type\\":\\"audit\\",\\"level\\":\\"info\\"},{\\"type\\":\\"max_age\\",\\"seconds\\":5}]")\n${FORBID.slice(9)}`,
    's.cedarschema': SCHEMA,
  }).policies
  expect(first).toMatchObject({
    id: 'p',
    effect: 'permit',
    origin: 'tenant',
    file: 'p.cedar',
    line: 1,
    text: PERMIT,
    obligations: [{ type: 'strip_authorization', properties: {} }],
    reason: undefined,
    testsAutonomous: false,
  })
  expect(second).toMatchObject({
    id: 'q',
    effect: 'forbid',
    line: 2,
    reason: 'secret',
    advice: 'ask',
    obligations: [
      { type: 'audit', properties: { level: 'info' } },
      { type: 'max_age', properties: { seconds: 5 } },
    ],
  })
})

describe('the id of a release', () => {
  const files = { 'a.cedar': PERMIT, 'b.cedar': FORBID, 's.cedarschema': SCHEMA }
  const id = (changed: object = {}) => release({ ...files, ...changed }).id

  test('is the same for the same content in any order', () => {
    expect(id()).toMatch(/^sha256:[0-9a-f]{64}$/)
    expect(release({ 's.cedarschema': SCHEMA, 'b.cedar': FORBID, 'a.cedar': PERMIT }).id).toBe(id())
  })

  test.each([
    ['a policy', { 'a.cedar': `${PERMIT} ` }],
    ['the schema', { 's.cedarschema': `${SCHEMA} ` }],
    ['a test', { 'tests/t.json': '[]' }],
    ['what stands in which file', { 'a.cedar': PERMIT + FORBID, 'b.cedar': '' }],
  ])('changes with %s', (_, changed) => {
    expect(id(changed)).not.toBe(id())
  })

  test('changes with the guardrails and our schema where they are part of the release, else not', () => {
    const guardrail = { 'g.cedar': '@id("warder.g") forbid(principal is Warder::Agent, action, resource);' }
    const ours = { 'p.cedar': '@id("p") permit(principal is Warder::Agent, action, resource);' }
    expect(release(files, guardrail).id).toBe(release(files).id)
    expect(release(ours, guardrail).id).not.toBe(release(ours).id)
  })
})

test('an input that the engine can not take is a finding, not an exception', () => {
  const input = folder({ 'p.cedar': '@id("p") permit(principal is Warder::Agent, action, resource);' })
  // A lone surrogate cannot be handed to the engine; files of the folder were checked for it, ours was not.
  expect(compileFolder({ ...input, warderSchema: `${input.warderSchema}// \ud800` })).toMatchObject({
    ok: false,
    diagnostics: [{ code: 'policy.engine_failure', severity: 'error' }],
  })
})

describe('in a worker', () => {
  const input = folder({ 'p.cedar': PERMIT, 's.cedarschema': SCHEMA })

  test('the outcome is the same, with progress', async () => {
    const seen: CompileProgress[] = []
    const outcome = await compileInWorker(input, {
      timeoutMilliseconds: 60_000,
      onProgress: (progress) => seen.push(progress),
    })
    expect(outcome).toEqual(compileFolder(input))
    expect(seen).toContainEqual({ stage: 'validate', done: 1, total: 1 })
  })

  test('a compilation that takes too long is stopped', async () => {
    const many = Array.from({ length: 5_000 }, (_, i) => PERMIT.replace('"p"', `"p${i}"`)).join('\n')
    const outcome = await compileInWorker(folder({ 'p.cedar': many }), { timeoutMilliseconds: 50 })
    expect(outcome).toMatchObject({
      ok: false,
      diagnostics: [
        {
          code: 'policy.compile_timeout',
          message: 'the release was not compiled within 50 milliseconds',
          file: 'p.cedar',
        },
      ],
    })
  })

  test('a compiler that dies is an outcome', async () => {
    const outcome = await compileInWorker(input, { timeoutMilliseconds: 60_000, heapMegabytesMax: 4 })
    expect(outcome).toMatchObject({
      ok: false,
      diagnostics: [{ code: 'policy.compile_crashed', message: expect.stringContaining('memory limit') }],
    })
  })
})
