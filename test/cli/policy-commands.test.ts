import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Database, openDatabase } from '#store/database.ts'
import { type Run, runner, temporaryFolder } from './harness.ts'

const folder = temporaryFolder()
const run: Run = runner(folder.path)
let beside: Database

beforeAll(async () => {
  beside = await openDatabase({ url: undefined, dataDir: folder.path, applicationName: 'test' })
  for (const tenant of ['acme', 'globex', 'initech']) await run(['tenant', 'add', tenant])
})

afterAll(async () => {
  await beside.close()
  folder.remove()
})

function policies(name: string, text: string, more: { readonly [file: string]: string } = {}): string {
  const path = join(folder.path, name)
  mkdirSync(join(path, 'tests'), { recursive: true })
  writeFileSync(join(path, 'all.cedar'), text)
  for (const [other, content] of Object.entries(more)) writeFileSync(join(path, other), content)
  return path
}

async function json(...args: string[]): Promise<{ readonly [field: string]: unknown }> {
  const ran = await run([...args, '--json'])
  expect(ran.stderr).toBe('')
  return JSON.parse(ran.stdout)
}

async function errorOf(exit: number, ...args: string[]): Promise<unknown> {
  const ran = await run([...args, '--json'])
  expect(ran).toMatchObject({ exit, stdout: '' })
  return JSON.parse(ran.stderr).error
}

const OWN_POLICY =
  '@id("readers")\npermit (principal in role::"reader", action == Action::"read", resource);\n'
const OWN_SCHEMA = `entity role;
entity user in [role];
entity doc;
action read appliesTo { principal: user, resource: doc };
`

test('a folder is checked, pushed, activated and shown', async () => {
  const directory = policies('own', OWN_POLICY, { 'own.cedarschema': OWN_SCHEMA })
  expect(await json('policy', 'check', directory)).toMatchObject({
    ok: true,
    validated: true,
    policies: 1,
    errors: [],
  })
  const pushed = await json('policy', 'push', directory, '--tenant', 'globex')
  expect(pushed).toEqual({
    release: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    tenant: 'globex',
    stored: true,
    guardrails_off: false,
    active: false,
    validated: true,
    policies: 1,
    warnings: [],
  })
  expect(await errorOf(3, 'policy', 'show', '--tenant', 'globex')).toMatchObject({
    code: 'release.unknown',
  })
  const release = String(pushed['release'])
  expect(await json('policy', 'activate', release.slice(7, 17), '--tenant', 'globex')).toEqual({
    release,
    tenant: 'globex',
    guardrails_off: false,
    active: true,
  })
  expect(await json('policy', 'push', directory, '--tenant', 'globex')).toMatchObject({
    stored: false,
    active: true,
  })
  expect(await json('policy', 'list', '--tenant', 'globex')).toMatchObject([
    { release, active: true, vocabulary: 'own' },
  ])
  const shown = await json('policy', 'show', release, '--tenant', 'globex')
  expect(shown).toMatchObject({ release, active: true })
  expect(shown['sources']).toContainEqual({ name: 'all.cedar', text: OWN_POLICY })
})

test('a folder without a schema is pushed with a warning and marked unvalidated', async () => {
  const pushed = await json(
    'policy',
    'push',
    policies('bare', OWN_POLICY),
    '--tenant',
    'initech',
    '--activate',
  )
  expect(pushed).toMatchObject({ validated: false, active: true, warnings: [{ code: 'schema.missing' }] })
})

test('an error points at file, line and column with the source line, and nothing is pushed', async () => {
  const directory = policies(
    'broken',
    `${OWN_POLICY}\n@id("x")\npermit (principal, action, resource) when { oops };\n`,
  )
  const checked = await run(['policy', 'check', directory])
  expect(checked.exit).toBe(1)
  expect(checked.stderr).toMatch(/^all\.cedar:5:\d+: error: /m)
  expect(checked.stderr).toMatch(/^5 \| permit \(principal, action, resource\) when \{ oops \};\n +\| +\^/m)
  const before = await json('policy', 'list', '--tenant', 'acme')
  expect(await errorOf(1, 'policy', 'push', directory, '--tenant', 'acme')).toMatchObject({
    code: 'policy.invalid',
    details: [expect.objectContaining({ path: expect.stringMatching(/^all\.cedar:5:\d+$/) })],
  })
  expect(await json('policy', 'list', '--tenant', 'acme')).toEqual(before)
})

test('failed tests end with 1 and say what was expected', async () => {
  const request = { principal: 'user::"ann"', action: 'Action::"read"', resource: 'doc::"1"', context: {} }
  const tests = [
    { name: 'strangers read', request, entities: [], decision: 'allow', reason: [], num_errors: 0 },
  ]
  const directory = policies('failing', OWN_POLICY, {
    'own.cedarschema': OWN_SCHEMA,
    'tests/all.json': JSON.stringify(tests),
  })
  const tested = await run(['policy', 'test', directory])
  expect(tested.exit).toBe(1)
  expect(tested.stdout).toBe('0 of 1 tests passed\n')
  expect(tested.stderr).toContain('failed: tests/all.json: strangers read')
})

test('the shipped demo passes its own tests', async () => {
  const tested = await json('policy', 'test', 'policies/examples/demo')
  expect(tested).toMatchObject({ ok: true, failures: [] })
  expect(tested['passed']).toBe(tested['total'])
})

test.each([
  ['/nowhere', 'folder.unreadable'],
  ['docs', 'folder.empty'],
])('the folder %s is refused: %s', async (directory, code) => {
  expect(await errorOf(1, 'policy', 'check', directory)).toMatchObject({ code })
})

test('an unknown release is refused', async () => {
  for (const name of ['sha256:'.padEnd(71, '0'), '00000000']) {
    expect(await errorOf(3, 'policy', 'activate', name, '--tenant', 'acme')).toMatchObject({
      code: 'release.unknown',
    })
  }
  expect(await errorOf(1, 'policy', 'activate', 'latest', '--tenant', 'acme')).toMatchObject({
    code: 'release.invalid',
  })
})

test('an activation that turns the guardrails off says so', async () => {
  const permit = (action: string) => `@id("a")\npermit (principal, action in ${action}, resource);\n`
  const warder = policies('with-guardrails', permit('Warder::Action::"readTools"'))
  const own = policies('without', permit('Action::"read"'))
  const first = await json('policy', 'push', warder, '--tenant', 'initech', '--activate')
  const second = await json('policy', 'push', own, '--tenant', 'initech', '--activate')
  expect([first, second]).toMatchObject([{ guardrails_off: false }, { guardrails_off: true }])
  const back = await json('policy', 'activate', String(first['release']), '--tenant', 'initech')
  expect(back).toMatchObject({ guardrails_off: false })
})
